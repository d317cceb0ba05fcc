from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

ROOT = Path(__file__).parents[1]

NOUNS = [
    "  1 This software and database is being provided to you",
    "00001740 03 n 01 entity 0 001 ~ 00002137 n 0000 | that which is",
    "00002137 03 n 02 living_thing 0 animate_thing 0 002 @ 00001740 n 0000 ~ 00003000 n 0000 | alive; or once alive",
    "00003000 03 n 01 dog 1 003 @ 00002137 n 0000 #m 00001740 n 0000 + 00692347 v 0101 | a barking animal; "
    '"the dog barked"  ',
    "00004000 03 n 01 Rex 0 001 @i 00003000 n 0000 | a certain dog",
]


@pytest.fixture(scope="module")
def script() -> SimpleNamespace:
    """The script's names."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "make_photo_table.py")))


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    (tmp_path / "data.noun").write_text("\n".join(NOUNS), encoding="utf-8")
    return tmp_path / "data.noun"


def test_nouns_are_read_with_what_they_are_kinds_of(wordnet: Path, script: SimpleNamespace) -> None:
    nouns = script.read_wordnet(wordnet)
    assert nouns["00002137"].names == ["living thing", "animate thing"]
    assert nouns["00003000"].gloss == "a barking animal"
    assert nouns["00003000"].above == ["00002137"]
    assert script.kinds_of("00004000", nouns) == {"00003000", "00002137", "00001740"}


def test_rows_are_mixed_as_written(script: SimpleNamespace) -> None:
    torch.manual_seed(0)
    names, glosses, kinds, kind_glosses, looks = (F.normalize(torch.randn(4, 8), dim=-1) for _ in range(5))
    member = torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])  # the third kind has no class
    settings = script.Settings(gloss=0.5, above=2.0, shared=-1.0, firm=None)
    table = script.Ingredients(names, glosses, kinds, kind_glosses, member, looks).mixed(settings)
    rows = []
    for c in range(4):
        row = names[c] + 0.5 * glosses[c]
        above = torch.zeros(8)
        for k in range(4):
            if member[k, c]:
                both = kinds[k] + kind_glosses[k]
                above += both / both.norm() / member[k].sum()
        row = row / row.norm() + 2.0 * above / above.norm()
        rows.append(row / row.norm())
    for c in range(4):
        row = rows[c] - sum(rows, torch.zeros(8)) / 4
        torch.testing.assert_close(table[c], row / row.norm())
