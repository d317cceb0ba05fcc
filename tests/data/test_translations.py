"""Machine translations beside captions, as they are released; their use is tested with the corpora that have them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glotclip.data import translations
from glotclip.data.schema import Row

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def _file(place: Path, lang: str) -> Path | None:
    path = place / f"{lang}.txt"
    return path if path.exists() else None


def test_texts_join_the_rows_of_their_lines(desk: Desk) -> None:
    desk.lines("translated_from_en/de.txt", ["ein Hündchen", "ein Kater"])
    desk.lines("to_english/de.txt", ["one dog", "one cat"])
    found = translations.load([desk.root], "de", ["en", "de"], 2, _file)
    assert found.skipped == ()
    assert found.add_to(Row("eine Katze", "de"), 1) == Row(
        "eine Katze", "de", to_english="one cat", from_english="ein Kater"
    )
    assert list(translations.provenance([desk.root])) == ["from_english", "to_english"]


def test_english_needs_none(desk: Desk) -> None:
    desk.lines("to_english/en.txt", ["a dog"])
    found = translations.load([desk.root], "en", ["en", "de"], 1, _file)
    assert found.add_to(Row("a dog", "en"), 0) == Row("a dog", "en")


def test_a_copy_is_kept_only_where_its_script_fits(desk: Desk) -> None:
    for lang in ("ko", "it"):
        desk.lines(f"from_english/{lang}.txt", desk.captions("it"))
    langs = ["en", "ko", "it"]
    korean = translations.load([desk.root], "ko", langs, 8, _file)
    assert not korean.lines and "the same file as for it" in str(korean.skipped[0][2])
    assert translations.load([desk.root], "it", langs, 8, _file).lines == {"from_english": desk.captions("it")}
    short = translations.load([desk.root], "it", langs, 9, _file)
    assert not short.lines and "8 lines for 9 captions" in str(short.skipped[0][2])
