"""Reading ``export.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glotclip.errors import CheckpointError
from glotclip.onnx.manifest import FILE, Export, Graph, Language, Parity, is_export, read_export

GRAPH = Graph(
    file="text.onnx", sha256="00", bytes=3, precision="fp32",
    parity={"fp32": Parity(samples=4, cosine=1.0, difference=1e-7)},
)  # fmt: skip
EXPORT = Export(
    name="tiny", base="sha256:1", fingerprint="sha256:1", dim=4, context_length=9, trims=True, limit=0.99,
    precision="auto", preprocess={"size": 8}, image=GRAPH, texts={"text": GRAPH},
    languages={"en": Language(graph="text", tokenizer="tokenizer", form="none")}, glotclip="0.1.0", created="now",
)  # fmt: skip


def write(folder: Path, **changes: Any) -> Path:
    content = {**EXPORT.model_dump(mode="json"), **changes}
    (folder / FILE).write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert not is_export(tmp_path)
    assert read_export(write(tmp_path)) == EXPORT
    assert is_export(tmp_path)
    assert list(EXPORT.graphs()) == ["image", "text"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "has format 2"),
        ({"format": None}, "has format None"),
        ({"dim": "wide"}, "damaged: dim"),
        ({"surprise": 1}, "damaged: surprise"),
        ({"languages": {"en": {"graph": "text"}}}, "damaged: languages.en.tokenizer"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        read_export(write(tmp_path, **changes))


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not an exported model"):
        read_export(tmp_path)
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(CheckpointError, match="has format None"):
        read_export(tmp_path)
