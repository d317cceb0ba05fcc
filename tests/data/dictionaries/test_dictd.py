from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from glotclip.data.dictionaries.cleaning import Cleaner
from glotclip.data.dictionaries.dictd import Dictd, pairs_of
from glotclip.errors import DataError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

GERMAN = """Anhebung /ˈanhˌeːbʊŋ/ <fem, n, sg>
 [electr.] increase <n>, rise <n>
         Note: in
   Synonym: {Anheben}
      "Anhebung der Gehälter um 3%"  - increase of 3% in salaries

 see: {Hebung}
"""


@pytest.mark.parametrize("packed", [True, False])
def test_entries_become_pairs_with_their_examples(desk: Desk, packed: bool) -> None:
    index = desk.dictd(
        "freedict-deu-eng", [("anhebung", GERMAN), ("heben", "Heben\n1. lift\n2. raise\n")], packed=packed
    )
    cleaner = Cleaner()
    assert list(Dictd(index).pairs(cleaner)) == [
        ("Anhebung der Gehälter um 3%", "increase of 3% in salaries"),
        ("Anhebung", "increase"), ("Anhebung", "rise"), ("Heben", "lift"), ("Heben", "raise"),
    ]  # fmt: skip
    assert cleaner.dropped["cross references and notes"] == 3


def test_an_entry_under_several_words_counts_once(desk: Desk) -> None:
    index = desk.dictd("x", [("hund", "Hund\ndog\n")])
    index.write_text(index.read_text() + index.read_text().splitlines()[-1].replace("hund", "hunde") + "\n")
    assert list(Dictd(index).pairs(Cleaner())) == [("Hund", "dog")]


def test_several_headwords_of_an_entry_are_parted() -> None:
    entry = "アップスタイル /ˌäppɯᵝ/, アップ・スタイル /ˈä ʔ ɸˈɯᵝ/\nup style\n"
    assert list(pairs_of([entry], Cleaner())) == [("アップスタイル", "up style"), ("アップ・スタイル", "up style")]
    assert list(pairs_of(["aber, dalli /x/\nhurry\n"], Cleaner())) == [("aber, dalli", "hurry")]


def test_marks_never_reach_from_one_entry_into_the_next() -> None:
    entries = ["Hund <n\ndog (a pet\n", "Katze\n1. cat) [x\n", "Haus /haʊs/\nhouse]\n", "see: x\nto look\n"]
    found = dict(pairs_of([*entries, "Mond\nmoon\n"], Cleaner()))
    assert found["Mond"] == "moon" and found["see: x" if "see: x" in found else "Mond"]
    assert "Hund" not in found and "cat" not in found.values()


def test_a_translation_glued_to_a_note_is_found() -> None:
    entry = "アップロード\n(noun (common) (futsuumeishi))\n         Note: abbreviationuploading\n"
    assert list(pairs_of([entry], Cleaner())) == [("アップロード", "uploading")]


def test_wikdicts_explanations_are_no_translations() -> None:
    entry = "ateria /ˈaterˌia/ <n>\nmeal, repast 2.\nyhdellä kerralla nautittava\n 3.\nruokailu\n"
    assert list(pairs_of([entry], Cleaner(), wikdict=True)) == [("ateria", "meal"), ("ateria", "repast")]
    entry = "Balinese /bali/ <n>\n1. balilainen\ninhabitant\n2. bali\nlanguage\n"
    assert list(pairs_of([entry], Cleaner(), wikdict=True)) == [("Balinese", "balilainen"), ("Balinese", "bali")]


def test_damage_is_told(desk: Desk) -> None:
    index = desk.dictd("x", [("hund", "Hund\ndog\n")])
    good = index.read_text()
    index.write_text("hund\tnonsense\n")
    with pytest.raises(DataError, match="no line of a dictd index"):
        list(Dictd(index).pairs(Cleaner()))
    index.write_text(good.replace("hund\t", "hund\t/"))
    with pytest.raises(DataError, match="points at byte"):
        list(Dictd(index).pairs(Cleaner()))
    index.write_text(good)
    body = Dictd(index).body
    body.write_bytes(body.read_bytes()[:-9])
    with pytest.raises(DataError, match="is damaged"):
        list(Dictd(index).pairs(Cleaner()))
    body.unlink()
    with pytest.raises(DataError, match="does not lie beside it"):
        list(Dictd(index).pairs(Cleaner()))
