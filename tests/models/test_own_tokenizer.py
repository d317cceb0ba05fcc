"""A language's own vocabulary: its ids lie beyond the base's, its frame is the base's, and it is written and read."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import CheckpointError
from glotclip.models import bpe
from glotclip.models.own_tokenizer import OwnTokenizer, frame

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

TEXTS = ["roter Kreis", "rotes Quadrat", "ein roter Balken", "grünes Quadrat", "लाल वृत्त", "हरा वर्ग", "हरा वृत्त"]


@pytest.fixture(scope="module")
def own(base: DualEncoder) -> OwnTokenizer:
    return OwnTokenizer(base.tokenizer, bpe.learn(TEXTS, 120, minimum=2), len(base.text.table))


@given(st.text(max_size=60))
def test_own_ids_within_the_bases_frame(base: DualEncoder, own: OwnTokenizer, text: str) -> None:
    before, after = frame(base.tokenizer)
    ids = own.encode([text])[0].tolist()
    inner = ids[len(before) : len(ids) - len(after)]
    assert ids == [*before, *inner, *after] and len(ids) <= base.tokenizer.context_length
    assert all(len(base.text.table) <= each < own.vocab_size for each in inner)
    assert own.special_ids == base.tokenizer.special_ids and own.pad_id == base.tokenizer.pad_id


def test_words_that_occur_twice_are_one_token_and_others_fall_apart(own: OwnTokenizer) -> None:
    pieces = {word: len(own.spans(word)[1]) for word in ("roter", "quadrat", "वृत्त", "Balken", "rotkreis")}
    assert pieces["roter"] == pieces["quadrat"] == pieces["वृत्त"] == 1
    assert pieces["Balken"] > 1 and pieces["rotkreis"] > 1
    assert own.encode(["ROTER"])[0].tolist() == own.encode(["roter"])[0].tolist()
    assert own.spans("犬")[1] == []  # no row could say anything of it


def test_written_and_read_it_is_the_same(base: DualEncoder, own: OwnTokenizer, tmp_path: Path) -> None:
    own.write(tmp_path / "v.gz")
    again = OwnTokenizer.read(tmp_path / "v.gz", base.tokenizer, len(base.text.table))
    assert again.identity == own.identity and again.vocabulary == own.vocabulary
    assert again.encode(TEXTS).flat.tolist() == own.encode(TEXTS).flat.tolist()
    own.write(tmp_path / "w.gz")
    assert (tmp_path / "v.gz").read_bytes() == (tmp_path / "w.gz").read_bytes()


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b"marks"), gzip.compress(b"marks\na b\nab c d")])
def test_a_damaged_vocabulary_is_refused(base: DualEncoder, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "v.gz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"v\.gz"):
        OwnTokenizer.read(tmp_path / "v.gz", base.tokenizer, len(base.text.table))
