"""What looks like a mistake is warned of, with a count and an example; what is usual is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from glotclip.data.digests import alike
from glotclip.data.likely_mistakes import likely_mistakes
from glotclip.data.schema import Corpus, Row


def rows(count: int, lang: str = "de") -> list[Row]:
    """Rows as they should be."""
    return [Row(f"Nummer {n}", lang, image=Path(f"/{n}.png"), english=f"number {n}") for n in range(count)]


def said(*extra: Row, count: int = 20) -> str:
    return "\n".join(likely_mistakes(Corpus("c", (*rows(count), *extra))))


def test_nothing_is_said_of_usual_data() -> None:
    assert said() == ""
    five = [Row(f"Wort {n}", "de", image=Path("/1.png"), english="number 1") for n in range(5)]
    assert said(*five) == ""  # several texts of one image
    assert likely_mistakes(Corpus("c", (Row("ein Hund", "de"),))) == ()


def test_one_text_under_many_images() -> None:
    found = said(*(Row("kein Bild", "de", image=Path(f"/more-{n}.png")) for n in range(7)))
    assert found == "the de text 'kein Bild' stands under 7 different images"


def test_many_texts_with_one_english_partner() -> None:
    found = said(*(Row(f"Wort {n}", "de", image=Path(f"/more-{n}.png"), english="a photo") for n in range(6)))
    assert found == "6 different de texts have one English counterpart, 'a photo'"
    alone = [Row(f"Wort {n}", "de", english="a photo") for n in range(6)]
    assert "6 different de texts have one English counterpart" in "\n".join(
        likely_mistakes(Corpus("c", tuple(alone)))
    )


def test_all_texts_are_one() -> None:
    same = tuple(Row("Bild", "de", image=Path(f"/{n}.png")) for n in range(4))
    assert likely_mistakes(Corpus("c", same)) == ("all 4 de texts are the same: 'Bild'",)


def test_untranslated_texts() -> None:
    same = tuple(Row(f"dog {n}", "de", english=f"Dog {n}") for n in range(9))
    assert "9 of 9 de texts equal their English, first 'dog 0'" in likely_mistakes(Corpus("c", same))


def test_rows_that_are_there_twice() -> None:
    assert said(rows(1)[0]) == "1 row is there before word for word, first de 'Nummer 0'"


@pytest.mark.parametrize("other", ["test", "validation"])
def test_a_image_in_two_splits(other: str, tmp_path: Path) -> None:
    one, copy, alone = (tmp_path / name for name in ("one.png", "copy.png", "alone.png"))
    for path, content in ((one, b"one"), (copy, b"one"), (alone, b"two")):
        path.write_bytes(content)
    by_path = likely_mistakes(
        Corpus("c", (Row("eins", "de", one), Row("zwei", "de", one, split=other), Row("drei", "de", alone)))
    )
    assert by_path == (f"1 image is in train and in {other}, first {one}",)
    by_content = likely_mistakes(Corpus("c", (Row("eins", "de", one), Row("zwei", "de", copy, split=other))))
    assert by_content == (f"1 train image is a copy of one in {other}, byte for byte, first {one} and {copy}",)
    assert likely_mistakes(Corpus("c", (Row("eins", "de", one), Row("zwei", "de", alone, split=other)))) == ()


def test_files_that_are_alike(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abcd"]
    for path, content in zip(paths, (b"same", b"same", b"else", b"longer"), strict=True):
        path.write_bytes(content)
    a, b, *_ = paths
    assert alike([*paths, None, tmp_path / "none", a]) == {a: a, b: a}
    assert alike(paths, most=3) == {}
