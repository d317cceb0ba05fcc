"""Local models through ``transformers``: order, languages, refusals."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from transformers import AutoTokenizer

from glotclip.errors import CheckpointError, LanguageError
from glotclip.translate.hf import TransformersEngine

if TYPE_CHECKING:
    from tests.translate.conftest import Models

pytestmark = pytest.mark.slow  # models are trained for it


@pytest.mark.parametrize("kind", ["marian", "m2m", "nllb"])
def test_captions_of_mixed_lengths_keep_their_order(models: Models, kind: str) -> None:
    engine = TransformersEngine(getattr(models, kind))
    order = [7, 0, 11, 3, 3, 5]
    assert engine.translate([models.english[place] for place in order], "en", "es") == [
        models.spanish[place] for place in order
    ]


def test_more_texts_than_a_batch(models: Models) -> None:
    assert TransformersEngine(models.marian).translate(models.english * 3, "en", "es") == models.spanish * 3


@pytest.mark.parametrize(("kind", "code"), [("m2m", "ku"), ("nllb", "de")])
def test_a_language_that_the_model_lacks(models: Models, kind: str, code: str) -> None:
    with pytest.raises(LanguageError, match=repr(code)):
        TransformersEngine(getattr(models, kind)).translate(["a red bar"], "en", code)


def test_the_version_follows_files_and_search(models: Models, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models.marian, folder)
    version = TransformersEngine(folder).version
    assert TransformersEngine(folder).version == version
    assert TransformersEngine(folder, beam_size=1).version != version
    (folder / "vocab.json").write_text("{}", encoding="utf-8")
    assert TransformersEngine(folder).version != version


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        TransformersEngine(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="'bert'"):
        TransformersEngine(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "marian"}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="cannot load"):
        TransformersEngine(tmp_path).translate(["a"], "en", "es")


def test_threads_that_ask_for_several_languages_do_not_mix_them(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source language is kept in the tokenizer: what a batch was read as must be what its caller said."""
    engine = TransformersEngine(models.m2m)
    kind = type(AutoTokenizer.from_pretrained(str(models.m2m)))
    batch, seen = kind.__call__, list[tuple[str, str]]()

    def noted(tokenizer: Any, texts: list[str], **more: Any) -> Any:
        time.sleep(0.002)  # time for another thread to set its own
        seen.extend((text, tokenizer.src_lang) for text in texts)
        return batch(tokenizer, texts, **more)

    monkeypatch.setattr(kind, "__call__", noted)
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(engine.translate, [f"{source} bar"], source, target)
            for source, target in [("en", "es"), ("es", "en")] * 8
        ]
        for job in jobs:
            job.result(60)
    assert len(seen) == 16
    assert all(text == f"{source} bar" for text, source in seen)
