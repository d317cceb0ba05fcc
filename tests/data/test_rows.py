import json
from pathlib import Path

import pytest

from glotclip.data import readers
from glotclip.data.schema import check_share
from glotclip.errors import DataError


def _write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_bad_rows_are_listed_with_line_and_reason(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "c.csv",
        'image,text,lang\n,gut,de\n,"zwei\nZeilen",de\n,,de\n\n,gut,xx-nope\n,zu,viele,Spalten\nnone.jpg,gut,de\n'
        ',"kaputt"x,de\n,gut,\n,auch gut,de\n',
    )
    corpus = readers.read(path)
    assert [row.text for row in corpus.rows] == ["gut", "zwei Zeilen", "auch gut"]
    assert [item.line for item in corpus.skipped] == [5, 7, 8, 9, 10, 11]
    reasons = [
        "empty",
        "unknown language",
        "4 columns",
        "does not exist",
        "not valid CSV",
        "does not say its language",
    ]
    for item, reason in zip(corpus.skipped, reasons, strict=True):
        assert reason in item.reason
        assert item.where == str(path)
    with pytest.raises(DataError, match="6 of 9"):
        check_share(corpus)


def test_english_is_found_in_the_rows_of_the_same_image(tmp_path: Path) -> None:
    path = _write(tmp_path / "c.csv", "text,lang,group\nein Hund,de,1\na dog,en,1\nune chatte,fr,2\n")
    assert [row.english for row in readers.read(path).rows] == ["a dog", None, None]


def test_translations_become_rows_once(tmp_path: Path) -> None:
    lines = [
        {"text": "a dog", "lang": "en", "group": "1", "translations": {"de": "ein Hund", "jp": "犬"}},
        {"text": "ein Hund", "lang": "de", "group": "1"},
        {"text": "un chien", "lang": "fr", "translations": {"en": "a dog"}},
    ]
    corpus = readers.read(_write(tmp_path / "c.jsonl", "\n".join(map(json.dumps, lines))))
    assert [(row.lang, row.text, row.english) for row in corpus.rows] == [
        ("en", "a dog", None),
        ("ja", "犬", "a dog"),
        ("de", "ein Hund", "a dog"),
        ("fr", "un chien", "a dog"),
        ("en", "a dog", None),
    ]


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(b"x")
    path = _write(tmp_path / "c.csv", "image,text,lang\n1.jpg,ein Hund,de\n")
    assert len(readers.read(path).skipped) == 1
    assert readers.read(path, images=tmp_path / "images").rows[0].image == tmp_path / "images" / "1.jpg"
