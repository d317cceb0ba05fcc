"""The translate-the-query rival, against a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glotclip.data.benchmark import Benchmark
from glotclip.data.schema import Caption
from glotclip.evaluation import retrieval
from glotclip.translate.lines import FileEngine
from glotclip.translate.queries import TranslatedQueries

ENGLISH = ["a red circle", "a green bar", "a blue square"]
GERMAN = ["ein roter Kreis", "ein grüner Balken", "ein blaues Quadrat"]


def test_translated_texts_score_as_the_english_they_become(tmp_path: Path) -> None:
    encoded: list[str] = []

    def encode(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        encoded.extend(texts)
        return np.eye(3, dtype=np.float32)[[ENGLISH.index(text) for text in texts]]

    for name, lines in (("de", GERMAN), ("en", ENGLISH)):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    queries = TranslatedQueries(FileEngine(tmp_path / "de", tmp_path / "en"), encode)
    captions = {
        code: [Caption(text, place) for place, text in enumerate(texts)]
        for code, texts in (("en-GB", ENGLISH), ("de", GERMAN))
    }
    benchmark = Benchmark("three", tuple(Path(f"{place}.png") for place in range(3)), captions)
    result = retrieval.evaluate(queries, benchmark, image_features=np.eye(3, dtype=np.float32))
    for code in ("en-GB", "de"):
        assert result["languages"][code]["text_to_image"]["r@1"] == 100
    assert encoded == [*ENGLISH, *ENGLISH]


def test_the_protocol_says_who_translated(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a\n", encoding="utf-8")
    engine = FileEngine(tmp_path / "a", tmp_path / "a")
    said = TranslatedQueries(engine, lambda texts: texts).protocol("gallery of 3")
    assert said.startswith("gallery of 3; ")
    assert f"files {engine.version}" in said
