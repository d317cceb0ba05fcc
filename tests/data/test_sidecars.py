from pathlib import Path

import pytest

from glotclip.data import readers
from glotclip.data.schema import check_share
from glotclip.errors import DataError


def _folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_captions_beside_images(tmp_path: Path) -> None:
    _folder(
        tmp_path,
        {
            "a.jpg": "x",
            "a.txt": "a dog\n\nthe dog\n",
            "a.de.txt": "ein Hund\nder Hund",
            "my.photo.PNG": "x",
            "my.photo.zh-hant.txt": "狗",
            "b.webp": "x",
            "b.webp.txt": "a cat",
            "val/c.jpg": "x",
            "val/c.fr.txt": "un chat",
            "without.jpg": "x",
            ".hidden/d.jpg": "x",
            ".hidden/d.txt": "hidden",
        },
    )
    corpus = readers.read(tmp_path, default_lang="en")
    assert corpus.skipped == ()
    found = {(row.text, row.lang, row.english, row.split, row.group) for row in corpus.rows}
    assert found == {
        ("a dog", "en", None, "train", "a.jpg"),
        ("the dog", "en", None, "train", "a.jpg"),
        ("ein Hund", "de", "a dog", "train", "a.jpg"),
        ("der Hund", "de", "the dog", "train", "a.jpg"),
        ("狗", "zh-Hant", None, "train", "my.photo.PNG"),
        ("a cat", "en", None, "train", "b.webp"),
        ("un chat", "fr", None, "validation", str(Path("val/c.jpg"))),
    }
    assert {row.image for row in corpus.rows if row.group == "a.jpg"} == {tmp_path / "a.jpg"}


def test_what_is_not_used_is_named_and_spoils_nothing(tmp_path: Path) -> None:
    _folder(tmp_path, {
        "a.jpg": "x", "a.de.txt": "gut", "b.jpg": "x", "c.avif": "x", "c.de.txt": "\n \n", "d.de.txt": "",
        "film.mp4": "x", "notes.pdf": "x", ".hidden.jpg": "x",
    })  # fmt: skip
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "loop").symlink_to(tmp_path)
    corpus = readers.read(tmp_path)
    assert [row.text for row in corpus.rows] == ["gut"] and corpus.skipped == ()
    assert {Path(each.where).name: each.reason for each in corpus.unused} == {
        "b.jpg": "image without captions",
        "c.de.txt": "caption file without a caption",
        "d.de.txt": "empty file",
        "film.mp4": "other file: .mp4",
        "notes.pdf": "other file: .pdf",
        ".hidden.jpg": "hidden (the name begins with a dot)",
        "loop": "linked folder that is listed under another name",
    }
    check_share(corpus)  # a folder of many images and few captions is no fault


def test_what_cannot_be_used_is_listed(tmp_path: Path) -> None:
    _folder(tmp_path, {"a.jpg": "x", "a.de.txt": "gut\na\x07b\n", "a.klingon.txt": "qa", "readme.txt": "hello"})
    (tmp_path / "b.jpg").write_bytes(b"x")
    (tmp_path / "b.de.txt").write_bytes(b"T\xfcr")
    corpus = readers.read(tmp_path)
    assert [row.text for row in corpus.rows] == ["gut"]
    listed = {(Path(item.where).name, item.line) for item in corpus.skipped}
    assert listed == {("a.de.txt", 2), ("a.klingon.txt", 1), ("readme.txt", None), ("b.de.txt", None)}


def test_a_language_must_be_known(tmp_path: Path) -> None:
    _folder(tmp_path, {"a.jpg": "x", "a.txt": "gut"})
    with pytest.raises(DataError, match="does not say its language"):
        readers.read(tmp_path)


def test_a_folder_without_captions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no caption files"):
        readers.read(tmp_path)
