import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data import readers
from glotclip.data.schema import Row
from glotclip.errors import DataError, LanguageError


def _write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_csv_with_every_column(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"x")
    (tmp_path / "1.mp4").write_bytes(b"x")
    path = _write(
        tmp_path / "c.csv",
        "image,video,text,lang,english,split,group,translations\n"
        '1.jpg,1.mp4,"ein Hund, groß",de,a big dog,val,g1,"{""fr"": ""un grand chien""}"\n',
    )
    corpus = readers.read(path)
    image, video = tmp_path / "1.jpg", tmp_path / "1.mp4"
    french = {"fr": "un grand chien"}
    assert corpus.rows == (
        Row("ein Hund, groß", "de", image, video, "a big dog", french, "validation", "g1"),
        Row("un grand chien", "fr", image, video, "a big dog", {}, "validation", "g1"),
    )
    assert corpus.skipped == ()
    assert corpus.name == "c.csv"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_every_kind_reads_the_same(tmp_path: Path, suffix: str, packed: bool, newline: str, encoding: str) -> None:
    pairs = [("ein Hund", "de"), ("สุนัข", "th"), ("a «dog»", "en")]
    if suffix == ".jsonl":
        lines = [json.dumps({"Caption": text, "language": lang}) for text, lang in pairs]
    else:
        sign = "," if suffix == ".csv" else "\t"
        lines = [f"Caption{sign} Language", *(sign.join(pair) for pair in pairs)]
    content = (newline.join(lines) + newline).encode(encoding)
    path = tmp_path / f"c{suffix}{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(content) if packed else content)
    corpus = readers.read(path)
    assert [(row.text, row.lang) for row in corpus.rows] == pairs
    assert corpus.skipped == ()


def test_default_language_fills_in(tmp_path: Path) -> None:
    corpus = readers.read(_write(tmp_path / "c.csv", "text\nein Hund\n"), default_lang="DE")
    assert corpus.languages == ["de"]
    with pytest.raises(LanguageError):
        readers.read(tmp_path / "c.csv", default_lang="german")


def test_wrong_encodings_name_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not UTF-8: line 3 holds the byte 0xfc"):
        readers.read(_write(tmp_path / "c.csv", "text,lang\nHund,de\nTür,de\n", "latin-1"))
    with pytest.raises(DataError, match="UTF-16 without a byte-order mark"):
        readers.read(_write(tmp_path / "c.csv", "text,lang\n", "utf-16-le"))


def test_files_that_are_no_caption_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        readers.read(tmp_path / "none.csv")
    with pytest.raises(DataError, match="not a kind"):
        readers.read(_write(tmp_path / "c.xlsx", "text,lang\n"))
    with pytest.raises(DataError, match="not a whole gzip"):
        readers.read(_write(tmp_path / "c.csv.gz", "text,lang\n"))
    whole = gzip.compress(b"text,lang\n" + b"a,de\n" * 1000)
    (tmp_path / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not a whole gzip"):
        readers.read(tmp_path / "t.csv.gz")


@pytest.mark.slow
@given(st.binary(max_size=200))
def test_no_content_leads_to_an_unknown_error(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".tsv", ".jsonl", ".csv.gz"):
            path = Path(folder) / f"c{suffix}"
            head = b"" if suffix == ".jsonl" else b"text\tlang\n" if suffix == ".tsv" else b"text,lang\n"
            path.write_bytes(head + content)
            try:
                corpus = readers.read(path, default_lang="de")
            except DataError:
                continue
            assert all(row.text for row in corpus.rows)
