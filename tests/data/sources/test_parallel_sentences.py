from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glotclip.data.dataset import open_dataset, recognised
from glotclip.data.sources.multi30k import Multi30K
from glotclip.data.sources.parallel_sentences import Flores, Moses, Ntrex, Tatoeba
from glotclip.errors import DataError, LanguageError

if TYPE_CHECKING:
    from tests.data.conftest import Desk

#: Real corpora, where they lie beside the repository's folder.
SHARED = Path(__file__).parents[4] / "shared" / "data"


def pair(desk: Desk, name: str, lang: str, code: str, english: str = "eng") -> None:
    desk.lines(f"{name}.{code}", desk.captions(lang))
    desk.lines(f"{name}.{english}", desk.captions("en"))


def test_tatoebas_pairs_are_a_folder_of_languages(desk: Desk) -> None:
    pair(desk, "tatoeba.deu-eng", "de", "deu")
    pair(desk, "tatoeba.fra-eng", "fr", "fra")
    for name in (str(desk.root), f"tatoeba:{desk.root}"):
        data = open_dataset(name)
        assert isinstance(data, Tatoeba) and data.languages() == ["de", "fr"]
        corpus = data.corpus(["fr"])
        assert [(row.text, row.english) for row in corpus.rows] == list(
            zip(desk.captions("fr"), desk.captions("en"), strict=True)
        )
        assert [each.licence for each in data.licences(["de", "fr"])] == ["CC-BY-2.0-FR"] * 2
    with pytest.raises(LanguageError, match="has no captions in fi"):
        data.corpus(["fi"])


@pytest.mark.parametrize("stem", ["corpus.de-en", "corpus", "Europarl.de-en"])
def test_opus_files_are_recognised_in_folders_and_archives(desk: Desk, stem: str) -> None:
    pair(desk, stem, "de", "de", "en")
    desk.lines(f"{stem}.ids", ["1"])
    data = open_dataset(desk.root)
    assert isinstance(data, Moses) and data.languages() == ["de"] and len(data.corpus(["de"])) == 8
    assert data.licences(["de"])[0].licence == "unknown (yours)"
    with zipfile.ZipFile(desk.root.parent / "de-en.txt.zip", "w") as archive:
        for path in desk.root.iterdir():
            archive.write(path, path.name)
    packed = open_dataset(desk.root.parent / "de-en.txt.zip")
    assert isinstance(packed, Moses) and packed.corpus(["de"]).rows == data.corpus(["de"]).rows


def test_ntrex_leaves_english_references_out(desk: Desk) -> None:
    desk.lines("newstest2019-src.eng.txt.gz", desk.captions("en"))
    for code, lang in (("deu", "de"), ("zho-CN", "zh"), ("eng-GB", "en")):
        desk.lines(f"newstest2019-ref.{code}.txt.gz", desk.captions(lang))
    data = open_dataset(f"ntrex:{desk.root}")
    assert isinstance(data, Ntrex) and data.languages() == ["de", "zh-CN"]
    assert len(data.corpus(["zh"])) == 8 and data.licences(["de"])[0].licence == "CC-BY-SA-4.0"


def test_flores_names_a_script_only_where_it_is_not_the_usual_one(desk: Desk) -> None:
    for code, lang in (
        ("eng_Latn", "en"),
        ("deu_Latn", "de"),
        ("zho_Hans", "zh"),
        ("zho_Hant", "zh"),
        ("ita_Latn", "it"),
    ):
        desk.lines(f"dev/{code}.dev", desk.captions(lang))
        desk.lines(f"devtest/{code}.devtest", desk.captions("fr"))
    data = open_dataset(desk.root)
    assert isinstance(data, Flores) and set(data.languages()) == {"de", "it", "zh", "zh-Hant"}
    assert [row.text for row in data.corpus(["de"]).rows] == desk.captions("de")


def test_a_folder_that_is_none_says_what_is_expected(desk: Desk) -> None:
    desk.lines("a.txt", ["x"])
    with pytest.raises(DataError, match="holds no files of ntrex"):
        open_dataset(f"ntrex:{desk.root}")
    with pytest.raises(DataError, match="does not exist"):
        open_dataset(f"tatoeba:{desk.root}/nowhere")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real corpora are not here")
def test_the_real_corpora_open() -> None:
    tatoeba, ntrex = (open_dataset(SHARED / name) for name in ("tatoeba", "ntrex"))
    assert len(tatoeba.languages()) > 100 and len(ntrex.languages()) > 110
    assert len(tatoeba.corpus(["de"])) == 1_000 and len(tatoeba.corpus(["sw"])) == 390
    assert len(ntrex.corpus(["sw"])) == 1_997
    assert recognised(SHARED / "multi30k") is Multi30K
    assert open_dataset(SHARED / "multi30k").languages() == ["en", "cs", "de", "fr"]
