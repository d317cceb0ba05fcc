"""The manifest's format, which pack a language means, and the card (what a written pack says is in test_pack.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glotclip.errors import LanguageError, PackError
from glotclip.packs.manifest import FORMAT, BaseReference, Manifest, ModuleEntry, check_format, model_card, pack_for

PACKS = {"shared": ["en", "de", "pt-BR"], "fr": ["fr"]}


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ({"format": FORMAT + 1}, f"has format {FORMAT + 1}; this glotclip reads format {FORMAT}", "pip install -U"),
        ({"format": 1}, r"made by an earlier glotclip \(format 1\); its languages have to be learned", "extend"),
        ({}, "has no format number", "restore"),
        ([], "has no format number", "restore"),
        ({"format": "3"}, "has no format number", "restore"),
    ],
)
def test_formats(content: Any, message: str, hint: str) -> None:
    check_format({"format": FORMAT}, Path("a"))
    with pytest.raises(PackError, match=message) as caught:
        check_format(content, Path("a"))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("lang", "found"),
    [
        ("fr", ("fr", "")), ("shared", ("shared", "")), ("DE", ("shared", "de")), ("de-AT", ("shared", "de")),
        ("pt", ("shared", "pt-BR")), ("fr-CA", ("fr", "fr")),
    ],
)  # fmt: skip
def test_the_pack_of_a_language_or_name(lang: str, found: tuple[str, str]) -> None:
    assert pack_for(lang, PACKS) == found


def test_a_language_without_a_pack() -> None:
    with pytest.raises(LanguageError, match="no pack provides 'nl'") as caught:
        pack_for("nl", PACKS)
    assert caught.value.hint == "installed packs: shared, fr"
    with pytest.raises(LanguageError) as caught:
        pack_for("nl", {})
    assert caught.value.hint == "installed packs: none"


def manifest(**more: Any) -> Manifest:
    facts: dict[str, Any] = {
        "name": "de", "method": "lora", "languages": ("de",), "learnt": ("de",),
        "modules": [ModuleEntry(scope="de", kind=kind) for kind in ("lora", "norms")],
        "base": BaseReference(name="tiny", fingerprint="sha256:0"), "tensors": {}, "sha256": "",
        "parameters": 1500, "bytes": 6000, "added_tokens": 0, "vocab_size": 9, "tokenizer": "",
        "text_forms": {"de": "none"}, "settings": {"rank": 8}, "data": {}, "glotclip": "0", "created": "today",
    }  # fmt: skip
    return Manifest(**{**facts, **more})


def test_the_card() -> None:
    card = model_card(manifest())
    for said in ("| method | lora (lora, norms) |", "1,500", "| rank | 8 |", "Not evaluated", "unknown"):
        assert said in card
    assert "translate a query" not in card
    assert "translate a query" in model_card(manifest(settings={"text": "to-english"}))
