"""What evaluation and search share: encoders and what is noted of the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glotclip.api.common import TranslatingEncoder, skipped_text
from glotclip.data.benchmark import Benchmark
from glotclip.data.schema import Caption, SkippedItem
from glotclip.evaluation import retrieval
from glotclip.translate.lines import FileEngine

ENGLISH = ["a red circle", "a green bar", "a blue square"]
GERMAN = ["ein roter Kreis", "ein grüner Balken", "ein blaues Quadrat"]


class Remembering:
    """Encodes three English texts, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode_text(self, texts: Sequence[str], lang: str) -> Any:
        assert lang == "en"
        self.asked.extend(texts)
        return np.eye(3, dtype=np.float32)[[ENGLISH.index(text) for text in texts]]


def test_translated_texts_score_as_the_english_they_become(tmp_path: Path) -> None:
    for name, lines in (("de", GERMAN), ("en", ENGLISH)):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    english = Remembering()
    rival = TranslatingEncoder(FileEngine(tmp_path / "de", tmp_path / "en"), english)
    captions = {
        code: [Caption(text, place) for place, text in enumerate(texts)]
        for code, texts in (("en-GB", ENGLISH), ("de", GERMAN))
    }
    benchmark = Benchmark("three", tuple(Path(f"{place}.png") for place in range(3)), captions)
    result = retrieval.evaluate(rival, benchmark, image_features=np.eye(3, dtype=np.float32))
    for code in ("en-GB", "de"):
        assert result["languages"][code]["text_to_image"]["r@1"] == 100
    assert english.asked == [*ENGLISH, *ENGLISH]
    assert f"files {rival.engine.version}" in rival.note


def test_what_was_skipped_and_noted_is_listed_a_line_each() -> None:
    skipped = [SkippedItem("data.csv", 3, "no text")]
    lines = skipped_text(skipped, ["rows in de serve de-AT"]).splitlines()
    assert lines[0] == "note: rows in de serve de-AT"
    assert len(lines) == 2
    assert "no text" in lines[1]
    assert skipped_text([]) == ""
