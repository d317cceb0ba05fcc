"""The forms of texts through a run: captions are learnt in them, packs name them, later runs keep them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip import api
from glotclip.errors import ConfigError, PackError, TruncationWarning
from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"steps": 2, "batch_size": 4, "vocabulary": 300, "lr": 0.01, "precision": "fp32"}


def table(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    lines = [json.dumps({"lang": lang, "text": text, "english": english}) for lang, text, english in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


CLEAN = [
    ("fa", "سگ سیاه کوچک", "a dog's black"),
    ("fa", "می\u200cرود", "it goes"),
    ("de", "grüner Kreis", "green circle"),
]
ODD = [
    ("fa", "\u200fسگ سياه كوچـك", "a dog’s black\u00ad"),
    ("fa", "ﻣﯽ\u200cرود", "it &#103;oes"),
    ("de", "gru\u0308ner Krei\u00ads", "ｇreen circle"),
]


def teach(
    base: DualEncoder, tmp_path: Path, name: str, data: list[tuple[str, str, str]], langs: str, **more: Any
) -> Path:
    made = api.extend(
        Polyglot(base), langs.split(","), data=table(tmp_path / f"{name}.jsonl", data), out=tmp_path / name,
        cache=tmp_path / "cache", device="cpu", benchmark=False,
        settings={**QUICK, "cross_modal": 0.0, **more.pop("settings", {})}, **more,
    )  # fmt: skip
    return made.folder


def weights(folder: Path) -> dict[str, str]:
    return {name: manifest.sha256 for name, manifest in PolyglotFolder(folder).manifests().items()}


def test_captions_of_any_form_teach_the_same_bits(base: DualEncoder, tmp_path: Path) -> None:
    clean, odd = (teach(base, tmp_path, name, data, "fa,de") for name, data in (("clean", CLEAN), ("odd", ODD)))
    assert weights(clean) == weights(odd)
    raw = [
        teach(base, tmp_path, f"raw-{name}", data, "fa,de", settings={"text_form": "none"})
        for name, data in (("clean", CLEAN), ("odd", ODD))
    ]
    assert weights(raw[0]) != weights(raw[1])


def test_the_manifest_names_the_form_and_queries_follow_it(base: DualEncoder, tmp_path: Path) -> None:
    forms = {}
    for name in ("unicode-1", "none"):
        folder = teach(base, tmp_path, name, CLEAN, "fa", settings={"text_form": name})
        forms[name] = PolyglotFolder(folder).manifests()["fa"].text_forms
        polyglot = Polyglot.open(folder, base)
        plain, odd = polyglot.encode_text(["سگ سیاه", "\u200fسگ سياه"], "fa")
        assert torch.equal(plain, odd) == (name == "unicode-1")
    assert forms == {"unicode-1": {"fa": "unicode-1"}, "none": {"fa": "none"}}


def test_a_shared_pack_keeps_the_forms_of_languages_learnt_before(base: DualEncoder, tmp_path: Path) -> None:
    shared = {"isolation": "shared"}
    first = teach(base, tmp_path, "out", CLEAN, "fa", settings={**shared, "text_form": "none"})
    api.extend(
        Polyglot.open(first, base), ["de"], data=table(tmp_path / "more.jsonl", CLEAN), out=first,
        cache=tmp_path / "cache", benchmark=False, settings={**QUICK, **shared, "cross_modal": 0.0},
    )  # fmt: skip
    found = PolyglotFolder(first).manifests()["shared"].text_forms
    assert found == {"en": "none", "fa": "none", "de": "unicode-1"}


def test_folds_of_scripts_are_named_for_the_languages_they_concern(base: DualEncoder, tmp_path: Path) -> None:
    rows = [("sr", "црна мачка", "black cat"), ("de", "rot", "red"), ("zh", "黑貓", "black cat")]
    folder = teach(base, tmp_path, "out", rows, "sr,de,zh", settings={"fold": "all"})
    forms = {code: each.text_forms[code] for code, each in PolyglotFolder(folder).manifests().items()}
    assert forms == {"sr": "unicode-1+latin", "de": "unicode-1", "zh": "unicode-1+simplified"}
    polyglot = Polyglot.open(folder, base)
    torch.testing.assert_close(*polyglot.encode_text(["crna mačka", "Црна Мачка"], "sr"), atol=1e-6, rtol=0)
    torch.testing.assert_close(*polyglot.encode_text(["黑猫", "黑貓"], "zh"), atol=1e-6, rtol=0)


def test_a_fold_that_concerns_no_language_is_refused(base: DualEncoder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="concerns none of de"):
        teach(base, tmp_path, "out", CLEAN, "de", settings={"fold": "latin"})


def test_the_language_is_guessed_from_texts_as_people_write_them(base: DualEncoder, tmp_path: Path) -> None:
    rows = [
        ("ar", "قطة سوداء", "black cat"),
        ("ar", "أحمر", "red"),
        ("fa", "گربه سیاه", "black cat"),
        ("fa", "سرخ", "red"),
    ]
    polyglot = Polyglot.open(teach(base, tmp_path, "out", rows, "ar,fa"), base)
    profile = polyglot.packs["ar"].profiles["ar"].counts
    assert "ة" in profile and "أ" in profile  # which the form of Arabic folds
    assert polyglot.detect(["قطة", "أحمر"]) == ["ar", "ar"]


def test_captions_of_nothing_seen_are_left_out_and_listed(base: DualEncoder, tmp_path: Path) -> None:
    folder = teach(base, tmp_path, "out", [*CLEAN, ("fa", "\u200f\u00ad\u2060", "nothing")], "fa")
    assert PolyglotFolder(folder).manifests()["fa"].data["fa"]["captions"] == 2
    assert "is seen" in (folder / "skipped.txt").read_text(encoding="utf-8")


def test_a_pack_of_an_unknown_form_is_refused(base: DualEncoder, tmp_path: Path) -> None:
    folder = teach(base, tmp_path, "out", CLEAN, "fa")
    (file,) = folder.glob("packs/*/manifest.json")
    file.write_text(file.read_text(encoding="utf-8").replace('"unicode-1"', '"unicode-7"'), encoding="utf-8")
    with pytest.raises(PackError, match="unknown form of texts 'unicode-7'"):
        Polyglot.open(folder, base)


def test_captions_that_are_cut_are_counted_once(base: DualEncoder, tmp_path: Path) -> None:
    long = " ".join(["grün"] * 30)
    with pytest.warns(TruncationWarning) as said:
        teach(base, tmp_path, "out", [*CLEAN, ("de", long, "green " * 30)], "de", settings={"vocabulary": 0})
    assert [str(each.message) for each in said if each.category is TruncationWarning] == [
        "1 of 2 captions in de have more than 24 tokens and lose their ends",
        "1 of 2 texts that captions in de are aligned with have more than 24 tokens and lose their ends",
    ]
