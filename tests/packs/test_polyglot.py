"""Languages as arguments: routing, installing, removing, and that packs never touch one another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image

from glotclip.data.features import FeatureCache
from glotclip.data.video import Sampling, sample_frames
from glotclip.errors import ConfigError, FingerprintError, LanguageError, VideoError
from glotclip.packs.pack import LanguagePack, write_pack
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from tests.conftest import Film, MakeBase, School

    from glotclip.methods.part import PackState
    from glotclip.models.dual_encoder import DualEncoder


def packed(school: School, state: PackState, folder: Path, name: str) -> LanguagePack:
    learnt = [code for code in state.languages if code != "en"]
    write_pack(
        folder, state, name=name, method="lexicon", learnt=learnt, base=school.base, settings={}, data={}, scores={}
    )
    return LanguagePack.load(folder, school.base)


@pytest.fixture(scope="module")
def packs(school: School, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LanguagePack]:
    root = tmp_path_factory.mktemp("packs")
    return {
        code: packed(school, school.teach(None, code, isolation="per-language").state, root / code, code)
        for code in ("de", "fr", "hi")
    }


@pytest.fixture
def polyglot(school: School, packs: dict[str, LanguagePack]) -> Polyglot:
    return Polyglot(school.base, list(packs.values()))


def test_one_call_with_many_languages_equals_one_call_each(polyglot: Polyglot) -> None:
    texts = ["rot", "red circle", "cercle rouge", "Kreis", "लाल", "a bar"]
    codes = ["de", "en", "fr", "de", "hi", "en"]
    together = polyglot.encode_text(texts, lang=codes)
    for row, (text, code) in enumerate(zip(texts, codes, strict=True)):
        torch.testing.assert_close(
            together[row : row + 1], polyglot.encode_text([text], lang=code), atol=1e-6, rtol=0
        )
    assert not torch.isclose(polyglot.encode_text("rot", lang="de"), polyglot.encode_text("rot", lang="en")).all()


def test_features_are_normalised_float32_rows(polyglot: Polyglot) -> None:
    features = polyglot.encode_text(["rot", "blau"], lang="de")
    assert (features.shape, features.dtype) == ((2, 16), torch.float32)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    assert torch.equal(polyglot.encode_text("rot", lang="de"), polyglot.encode_text(["rot"], lang="de"))
    assert polyglot.encode_text([], lang="de").shape == (0, 16)
    pictures = polyglot.encode_image([Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")])
    torch.testing.assert_close(pictures.norm(dim=1), torch.ones(2))
    assert polyglot.encode_image(Image.new("RGB", (9, 9))).shape == (1, 16)
    similarity = polyglot.similarity(features, 5 * pictures)
    for i in range(2):
        for j in range(2):
            assert float(similarity[i, j]) == pytest.approx(float(features[i] @ pictures[j]), abs=1e-6)


@pytest.mark.parametrize(("lang", "message"), [("sv", "not installed"), ("German", "unknown language code")])
def test_an_unknown_language_names_the_installed(polyglot: Polyglot, lang: str, message: str) -> None:
    with pytest.raises(LanguageError, match=message) as caught:
        polyglot.encode_text(["x"], lang=lang)
    if lang == "sv":
        assert "en, de, fr, hi" in caught.value.hint
    with pytest.raises(LanguageError):
        polyglot.encode_text(["x", "y"], lang=["de", lang])


def test_as_many_codes_as_texts(polyglot: Polyglot) -> None:
    with pytest.raises(ConfigError, match="2 texts but 3"):
        polyglot.encode_text(["a", "b"], lang=["de", "de", "fr"])


def test_adding_and_removing_changes_no_other_language(school: School, packs: dict[str, LanguagePack]) -> None:
    polyglot = Polyglot(school.base, [packs["de"]])
    before = {code: polyglot.encode_text(["rot", "Kreis"], lang=code) for code in ("en", "de")}
    polyglot.add_pack(packs["fr"].folder or "")
    assert polyglot.languages == ["en", "de", "fr"]
    for code, features in before.items():
        assert torch.equal(polyglot.encode_text(["rot", "Kreis"], lang=code), features)
    assert polyglot.remove_pack("DE") is packs["de"]
    assert polyglot.languages == ["en", "fr"]
    assert torch.equal(polyglot.encode_text(["rot", "Kreis"], lang="en"), before["en"])
    with pytest.raises(LanguageError, match="no pack provides 'de'"):
        polyglot.remove_pack("de")


def test_two_packs_for_one_language_conflict(school: School, packs: dict[str, LanguagePack], tmp_path: Path) -> None:
    shared = packed(school, school.teach(None, "de", isolation="shared").state, tmp_path / "s", "shared")
    polyglot = Polyglot(school.base, [packs["de"]])
    with pytest.raises(LanguageError, match="'de' already provides de"):
        polyglot.add_pack(shared)
    assert list(polyglot.packs) == ["de"]
    again = Polyglot(school.base, [shared])
    assert again.languages == ["en", "de"]
    assert again.remove_pack("shared") is shared  # by its name, which is no language


def test_a_pack_opened_for_another_base_is_refused(make_base: MakeBase, packs: dict[str, LanguagePack]) -> None:
    with pytest.raises(FingerprintError):
        Polyglot(make_base(1)).add_pack(packs["de"])


def tensors(state: PackState) -> dict[str, torch.Tensor]:
    return {
        f"{scope}.{name}": tensor.clone()
        for scope, parts in state.parts.items()
        for part in parts
        for name, tensor in part.tensors().items()
    }


@pytest.mark.parametrize("isolation", ["per-language", "shared"])
def test_what_learning_a_second_language_does_to_the_first(school: School, tmp_path: Path, isolation: str) -> None:
    """Per language nothing changes, bit for bit; one shared table changes the first language, and English."""
    settings: dict[str, Any] = {"isolation": isolation, "teir": False, "vocabulary": 0}
    first = school.teach(None, "de", **settings).state
    held = tensors(first)
    one = Polyglot(school.base, [packed(school, first, tmp_path / "de-1", "de")])
    before = {code: one.encode_text(["rot Kreis", "a bar"], lang=code) for code in ("en", "de")}
    second = school.teach(first if isolation == "shared" else None, "fr", **settings).state
    assert all(torch.equal(tensors(first)[name], tensor) for name, tensor in held.items())
    if isolation == "shared":
        both = Polyglot(school.base, [packed(school, second, tmp_path / "de-2", "de")])
    else:
        both = Polyglot(school.base, [*one.packs.values(), packed(school, second, tmp_path / "fr-1", "fr")])
    for code, features in before.items():
        after = both.encode_text(["rot Kreis", "a bar"], lang=code)
        assert torch.equal(after, features) is (isolation == "per-language")


def test_a_video_is_the_mean_of_its_frames(base: DualEncoder, film: Film, tmp_path: Path) -> None:
    import numpy as np

    polyglot = Polyglot(base)
    shades = [(place * 10, 255 - place * 10, 60) for place in range(24)]
    paths = [film(tmp_path / f"{number}.mp4", shades[number:]) for number in range(9)]  # more than one batch
    features = polyglot.encode_video(paths, frames=5, batch_size=7)
    assert features.shape == (9, polyglot.embed_dim) and features.dtype == torch.float32
    of_frames = polyglot.encode_image(sample_frames(paths[0], 5).frames)
    torch.testing.assert_close(features[0], torch.nn.functional.normalize(of_frames.mean(0), dim=0))
    torch.testing.assert_close(polyglot.encode_video(str(paths[0]), frames=5)[0], features[0])
    assert not torch.allclose(polyglot.encode_video(paths[0], mode="fps")[0], features[0], atol=1e-4)
    cached = FeatureCache("f", tmp_path / "cache").videos(
        paths, base.preprocess.load, polyglot.image_features, sampling=Sampling(5)
    )
    np.testing.assert_allclose(cached.take(), features.numpy(), atol=1e-5)
    assert polyglot.encode_video([]).shape == (0, polyglot.embed_dim)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match="not a video"):
        polyglot.encode_video([tmp_path / "text.mp4"])
    with pytest.raises(ConfigError, match="unknown way"):
        polyglot.encode_video(paths, mode="all")  # type: ignore[arg-type]


def test_repr_says_base_languages_and_packs(base: DualEncoder) -> None:
    assert repr(Polyglot(base)) == f"Polyglot(base='{base.name}', languages=[en], packs=[])"


def test_repr_stays_short_with_many_languages(base: DualEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [f"l{number}" for number in range(40)]
    monkeypatch.setattr(Polyglot, "languages", codes)
    assert repr(Polyglot(base)).count("l1") == 3 and "… 40 in all" in repr(Polyglot(base))
