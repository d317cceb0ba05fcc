"""Graphs made ready to run: folded, and where asked for with the weights of linear maps as 8-bit integers.

Convolutions stay in full precision: as integers they are slower on a processor.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glotclip.errors import require
from glotclip.onnx.encoder import runtime


def fold(raw: Path, path: Path) -> None:
    """Write a graph with what depends on weights alone computed, and without the exporter's notes."""
    onnxruntime = runtime()
    onnx: Any = require("onnx", extra="export", purpose="exporting to ONNX")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.initializer, *model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
        value.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    model.ClearField("metadata_props")
    model.producer_name, model.producer_version = "glotclip", ""
    onnx.save(model, path)


def quantise(folded: Path, path: Path) -> None:
    """Write a folded graph with 8-bit linear maps; activations are quantised as they come."""
    runtime()
    require("onnx", extra="export", purpose="exporting to ONNX")
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_suffix(".prepared.onnx")
    with _quietly():
        quant_pre_process(folded, prepared, skip_symbolic_shape=True)
        # 7 of 8 bits: processors without VNNI add two products in 16 bits, which would overflow.
        quantize_dynamic(
            prepared, path, op_types_to_quantize=["MatMul"], per_channel=True, reduce_range=True,
            weight_type=QuantType.QInt8,
        )  # fmt: skip
    prepared.unlink()


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the quantiser's advice, which it prints and logs as the root."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
