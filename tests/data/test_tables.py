from pathlib import Path

import pytest

from glotclip.data import readers
from glotclip.data.tables import SYNONYMS, field_of
from glotclip.errors import DataError


def _write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_semicolons_as_european_spreadsheets_write_them(tmp_path: Path) -> None:
    corpus = readers.read(_write(tmp_path / "c.csv", "text;lang\nein Hund, groß;de\n"))
    assert corpus.rows[0].text == "ein Hund, groß"


def test_tsv_takes_quotation_marks_as_they_stand(tmp_path: Path) -> None:
    path = _write(tmp_path / "c.tsv", 'text\tlang\n"Halt!", rief er\tde\n"sagt ""ja"""\tde\n"\tde\n')
    assert [row.text for row in readers.read(path).rows] == ['"Halt!", rief er', 'sagt "ja"', '"']


def test_bad_json_lines_are_listed(tmp_path: Path) -> None:
    lines = ['{"text": "gut", "lang": "de", "group": 7}', "{", "[1]", '{"text": 5, "lang": "de"}', '{"lang": "de"}']
    lines += ['{"text": "a", "lang": "de", "translations": ["b"]}', "[" * 100_000]
    corpus = readers.read(_write(tmp_path / "c.jsonl", "\n".join(lines)))
    assert [(row.text, row.group) for row in corpus.rows] == [("gut", "7")]
    assert [item.line for item in corpus.skipped] == [2, 3, 4, 5, 6, 7]


def test_a_missing_column_names_what_is_there_and_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        readers.read(_write(tmp_path / "c.csv", "image,Captoin,Langauge\na,b,c\n"))
    assert "no column 'text', 'lang'; found: image, Captoin, Langauge" in caught.value.message
    assert "did you mean 'Captoin' for 'text'?" in caught.value.hint
    assert "did you mean 'Langauge' for 'lang'?" in caught.value.hint
    assert "--default-lang" in caught.value.hint
    for name, text in (("d.csv", ""), ("d.jsonl", '{"lang": "de"}\n'), ("d.tsv", "text\nein Hund\n")):
        with pytest.raises(DataError, match="no column"):
            readers.read(_write(tmp_path / name, text))


def test_an_open_quotation_mark_does_not_swallow_the_rest_unsaid(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="opened in line 3"):
        readers.read(_write(tmp_path / "c.csv", 'text,lang\na,de\n"b,de\nc,de\nd,de\n'))


def test_synonyms_name_one_field_each() -> None:
    names = [name for field in tuple(SYNONYMS) for name in SYNONYMS[field]]
    assert len(names) == len(set(names))
    assert field_of(" File-Name ") == "image"
    assert field_of("colour") is None
