"""SentencePiece models are read without the package: against it, and damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import CheckpointError
from glotclip.models.sentencepiece_model import Charsmap, as_tokenizer_json, canonical, convert, read_model


@pytest.fixture(scope="module")
def processor(spiece: Path) -> Any:
    import sentencepiece

    return sentencepiece.SentencePieceProcessor(model_file=str(spiece))


def test_pieces_and_scores(spiece: Path, processor: Any) -> None:
    model = read_model(spiece)
    assert [piece.text for piece in model.pieces] == [processor.id_to_piece(i) for i in range(len(processor))]
    assert [piece.score for piece in model.pieces] == [processor.get_score(i) for i in range(len(processor))]
    assert model.unknown == processor.unk_id() == 2


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12))
def test_the_table_of_characters_is_applied_as_sentencepiece_does(spiece: Path, processor: Any, text: str) -> None:
    ours = Charsmap(read_model(spiece).charsmap).replace(text)
    assert " ".join(ours.split()) == " ".join(processor.normalize(text).replace("▁", " ").split())


def test_the_form_of_siglip() -> None:
    assert canonical("  A dog's\t▁“Hat”!  ") == "a dogs “hat”"
    assert canonical("A B", lower=False) == "A B"


def test_a_tokenizer_json_ends_texts_with_a_piece(spiece: Path) -> None:
    table = json.loads(convert(spiece, "</s>"))
    assert table["model"]["unk_id"] == 2
    assert table["post_processor"]["special_tokens"]["</s>"]["ids"] == [1]
    with pytest.raises(CheckpointError, match="no piece '<end>'"):
        as_tokenizer_json(read_model(spiece), "<end>")


def test_damaged_and_other_models(spiece: Path, tmp_path: Path) -> None:
    content = spiece.read_bytes()
    for damaged in (content[:-7], b"\x0b" + content, b"{}"):
        (tmp_path / "a.model").write_bytes(damaged)
        with pytest.raises(CheckpointError):
            read_model(tmp_path / "a.model")
    with pytest.raises(CheckpointError, match="cannot read"):
        read_model(tmp_path / "none.model")
    (tmp_path / "a.model").write_bytes(b"")
    with pytest.raises(CheckpointError, match="no plain unigram model"):
        read_model(tmp_path / "a.model")
    with pytest.raises(ValueError, match="ends early"):
        Charsmap(b"\xff\x00\x00\x00")
