from __future__ import annotations

from pathlib import Path

import pytest

from glotclip.errors import DataError
from glotclip.translate.vocabulary import whole_words, wordnet_nouns

NOUNS = (
    "  1 This software and database is being provided\n"
    "00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 ~ 00002137 n 0000 ~ 04424418 n 0000 | that which is\n"
    "02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 001 @ 02083346 n 0000 | a member of the genus\n"
)


@pytest.mark.parametrize(
    "pieces",
    [
        ["dog", "##gy", "[CLS]", "a", "Dog", "über", "cat", "12"],
        ["▁dog", "gy", "<s>", "▁a", "▁Dog", "▁über", "▁cat", "▁12"],
        ["dog</w>", "gy", "<|startoftext|>", "a</w>", "Dog</w>", "über</w>", "cat</w>", "12</w>"],
        ["Ġdog", "gy", "Ġa", "ĠDog", "Ġcat"],
    ],
)
def test_words_of_any_tokenizer(pieces: list[str]) -> None:
    assert whole_words(pieces) == ["cat", "dog"]


def test_nouns(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(NOUNS, encoding="utf-8")
    assert wordnet_nouns(tmp_path / "data.noun") == ["dog", "domestic dog", "entity"]
    (tmp_path / "other").write_text("dog cat\n", encoding="utf-8")
    for name in ("other", "nowhere"):
        with pytest.raises(DataError, match="WordNet"):
            wordnet_nouns(tmp_path / name)
