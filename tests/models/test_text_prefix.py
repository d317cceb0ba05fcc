"""Prefixes of tokenizers, which stand before every text and survive every cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.text_encoder_folders import make_folder

from glotclip.models.text_encoders import load_encoder
from glotclip.models.text_prefix import prefixed
from glotclip.models.tokenizer import HfTokenizer


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
def test_a_prefix_before_every_text_which_no_cut_loses(kind: str, tmp_path: Path) -> None:
    make_folder(tmp_path / "e5", kind)
    plain, prefixed = (load_encoder(str(tmp_path / "e5"), prefix=prefix) for prefix in (" ", "ein Hund "))
    for text in ("Katze", "", "und eine Katze"):
        want = plain.tokenizer.encode([f"ein Hund {text}"])[0].tolist()
        assert prefixed.tokenizer.encode([text])[0].tolist() == want
    long = prefixed.tokenizer.encode(["Katze " * 40])[0].tolist()
    assert len(long) == 16
    assert long[:3] == plain.tokenizer.encode(["ein Hund"])[0].tolist()[:3]
    assert plain.fingerprint != prefixed.fingerprint


def test_a_tokenizer_without_special_tokens_and_a_prefix_of_several_pieces(tmp_path: Path) -> None:
    make_folder(tmp_path / "bare", "bert")
    table = json.loads((tmp_path / "bare" / "tokenizer.json").read_text(encoding="utf-8"))
    content = prefixed(json.dumps({**table, "post_processor": None}), "ein Hund und")
    made = HfTokenizer(content, context_length=5, pad_id=0)
    known = table["model"]["vocab"]
    want = [known[word] for word in ("ein", "Hund", "und", "Katze", "Katze")]
    assert made.encode(["Katze Katze Katze"])[0].tolist() == want
