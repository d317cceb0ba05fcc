"""CTranslate2: converted folders give what the originals give; Argos packages are read and chained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ctranslate2.converters import TransformersConverter
from ctranslate2.converters import transformers as loaders

from glotclip.errors import CheckpointError, LanguageError
from glotclip.translate.ct2 import CTranslate2Engine
from glotclip.translate.hf import TransformersEngine

if TYPE_CHECKING:
    from tests.translate.conftest import Models

pytestmark = pytest.mark.slow  # models are trained for it


@pytest.fixture(scope="module")
def marian(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ct2") / "marian"
    TransformersConverter(str(models.marian), copy_files=["source.spm", "target.spm"]).convert(str(out))
    return out


class _Loader(loaders.M2M100Loader):  # type: ignore[misc]
    """The converter's own, with the languages, which the tokenizer of transformers 5 no longer names to it."""

    def get_vocabulary(self, model: Any, tokenizer: Any) -> list[str]:
        tokens = [token for token in super().get_vocabulary(model, tokenizer) if not token.startswith("madeupword")]
        spare = [f"madeupword{place}" for place in range(tokenizer.num_madeup_words)]
        return [*tokens, *tokenizer.lang_token_to_id, *spare]


@pytest.fixture(scope="module")
def m2m(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ct2") / "m2m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(loaders._MODEL_LOADERS, "M2M100Config", _Loader())
        TransformersConverter(str(models.m2m), copy_files=["sentencepiece.bpe.model"]).convert(str(out))
    return out


@pytest.fixture(scope="module")
def nllb(m2m: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model under NLLB's names of languages: that is all that tells the two kinds apart."""
    out = tmp_path_factory.mktemp("ct2") / "nllb"
    shutil.copytree(m2m, out)
    tokens = json.loads((out / "shared_vocabulary.json").read_text(encoding="utf-8"))
    names = {"__en__": "eng_Latn", "__es__": "spa_Latn"}
    renamed = [names.get(token, token.replace("__", "~")) for token in tokens]
    (out / "shared_vocabulary.json").write_text(json.dumps(renamed), encoding="utf-8")
    return out


def argos(folder: Path, model: Path, pieces: Path, source: str, target: str, **more: str) -> Path:
    """Lay out a package as Argos Translate unpacks it."""
    shutil.copytree(model, folder / "model")
    shutil.copy(pieces, folder / "sentencepiece.model")
    facts = {"package_version": "1.9", "from_code": source, "to_code": target, **more}
    (folder / "metadata.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def test_a_converted_marian_model_answers_as_the_original(models: Models, marian: Path) -> None:
    """Also where it was never taught; greedily, since the two beam searches end by different rules."""
    texts = [*reversed(models.english), "a red square circle", "green a", "bar"]
    converted = CTranslate2Engine(marian, beam_size=1).translate(texts, "en", "es")
    assert converted == TransformersEngine(models.marian, beam_size=1).translate(texts, "en", "es")


def test_answers_are_right_and_in_order(models: Models, marian: Path, m2m: Path, nllb: Path) -> None:
    for folder in (marian, m2m, nllb):
        assert CTranslate2Engine(folder).translate(models.english * 4, "en", "es") == models.spanish * 4, folder.name


@pytest.mark.parametrize("kind", ["m2m", "nllb"])
def test_a_language_that_the_model_lacks(request: pytest.FixtureRequest, kind: str) -> None:
    with pytest.raises(LanguageError, match="'tlh'"):
        CTranslate2Engine(request.getfixturevalue(kind)).translate(["a red bar"], "en", "tlh")


def test_several_targets_are_named_in_the_source(marian: Path, tmp_path: Path) -> None:
    """With ``>>spa<<`` in its vocabulary, a Marian model is told the language, and refuses those it lacks."""
    folder = tmp_path / "several"
    shutil.copytree(marian, folder)
    file = folder / "shared_vocabulary.json"
    tokens = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps([*tokens[:-1], ">>spa<<"]), encoding="utf-8")
    engine = CTranslate2Engine(folder)
    assert len(engine.translate(["a red bar"], "en", "es")) == 1
    with pytest.raises(LanguageError, match="'de'"):
        engine.translate(["a red bar"], "en", "de")


def test_an_argos_package_with_a_target_prefix(models: Models, m2m: Path, tmp_path: Path) -> None:
    """A model whose source takes no token before it: the package's prefix alone says the target."""
    package = argos(tmp_path / "p", m2m, models.m2m / "sentencepiece.bpe.model", "en", "es", target_prefix="__es__")
    (answer,) = CTranslate2Engine(package).translate(["a red circle"], "en", "es")
    assert "__es__" not in answer
    with pytest.raises(LanguageError, match="from 'en' it reaches es"):
        CTranslate2Engine(package).translate(["a"], "en", "de")


def test_argos_packages_are_chained(models: Models, marian: Path, tmp_path: Path) -> None:
    pieces = models.marian / "source.spm"
    for source, target in (("en", "pt"), ("pt", "es")):
        argos(tmp_path / "all" / f"{source}_{target}", marian, pieces, source, target)
    engine = CTranslate2Engine(tmp_path / "all")
    step = CTranslate2Engine(tmp_path / "all" / "en_pt")
    middle = step.translate(models.english, "en", "pt")
    there = CTranslate2Engine(tmp_path / "all" / "pt_es").translate(middle, "pt", "es")
    assert engine.translate(models.english, "en", "es") == there


def test_a_very_long_text_is_cut_not_refused(marian: Path) -> None:
    assert CTranslate2Engine(marian, beam_size=1).translate(["a red bar " * 400], "en", "es")[0].startswith("un")


def test_what_is_no_model(tmp_path: Path, marian: Path) -> None:
    with pytest.raises(CheckpointError, match=r"neither model\.bin nor Argos"):
        CTranslate2Engine(tmp_path)
    lacking = tmp_path / "lacking"
    shutil.copytree(marian, lacking)
    (lacking / "target.spm").unlink()
    with pytest.raises(CheckpointError, match=r"lacks target\.spm"):
        CTranslate2Engine(lacking).translate(["a"], "en", "es")
    (lacking / "target.spm").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="no SentencePiece model"):
        CTranslate2Engine(lacking).translate(["a"], "en", "es")
    (lacking / "model.bin").write_bytes(b"nothing of the kind")
    with pytest.raises(CheckpointError, match="cannot load"):
        CTranslate2Engine(lacking).translate(["a"], "en", "es")


def test_an_argos_package_with_moses_tokens(marian: Path, models: Models, tmp_path: Path) -> None:
    package = argos(tmp_path / "p", marian, models.marian / "source.spm", "en", "es")
    (package / "sentencepiece.model").rename(package / "bpe.model")
    with pytest.raises(CheckpointError, match="Moses"):
        CTranslate2Engine(package).translate(["a"], "en", "es")
