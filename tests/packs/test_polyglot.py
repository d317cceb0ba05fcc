"""Languages as arguments: routing, installing, removing, and that packs never touch one another."""

from __future__ import annotations

import html
import unicodedata
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from glotclip.data.features import FeatureCache
from glotclip.data.video import Sampling, sample
from glotclip.errors import ConfigError, FingerprintError, LanguageError, TruncationWarning, VideoError
from glotclip.languages import LanguageFallbackWarning
from glotclip.models.windows import windows
from glotclip.packs.language_profile import Profile
from glotclip.packs.pack import LanguagePack, write_pack
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from tests.conftest import Film, MakeBase, School

    from glotclip.methods.stack import PackState
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
    images = polyglot.encode_image([Image.new("RGB", (30, 20), colour) for colour in ("red", "blue")])
    torch.testing.assert_close(images.norm(dim=1), torch.ones(2))
    assert polyglot.encode_image(Image.new("RGB", (9, 9))).shape == (1, 16)
    similarity = polyglot.similarity(features, 5 * images)
    for i in range(2):
        for j in range(2):
            assert float(similarity[i, j]) == pytest.approx(float(features[i] @ images[j]), abs=1e-6)


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
        for scope, parts in state.modules.items()
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
    of_frames = polyglot.encode_image(sample(paths[0], Sampling(5), lambda frame: frame).frames)
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
    with pytest.raises(ConfigError, match="unknown mode"):
        polyglot.encode_video(paths, mode="all")  # type: ignore[arg-type]


# --- the forms of texts ------------------------------------------------------------------------------------------


def formed(school: School, packs: dict[str, LanguagePack], form: str) -> Polyglot:
    """The polyglot, its packs taught in a form."""
    return Polyglot(
        school.base,
        [
            replace(pack, manifest=pack.manifest.model_copy(update={"text_forms": {code: form}}))
            for code, pack in packs.items()
        ],
    )


def test_packs_learnt_without_a_form_are_asked_in_texts_as_they_are(polyglot: Polyglot) -> None:
    assert polyglot.packs["de"].manifest.text_forms == {"de": "none"}
    same = polyglot.encode_text(["rot", "\u200frot"], "de")
    assert not torch.equal(same[0], same[1])


@pytest.mark.parametrize(("lang", "text"), [("en", "red circle"), ("de", "grüner Kreis"), ("hi", "लाल वृत्त")])
def test_what_reads_alike_has_one_feature(
    school: School, packs: dict[str, LanguagePack], lang: str, text: str
) -> None:
    polyglot = formed(school, packs, "unicode-1")
    expected = polyglot.encode_text([text], lang)
    for written in (
        f"\u200f{text}", f"\ufeff{text}\u00ad", f"  {text}\u3000", unicodedata.normalize("NFD", text),
        text[:2] + "\u00ad\u2060" + text[2:], html.escape(text), text.replace(" ", "\u00a0"),
    ):  # fmt: skip
        assert torch.equal(polyglot.encode_text([written], lang), expected), ascii(written)


def test_text_in_its_form_has_the_feature_it_had(school: School, packs: dict[str, LanguagePack]) -> None:
    texts = ["a red circle, 3 bars", "it's black & green", "café"]
    before = torch.nn.functional.normalize(school.base.encode_tokens(school.base.tokenizer.encode(texts)), dim=-1)
    assert torch.equal(formed(school, packs, "unicode-1").encode_text(texts, "en"), before)
    german = list(school.captions["de"].texts)
    old, new = formed(school, packs, "none"), formed(school, packs, "unicode-1")
    assert torch.equal(old.encode_text(german, "de"), new.encode_text(german, "de"))


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20), st.sampled_from(["en", "de", "fr", "hi"]))
def test_any_string_has_a_feature(school: School, packs: dict[str, LanguagePack], text: str, lang: str) -> None:
    features = formed(school, packs, "unicode-1").encode_text([text, f"\u200f{text}"], lang, long="mean")
    assert torch.isfinite(features).all()
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(2))


def test_a_text_of_nothing_seen_is_the_empty_text(school: School, packs: dict[str, LanguagePack]) -> None:
    polyglot = formed(school, packs, "unicode-1")
    assert torch.equal(polyglot.encode_text("\u200f\u00ad", "de"), polyglot.encode_text("", "de"))


# --- long texts --------------------------------------------------------------------------------------------------

LONG = " ".join(["red circle", "black bar", "green square"] * 3)


def test_what_is_cut_is_said_once_with_a_count(polyglot: Polyglot) -> None:
    texts = [LONG, "red", LONG, "rot", LONG]
    with pytest.warns(TruncationWarning, match="3 of 5 texts have more than 24 tokens") as said:
        polyglot.encode_text(texts, ["en", "en", "de", "de", "fr"])
    assert len(said) == 1 and said[0].filename == __file__
    found = said[0].message
    assert isinstance(found, TruncationWarning) and (found.count, found.total, found.limit) == (3, 5, 24)


def test_texts_that_fit_are_not_talked_about(polyglot: Polyglot) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        polyglot.encode_text(["red", "green"], "en")
        polyglot.encode_text([LONG, "red"], "en", long="mean")


def test_long_texts_are_read_whole(polyglot: Polyglot) -> None:
    texts = ["red circle", LONG, "bar"]
    mean = polyglot.encode_text(texts, "en", long="mean")
    with pytest.warns(TruncationWarning):
        cut = polyglot.encode_text(texts, "en")
    assert torch.equal(mean[[0, 2]], cut[[0, 2]])  # what fits has the same feature, bit for bit
    pieces = windows(polyglot.base.tokenizer, LONG)
    assert len(pieces) > 1
    expected = torch.nn.functional.normalize(polyglot.encode_text(pieces, "en").mean(dim=0), dim=0)
    torch.testing.assert_close(mean[1], expected, atol=1e-6, rtol=0)
    other = polyglot.encode_text([f"{LONG} grass"], "en", long="mean")
    assert not torch.allclose(other[0], mean[1])  # its end counts


def test_an_unknown_way_with_long_texts(polyglot: Polyglot) -> None:
    with pytest.raises(ConfigError, match="use cut or mean"):
        polyglot.encode_text("red", long="fold")  # type: ignore[arg-type]


# --- guesses ---


@pytest.fixture
def guessing(school: School, tmp_path: Path) -> Polyglot:
    """German, French and Hindi, each with the profile of what it was taught on."""
    made = []
    for code in ("de", "fr", "hi"):
        write_pack(
            tmp_path / code, school.teach(None, code, isolation="per-language").state, name=code, method="lexicon",
            learnt=[code], base=school.base, settings={}, data={}, scores={},
            profiles={code: Profile.learn(school.captions[code].texts)},
        )  # fmt: skip
        made.append(LanguagePack.load(tmp_path / code, school.base))
    return Polyglot(school.base, made)


def test_auto_takes_the_guessed_language_where_it_is_sure(guessing: Polyglot) -> None:
    texts = ["लाल", "ein roter Kreis", "un cercle rouge et un carré vert"]
    assert guessing.detect(texts) == ["hi", "de", "fr"]
    sure = [row for row, guess in enumerate(guessing.guess(texts)) if guess.sure]
    assert 0 in sure
    together = guessing.encode_text(texts, lang="auto")
    given = guessing.encode_text(texts, lang=["hi", "de", "fr"])
    torch.testing.assert_close(together[sure], given[sure], atol=1e-6, rtol=0)


def test_auto_fuses_the_likely_languages_where_it_is_not(guessing: Polyglot) -> None:
    texts = ["123", "rouge", "लाल", "rot"]
    together = guessing.encode_text(texts, lang=["auto", "fr", "auto", "auto"])
    torch.testing.assert_close(together.norm(dim=1), torch.ones(4))
    for row in (0, 2, 3):
        (guess,) = guessing.guess([texts[row]])
        parts = [share * guessing.encode_text(texts[row], lang=code) for code, share in guess.likely.items()]
        wanted = torch.nn.functional.normalize(torch.stack(parts).sum(dim=0), dim=-1)
        torch.testing.assert_close(together[row : row + 1], wanted, atol=1e-6, rtol=0)
    assert set(guessing.guess(["123"])[0].likely) == {"en", "de", "fr", "hi"}
    torch.testing.assert_close(together[1:2], guessing.encode_text("rouge", lang="fr"), atol=1e-6, rtol=0)


def test_the_guess_follows_what_is_installed(guessing: Polyglot) -> None:
    assert guessing.detect(["ein roter Kreis", "लाल"]) == ["de", "hi"]
    pack = guessing.remove_pack("de")
    assert "de" not in guessing.guess(["ein roter Kreis"])[0].probabilities
    guessing.add_pack(pack)
    assert guessing.detect(["ein roter Kreis"]) == ["de"]


def test_packs_without_a_profile_are_guessed_too(polyglot: Polyglot) -> None:
    assert polyglot.detect(["लाल", "रोटी"]) == ["hi", "hi"]
    assert polyglot.encode_text(["ein Kreis", "123"], lang="auto").shape == (2, 16)
    assert Polyglot(polyglot.base).guess(["ein Kreis"])[0].likely == {"en": 1.0}


@pytest.mark.parametrize(("asked", "code"), [("de-AT", "de"), ("fr_CA", "fr"), ("hi-IN", "hi"), ("en-US", "en")])
def test_a_regional_code_takes_its_language(polyglot: Polyglot, asked: str, code: str) -> None:
    with pytest.warns(LanguageFallbackWarning, match=f"'{code}' is used instead"):
        found = polyglot.encode_text(["rot", "x"], lang=[asked, code])
    assert torch.equal(found, polyglot.encode_text(["rot", "x"], lang=code))


def test_a_pack_is_removed_by_a_regional_code_and_not_by_another_script(polyglot: Polyglot) -> None:
    assert polyglot.remove_pack("de-CH").name == "de"
    for code in ("hi-Latn", "de", "gsw"):
        with pytest.raises(LanguageError, match="no pack provides"):
            polyglot.remove_pack(code)


def test_repr_says_base_languages_and_packs(base: DualEncoder) -> None:
    assert repr(Polyglot(base)) == f"Polyglot(base='{base.name}', languages=[en], packs=[])"


def test_repr_stays_short_with_many_languages(base: DualEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [f"l{number}" for number in range(40)]
    monkeypatch.setattr(Polyglot, "languages", codes)
    assert repr(Polyglot(base)).count("l1") == 3 and "… 40 in all" in repr(Polyglot(base))
