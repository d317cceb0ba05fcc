"""What licences ask for, and that whoever passes a pack on is told before it is written."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.manifest import model_card, sources_of
from glotclip.packs.pack import write_pack
from glotclip.packs.polyglot import Polyglot
from glotclip.packs.saving import export
from glotclip.packs.terms import TermsWarning, asked_by, bound

if TYPE_CHECKING:
    from tests.conftest import School

GPL = {"name": "freedict deu-eng", "licence": "GPL-2.0-or-later", "source": "FreeDict", "url": "https://freedict.org"}
OPEN = {"name": "tatoeba", "licence": "CC-BY-2.0-FR", "source": "Tatoeba", "url": ""}


@pytest.mark.parametrize(
    ("licence", "asked"),
    [
        ("GPL-3.0-or-later", ("the same terms for what is made of it",)),
        ("CC-BY-SA-4.0", ("the same terms for what is made of it",)),
        ("CC-BY-NC-SA-4.0", ("no commercial use", "the same terms for what is made of it")),
        ("research use", ("no commercial use",)),
        ("CC-BY-ND-4.0", ("no changed versions",)),
        ("CC-BY-4.0", ()), ("CC0-1.0", ()), ("Unicode-3.0", ()), ("Apache-2.0", ()), ("unknown (yours)", ()),
    ],
)  # fmt: skip
def test_what_licences_ask_for(licence: str, asked: tuple[str, ...]) -> None:
    assert asked_by(licence) == asked


def polyglot_from(school: School, folder: Path, sources: list[dict[str, str]]) -> PolyglotFolder:
    state = school.teach(None, "de", isolation="per-language", steps=1).state
    facts: dict[str, Any] = {"name": "mixed", "captions": 12, "sources": sources}
    write_pack(
        folder / "pack", state, name="de", method="lexicon", learnt=["de"], base=school.base, settings={},
        data={"de": facts}, scores={},
    )  # fmt: skip
    model = Polyglot(school.base)
    model.add_pack(folder / "pack")
    model.save(folder / "model", with_base=True)
    return PolyglotFolder(folder / "model")


@pytest.mark.slow
def test_passing_on_a_pack_tells_its_terms_first(school: School, tmp_path: Path) -> None:
    made = polyglot_from(school, tmp_path, [GPL, OPEN])
    (manifest,) = made.manifests().values()
    assert bound([manifest]) == [
        "de: freedict deu-eng (GPL-2.0-or-later) asks for the same terms for what is made of it"
    ]
    card = model_card(manifest)
    assert "freedict deu-eng; licence: GPL-2.0-or-later (FreeDict, https://freedict.org)" in card
    assert "tatoeba; licence: CC-BY-2.0-FR (Tatoeba)" in card
    with pytest.warns(TermsWarning, match="freedict deu-eng"):
        export(made, tmp_path / "out.tar.gz")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TermsWarning):
            export(made, tmp_path / "never.tar.gz")
    assert not (tmp_path / "never.tar.gz").exists()


@pytest.mark.slow
def test_nothing_is_said_of_open_terms(school: School, tmp_path: Path) -> None:
    made = polyglot_from(school, tmp_path, [OPEN])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export(made, tmp_path / "out.tar.gz")


def test_packs_that_name_a_dataset_alone() -> None:
    assert sources_of({"name": "drawn", "licence": "CC0"}) == [
        {"name": "drawn", "licence": "CC0", "source": "", "url": ""}
    ]
    assert sources_of({})[0]["licence"] == "unknown"
