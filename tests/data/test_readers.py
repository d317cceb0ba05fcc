import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data import readers
from glotclip.data.columns import FIELDS, SYNONYMS, field_of
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


def test_semicolons_as_european_spreadsheets_write_them(tmp_path: Path) -> None:
    corpus = readers.read(_write(tmp_path / "c.csv", "text;lang\nein Hund, groß;de\n"))
    assert corpus.rows[0].text == "ein Hund, groß"


def test_tsv_takes_quotation_marks_as_they_stand(tmp_path: Path) -> None:
    path = _write(tmp_path / "c.tsv", 'text\tlang\n"Halt!", rief er\tde\n"sagt ""ja"""\tde\n"\tde\n')
    assert [row.text for row in readers.read(path).rows] == ['"Halt!", rief er', 'sagt "ja"', '"']


def test_bad_rows_are_listed_with_line_and_reason(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "c.csv",
        'image,text,lang\n,gut,de\n,"zwei\nZeilen",de\n,,de\n\n,gut,xx-nope\n,zu,viele,Spalten\nnone.jpg,gut,de\n'
        ',"kaputt"x,de\n,gut,\n,auch gut,de\n',
    )
    corpus = readers.read(path)
    assert [row.text for row in corpus.rows] == ["gut", "zwei Zeilen", "auch gut"]
    assert [bad.line for bad in corpus.skipped] == [5, 7, 8, 9, 10, 11]
    reasons = [
        "empty",
        "unknown language",
        "4 columns",
        "does not exist",
        "not valid CSV",
        "does not say its language",
    ]
    for bad, reason in zip(corpus.skipped, reasons, strict=True):
        assert reason in bad.reason
        assert bad.where == str(path)
    with pytest.raises(DataError, match="6 of 9"):
        readers.check_share(corpus)


def test_bad_json_lines_are_listed(tmp_path: Path) -> None:
    lines = ['{"text": "gut", "lang": "de", "group": 7}', "{", "[1]", '{"text": 5, "lang": "de"}', '{"lang": "de"}']
    lines += ['{"text": "a", "lang": "de", "translations": ["b"]}', "[" * 100_000]
    corpus = readers.read(_write(tmp_path / "c.jsonl", "\n".join(lines)))
    assert [(row.text, row.group) for row in corpus.rows] == [("gut", "7")]
    assert [bad.line for bad in corpus.skipped] == [2, 3, 4, 5, 6, 7]


def test_a_missing_column_names_what_is_there_and_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        readers.read(_write(tmp_path / "c.csv", "picture,Captoin,Langauge\na,b,c\n"))
    assert "no column 'text', 'lang'; found: picture, Captoin, Langauge" in caught.value.message
    assert "did you mean 'Captoin' for 'text'?" in caught.value.hint
    assert "did you mean 'Langauge' for 'lang'?" in caught.value.hint
    assert "--default-lang" in caught.value.hint
    for name, text in (("d.csv", ""), ("d.jsonl", '{"lang": "de"}\n'), ("d.tsv", "text\nein Hund\n")):
        with pytest.raises(DataError, match="no column"):
            readers.read(_write(tmp_path / name, text))


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


def test_an_open_quotation_mark_does_not_swallow_the_rest_unsaid(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="opened in line 3"):
        readers.read(_write(tmp_path / "c.csv", 'text,lang\na,de\n"b,de\nc,de\nd,de\n'))


def test_english_is_found_in_the_rows_of_the_same_picture(tmp_path: Path) -> None:
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


def test_pictures_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "1.jpg").write_bytes(b"x")
    path = _write(tmp_path / "c.csv", "image,text,lang\n1.jpg,ein Hund,de\n")
    assert len(readers.read(path).skipped) == 1
    assert readers.read(path, images=tmp_path / "pictures").rows[0].image == tmp_path / "pictures" / "1.jpg"


def test_synonyms_name_one_field_each() -> None:
    names = [name for field in FIELDS for name in SYNONYMS[field]]
    assert len(names) == len(set(names))
    assert field_of(" File-Name ") == "image"
    assert field_of("colour") is None


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
