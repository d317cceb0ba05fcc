"""A pack on disk: the round trip, the card, and an error of its own for every kind of damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from glotclip.errors import CheckpointError, FingerprintError, PackError
from glotclip.packs.language_profile import Profile
from glotclip.packs.manifest import model_card
from glotclip.packs.pack import LanguagePack, read_manifest, write_pack
from glotclip.storage import file_sha256

if TYPE_CHECKING:
    from tests.conftest import MakeBase, School

    from glotclip.methods.stack import PackState

pytestmark = pytest.mark.slow

TEXTS = ["roter Kreis", "grünes Quadrat", "Rot", "quer blau", "लाल वृत्त"]


def write(folder: Path, school: School, state: PackState, name: str = "de", **more: Any) -> Path:
    facts: dict[str, Any] = {
        "method": "lexicon", "learnt": [name], "base": school.base, "settings": {"steps": 12},
        "data": {name: {"name": "drawn", "licence": "CC0", "captions": 12}}, "scores": {},
    }  # fmt: skip
    write_pack(folder, state, name=name, **{**facts, **more})
    return folder


@pytest.fixture(scope="module")
def state(school: School) -> PackState:
    return school.teach(None, "de", isolation="per-language").state


PROFILES = {"de": Profile.learn(TEXTS)}


@pytest.fixture
def folder(tmp_path: Path, school: School, state: PackState) -> Path:
    return write(tmp_path / "de-1", school, state, profiles=PROFILES)


def features(school: School, state: PackState, code: str) -> torch.Tensor:
    return school.base.encode_tokens(state.tokenizer.encode(TEXTS), state.stack(code))


def test_the_round_trip_keeps_every_bit(school: School, state: PackState, folder: Path) -> None:
    pack = LanguagePack.load(folder, school.base)
    assert pack.languages == ("de",)
    assert pack.state.tokenizer.identity == state.tokenizer.identity
    assert torch.equal(features(school, pack.state, "de"), features(school, state, "de"))


def test_profiles_come_back_and_two_packs_are_the_same_bytes(
    school: School, state: PackState, folder: Path, tmp_path: Path
) -> None:
    assert LanguagePack.load(folder, school.base).profiles == PROFILES
    again = write(tmp_path / "again", school, state, profiles={"de": Profile.learn(TEXTS[::-1])})
    for file in ("profile.json", "pack.safetensors", "tokenizer.json"):
        assert (again / file).read_bytes() == (folder / file).read_bytes()


@pytest.mark.parametrize("number", [1, 2])
def test_a_pack_of_an_earlier_format(school: School, state: PackState, tmp_path: Path, number: int) -> None:
    folder = write(tmp_path / "old", school, state)
    edit_manifest(folder, format=number)
    with pytest.raises(PackError, match="made by an earlier glotclip") as caught:
        LanguagePack.load(folder, school.base)
    assert f"(format {number}); its languages have to be learned again" in caught.value.message
    assert "glotclip extend" in caught.value.hint


def test_every_language_has_its_text_form(school: School, state: PackState, tmp_path: Path) -> None:
    assert read_manifest(write(tmp_path / "plain", school, state)).text_forms == {"de": "none"}


@pytest.mark.parametrize("isolation", ["shared", "per-language"])
def test_merges_are_really_used_after_a_reload(school: School, tmp_path: Path, isolation: str) -> None:
    """The reference code loses its merges when it loads (spec, fault 8.1.1). Three tasks, each on what was read."""
    state: PackState | None = None
    for place, code in enumerate(("de", "fr", "hi")):
        taught = school.teach(state if isolation == "shared" else None, code, isolation=isolation).state
        state = LanguagePack.load(write(tmp_path / f"p-{place}", school, taught), school.base).state
        for text_code in ("de", "fr", "hi"):
            texts = school.captions[text_code].texts
            got, expected = state.tokenizer.encode(texts), taught.tokenizer.encode(texts)
            assert np.array_equal(got.flat, expected.flat)
            assert np.array_equal(got.offsets, expected.offsets)
        ids = state.tokenizer.encode(school.captions[code].texts)
        plain = school.base.tokenizer.encode(school.captions[code].texts)
        assert len(ids.flat) < len(plain.flat) / 2  # whole words, not bytes
        assert ids.flat.max() >= len(school.base.text.table)
        assert torch.equal(features(school, state, code), features(school, taught, code))


def test_new_tokens_that_captions_never_show_keep_their_own_row(school: School, state: PackState) -> None:
    """ "Kreise" falls into merges that "Kreis</w>" swallowed in training; they must not read as another token."""
    lexicon = state.modules["all"][0]
    table = school.base.text.table
    ids = torch.arange(len(table), state.tokenizer.vocab_size)
    trained = set(state.tokenizer.encode(school.captions["de"].texts).flat.tolist())
    unseen = torch.tensor([j for j in ids.tolist() if j not in trained])
    assert len(unseen) > 0
    rows = lexicon.embed(unseen[None], table)[0].detach()
    assert len(torch.unique(rows, dim=0)) == len(unseen)
    assert 0.5 < float(rows.std() / table.std()) < 2


def test_the_card_says_what_the_manifest_knows(school: School, state: PackState, folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    manifest = read_manifest(folder)
    assert card == model_card(manifest)
    assert card.startswith("---\nlibrary_name: glotclip\nbase_model: tiny-0\nlanguage:\n- de\n---")
    for fact in (
        manifest.base.fingerprint,
        "lexicon",
        "drawn; licence: CC0",
        f"{manifest.parameters:,}",
    ):
        assert fact in card
    assert "Not evaluated" in card
    assert manifest.parameters == sum(
        t.numel() for t in state.modules["all"][0].tensors().values() if t.is_floating_point()
    )
    one = {"text_to_image": {"r@1": 12.34}, "image_to_text": {"r@1": 56.78}}
    assert "| de | 12.3 | 56.8 |" in model_card(manifest.model_copy(update={"scores": {"de": one}}))


def edit_manifest(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**content, **changes}), encoding="utf-8")


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the tensors, and let size and checksum in the manifest agree with them."""
    path = folder / "pack.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    edit_manifest(folder, bytes=path.stat().st_size, sha256=file_sha256(path))


def truncate(folder: Path) -> None:
    path = folder / "pack.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def alter(folder: Path) -> None:
    path = folder / "pack.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def no_safetensors(folder: Path) -> None:
    (folder / "pack.safetensors").write_bytes(b"\x80" * 10)
    edit_manifest(folder, bytes=10)


def unknown_kind(folder: Path) -> None:
    edit_manifest(folder, modules=[{"scope": "all", "kind": "sorcery", "description": {}}])


def edit_tokenizer(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def forge_profile(folder: Path, content: str) -> None:
    (folder / "profile.json").write_text(content, encoding="utf-8")
    edit_manifest(folder, profile=file_sha256(folder / "profile.json"))


ROWS = "all.lexicon.rows"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "cut short"),
    "altered": (alter, "checksum"),
    "no weights": (lambda f: (f / "pack.safetensors").unlink(), "pack.safetensors is missing"),
    "no safetensors": (no_safetensors, "not a whole safetensors"),
    "missing tensor": (lambda f: edit_weights(f, lambda t: t.__delitem__(ROWS)), r"lacks the tensors \['all"),
    "extra tensor": (lambda f: edit_weights(f, lambda t: t.update(x=torch.zeros(2))), "does not name: .'x'"),
    "wrong shape": (lambda f: edit_weights(f, lambda t: t.update({ROWS: t[ROWS][:-1]})), "the manifest says float32"),
    "wrong dtype": (lambda f: edit_weights(f, lambda t: t.update({ROWS: t[ROWS].half()})), "is float16"),
    "newer format": (lambda f: edit_manifest(f, format=99, surprise=1), "has format 99"),
    "no format": (lambda f: edit_manifest(f, format=None), "no format number"),
    "unknown field": (lambda f: edit_manifest(f, surprise=1), "surprise"),
    "no text form": (lambda f: edit_manifest(f, text_forms={}), "names no text form of de"),
    "unknown kind": (unknown_kind, "unknown kind 'sorcery'"),
    "no manifest": (lambda f: (f / "manifest.json").unlink(), "not a language pack"),
    "manifest is no JSON": (lambda f: (f / "manifest.json").write_text("{"), "not valid JSON"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "tokenizer is no JSON": (lambda f: (f / "tokenizer.json").write_text("{"), "tokenizer.json is damaged"),
    "tokenizer lacks merges": (lambda f: edit_tokenizer(f, merges=["a"]), "tokenizer.json is damaged"),
    "tokenizer with strange merges": (lambda f: edit_tokenizer(f, merges=["zzz qqq"]), "tokenizer.json is damaged"),
    "tokenizer with fewer merges": (lambda f: edit_tokenizer(f, merges=[]), "not the tokenizer that the manifest"),
    "tokenizer that splits otherwise": (lambda f: edit_tokenizer(f, splitting="clip"), "not the tokenizer"),
    "no profile": (lambda f: (f / "profile.json").unlink(), "profile.json is missing"),
    "altered profile": (lambda f: (f / "profile.json").write_text('{"de": []}'), "profile.json does not match its"),
    "profile that is none": (lambda f: forge_profile(f, '{"de": [{"1": "a"}, {"2": "abc"}]}'), "json is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_has_its_own_error(school: School, folder: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    damage(folder)
    with pytest.raises(PackError, match=message) as caught:
        LanguagePack.load(folder, school.base)
    assert not isinstance(caught.value, FingerprintError)
    assert caught.value.hint


def test_another_base_is_refused_by_its_fingerprint(make_base: MakeBase, folder: Path) -> None:
    with pytest.raises(FingerprintError, match=r"belongs to the base tiny-0 .*not to tiny-1"):
        LanguagePack.load(folder, make_base(1))


def test_weights_that_fit_the_manifest_but_not_the_base(school: School, folder: Path) -> None:
    def narrower(tensors: dict[str, torch.Tensor]) -> None:
        tensors[ROWS] = tensors[ROWS][:, :8]

    edit_weights(folder, narrower)
    tensors = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["tensors"]
    tensors[ROWS]["shape"][1] = 8
    edit_manifest(folder, tensors=tensors)
    with pytest.raises(PackError, match="do not fit"):
        LanguagePack.load(folder, school.base)


def test_a_failed_write_leaves_nothing(school: School, state: PackState, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="serialize"):
        write(tmp_path / "de-1", school, state, settings={"lr": object()})
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "de-1", school, state)
    shutil.rmtree(tmp_path / "de-1")


@pytest.mark.parametrize("damage", ["cut", "gone", "other"])
def test_a_vocabulary_of_its_own_comes_back_or_is_refused(school: School, tmp_path: Path, damage: str) -> None:
    state = school.teach(None, "de", isolation="per-language", own_vocabulary=True, vocabulary=60).state
    folder = write(tmp_path / "de-1", school, state)
    pack = LanguagePack.load(folder, school.base)
    assert pack.state.tokenizer.identity == state.tokenizer.identity
    assert torch.equal(features(school, pack.state, "de"), features(school, state, "de"))
    vocabulary = folder / "vocabulary.txt.gz"
    if damage == "gone":
        vocabulary.unlink()
    elif damage == "cut":
        vocabulary.write_bytes(vocabulary.read_bytes()[:-20])
    else:
        other = school.teach(None, "fr", isolation="per-language", own_vocabulary=True, vocabulary=60).state
        shutil.copyfile(write(tmp_path / "fr-1", school, other, "fr") / vocabulary.name, vocabulary)
    with pytest.raises((PackError, CheckpointError), match=r"vocabulary|not the tokenizer"):
        LanguagePack.load(folder, school.base)
