from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.schema import (
    Corpus,
    Row,
    SkippedItem,
    check_row,
    check_share,
    clean_text,
    describe,
    fill_english,
    write_skipped,
)
from glotclip.errors import DataError, LanguageError


def test_a_row_becomes_canonical(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    row = Row("  ein\tHund\n", "DE", Path("a.jpg"), translations={"jp": "犬", "en": "a dog"}, split="val", group="7")
    checked = check_row(row, root=tmp_path)
    assert checked.text == "ein Hund"
    assert checked.lang == "de"
    assert checked.image == tmp_path / "a.jpg"
    assert checked.translations == {"ja": "犬", "en": "a dog"}
    assert checked.english == "a dog"
    assert checked.split == "validation"
    assert check_row(checked) == checked


def test_machine_texts_are_cleaned_and_belong_to_other_languages_than_english() -> None:
    checked = check_row(Row("ein Hund", "de", to_english=" a\tdog ", from_english="ein  Hündchen"))
    assert (checked.to_english, checked.from_english) == ("a dog", "ein Hündchen")
    blank = check_row(Row("ein Hund", "de", to_english=" ", from_english=""))
    assert (blank.to_english, blank.from_english) == (None, None)
    english = check_row(Row("a dog", "en", to_english="a dog", from_english="a dog"))
    assert (english.to_english, english.from_english) == (None, None)
    assert check_row(checked) == checked


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row("", "de"), "empty"),
        (Row(" \n\t", "de"), "empty"),
        (Row("a\x00b", "de"), "U+0000"),
        (Row("a\x07b", "de"), "U+0007"),
        (Row("a\ufffdb", "de"), "U+FFFD"),
        (Row("a\ud800b", "de"), "U+D800"),
        (Row("a", "klingonisch"), "unknown language"),
        (Row("a", "de", translations={"xxxxxxxxxx": "b"}), "unknown language"),
        (Row("a", "de", translations={"fr": " "}), "empty"),
        (Row("a", "de", to_english="b\x00"), "U+0000"),
        (Row("a", "de", from_english="b\ufffd"), "U+FFFD"),
        (Row("a", "de", split="holdout"), "unknown split 'holdout'"),
        (Row("a", "de", image=Path("none.jpg")), "image none.jpg does not exist"),
        (Row("a", "de", video=Path("none.mp4")), "video none.mp4 does not exist"),
        (Row("a", "de", image=Path("n" * 5000)), "impossible name"),
    ],
)
def test_what_is_wrong_with_a_row_is_said(row: Row, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_row(row, root=tmp_path)
    assert reason in caught.value.message


def test_joined_emoji_and_arabic_marks_are_text() -> None:
    assert clean_text("👩‍🚀 می‌خواهم") == "👩‍🚀 می‌خواهم"


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    try:
        once = clean_text(text)
    except DataError:
        return
    assert clean_text(once) == once
    assert once == once.strip()


def _corpus() -> Corpus:
    rows = (
        Row("a dog", "en", Path("/1.jpg")),
        Row("ein Hund", "de", Path("/1.jpg")),
        Row("ein Rüde", "de", Path("/1.jpg")),
        Row("une chatte", "fr", group="cat", split="test"),
        Row("allein", "de"),
        Row("einsam", "de"),
    )
    return Corpus("pets", rows, (SkippedItem("f", 3, "empty"),))


def test_selecting_and_grouping() -> None:
    corpus = _corpus()
    assert corpus.languages == ["en", "de", "fr"]
    assert [row.text for row in corpus.select(lang="DE").rows] == ["ein Hund", "ein Rüde", "allein", "einsam"]
    assert [row.text for row in corpus.select(split="test").rows] == ["une chatte"]
    assert corpus.select(lang="de").skipped == corpus.skipped
    assert [row.key for row in corpus.rows] == ["/1.jpg", "/1.jpg", "/1.jpg", "cat", None, None]
    with pytest.raises(LanguageError):
        corpus.select(lang="german")
    with pytest.raises(DataError):
        corpus.select(split="everything")


def test_english_comes_from_the_same_image_in_turn() -> None:
    rows = (
        Row("one", "en", group="1"),
        Row("two", "en", group="1"),
        Row("eins", "de", group="1"),
        Row("zwei", "de", group="1", english="kept"),
        Row("drei", "de", group="1"),
        Row("un", "fr", group="1"),
        Row("quatre", "fr", group="2"),
        Row("cinq", "fr"),
    )
    assert [row.english for row in fill_english(rows)] == [None, None, "one", "kept", "one", "one", None, None]


def test_the_share_of_bad_rows_is_limited() -> None:
    corpus = _corpus()
    check_share(corpus, limit=1 / 7)
    with pytest.raises(DataError) as caught:
        check_share(corpus, limit=0.14)
    assert "1 of 7 rows of pets" in caught.value.message
    assert "f:3: empty" in caught.value.message
    with pytest.raises(DataError, match="holds no rows"):
        check_share(Corpus("nothing", ()), limit=1.0)


def test_bad_rows_are_listed_in_a_file(tmp_path: Path) -> None:
    corpus = Corpus("c", (), (SkippedItem("f.csv", 3, "has a\ttab"), SkippedItem("g.txt", None, "alone")))
    write_skipped(corpus, tmp_path / "bad.tsv")
    lines = (tmp_path / "bad.tsv").read_text().splitlines()
    assert lines == ["where\tline\treason", "f.csv\t3\thas a tab", "g.txt\t\talone"]
    assert describe(corpus.skipped[1]) == "g.txt: alone"
