"""What an export writes, what it decides, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from glotclip.errors import CheckpointError, ConfigError, StorageError
from glotclip.onnx import export as exporting
from glotclip.onnx import graphs
from glotclip.onnx.encoder import OnnxEncoder
from glotclip.onnx.export import EXACT, export
from glotclip.onnx.manifest import FILE, read_export
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.models.hooks import TextHooks

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small(taught: Polyglot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "model"
    export(taught, folder, precision="int8", languages=["en", "de", "hi"])
    return folder


def test_languages_of_rows_alone_share_a_graph(exported: Path) -> None:
    record = read_export(exported)
    graph = {code: language.graph for code, language in record.languages.items()}
    assert graph == {"en": "text", "de": "text", "ar": "text", "fr": "text-fr", "hi": "text-hi"}
    assert {code: language.rows for code, language in record.languages.items() if language.rows} == {
        "de": "rows-1", "ar": "rows-2",
    }  # fmt: skip
    tokenizers = {code: language.tokenizer for code, language in record.languages.items()}
    assert tokenizers["fr"] == tokenizers["hi"] == tokenizers["en"] != tokenizers["de"] != tokenizers["ar"]
    assert not record.refused


def test_full_precision_is_the_model(exported: Path, taught: Polyglot) -> None:
    record = read_export(exported)
    assert record.fingerprint == record.base == taught.base.fingerprint
    for graph in record.graphs().values():
        assert graph.precision == "fp32" and list(graph.parity) == ["fp32"]
        assert graph.parity["fp32"].difference < 1e-5 and graph.parity["fp32"].samples > 20
        assert graph.bytes == (exported / graph.file).stat().st_size


def test_integers_are_near_and_smaller(small: Path, exported: Path, taught: Polyglot) -> None:
    encoder = OnnxEncoder(small)
    for graph in encoder.export.graphs().values():
        assert graph.precision == "int8" and graph.parity["int8"].cosine > 0.97
    for lang, texts in {"en": ["a red circle"], "de": ["roter Kreis"], "hi": ["लाल"]}.items():
        expected = taught.encode_texts(texts, lang)
        got = encoder.encode_texts(texts, lang)
        assert (got * expected).sum(axis=1).min() > 0.97
        assert np.abs(got - expected).max() > 1e-6  # it is not the same graph
    assert (small / "text.onnx").stat().st_size < (exported / "text.onnx").stat().st_size
    assert (small / "table.npy").stat().st_size < (exported / "table.npy").stat().st_size / 3
    assert set(encoder.languages) == {"en", "de", "hi"}


@pytest.mark.parametrize(("limit", "kept"), [(0.5, "int8"), (1.0, "fp32")])
def test_the_limit_decides(limit: float, kept: str, base: DualEncoder, tmp_path: Path) -> None:
    record = export(Polyglot(base), tmp_path / "out", precision="auto", limit=limit)
    graph = record.texts["text"]
    assert graph.precision == kept and set(graph.parity) == {"fp32", "int8"}
    assert record.fingerprint == base.fingerprint
    table = np.load(tmp_path / "out" / "table.npy")
    assert (table.dtype == np.int8) == (kept == "int8")


def test_integers_that_are_too_far_off_are_another_space(base: DualEncoder, tmp_path: Path) -> None:
    record = export(Polyglot(base), tmp_path / "out", precision="int8", limit=1.0)
    assert record.fingerprint == f"{base.fingerprint}-int8"
    assert OnnxEncoder(tmp_path / "out").fingerprint != base.fingerprint


def test_a_language_that_cannot_be_written_is_left_out_by_name(
    taught: Polyglot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = graphs.write_text_graph

    def fail(base: DualEncoder, hooks: TextHooks | None, path: Path) -> None:
        if hooks is not None:
            raise RuntimeError("no such operator\nand a long trace")
        write(base, hooks, path)

    monkeypatch.setattr(graphs, "write_text_graph", fail)
    record = export(taught, tmp_path / "out", precision="fp32", languages=["en", "de", "fr"])
    assert list(record.languages) == ["en", "de"]
    assert record.refused == {
        "fr": "its modules (acquirer) cannot be written as a graph: RuntimeError: no such operator"
    }
    with pytest.raises(ConfigError, match="no language can be exported; fr: its modules"):
        export(taught, tmp_path / "none", precision="fp32", languages=["fr"])
    assert not (tmp_path / "none").exists()


def test_a_graph_that_computes_something_else_is_never_kept(
    base: DualEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(session: Any, pixels: Any) -> Any:
        return np.ones((len(pixels), base.embed_dim), np.float32)

    monkeypatch.setattr(exporting, "run_images", off)
    with pytest.raises(CheckpointError, match="gives other features than the model"):
        export(Polyglot(base), tmp_path / "out", precision="fp32")
    assert not (tmp_path / "out").exists() and EXACT < 1e-3


def test_nothing_is_written_over(base: DualEncoder, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("mine")
    with pytest.raises(StorageError):
        export(Polyglot(base), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["diary.txt"]


@pytest.mark.parametrize("precision", ["int4", "", "FP32"])
def test_unknown_precisions(precision: Any, base: DualEncoder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown precision"):
        export(Polyglot(base), tmp_path / "out", precision=precision)


def test_the_record_is_json_that_people_can_read(exported: Path) -> None:
    content = json.loads((exported / FILE).read_text(encoding="utf-8"))
    assert content["format"] == 1 and content["image"]["parity"]["fp32"]["images"] == "drawn"
