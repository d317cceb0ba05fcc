import gzip
from pathlib import Path

import pytest

from glotclip.data import multi30k
from glotclip.errors import DataError


def _folder(root: Path) -> Path:
    files = {
        "train.en": "a dog\na cat\n",
        "train.de": "ein Hund\neine Katze\n",
        "val.en": "a bird\n",
        "val.fr": "un oiseau\n",
        "test_2016_flickr.en": "a cow\n",
    }
    for name, text in files.items():
        (root / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (root / "train.images.txt.gz").write_bytes(gzip.compress(b"1.jpg\n2.jpg\n"))
    (root / "val.images.txt").write_text("3.jpg\n")
    (root / "README.md").write_text("not data")
    return root


def test_lines_become_rows(tmp_path: Path) -> None:
    corpus = multi30k.read(_folder(tmp_path))
    assert corpus.bad == ()
    found = {(row.text, row.lang, row.english, row.split, row.group) for row in corpus.rows}
    assert found == {
        ("a dog", "en", None, "train", "1.jpg"),
        ("a cat", "en", None, "train", "2.jpg"),
        ("ein Hund", "de", "a dog", "train", "1.jpg"),
        ("eine Katze", "de", "a cat", "train", "2.jpg"),
        ("a bird", "en", None, "validation", "3.jpg"),
        ("un oiseau", "fr", "a bird", "validation", "3.jpg"),
        ("a cow", "en", None, "test", "test-0"),
    }
    assert all(row.image is None for row in corpus.rows)


def test_pictures_are_taken_where_they_are(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("1.jpg", "3.jpg"):
        (pictures / name).write_bytes(b"x")
    corpus = multi30k.read(_folder(tmp_path), images=pictures)
    assert {row.image for row in corpus.rows} == {pictures / "1.jpg", pictures / "3.jpg"}
    assert {bad.line for bad in corpus.bad if "2.jpg does not exist" in bad.reason} == {2}


def test_counts(tmp_path: Path) -> None:
    assert multi30k.check(_folder(tmp_path)) == {
        "train.de": 2,
        "train.en": 2,
        "train.images": 2,
        "validation.en": 1,
        "validation.fr": 1,
        "validation.images": 1,
        "test.en": 1,
    }


def test_what_is_not_multi30k(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no files of Multi30K"):
        multi30k.check(tmp_path)
    _folder(tmp_path)
    (tmp_path / "train.fr").write_text("un chien\n")
    with pytest.raises(DataError, match="has 1 lines, but there are 2 pictures"):
        multi30k.read(tmp_path)
