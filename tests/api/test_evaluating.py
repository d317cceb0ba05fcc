"""``glotclip.evaluate``: which languages are scored, by whom, and what is told of the data; scores while learning."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import glotclip
from glotclip import api
from glotclip.api.evaluating import selection_score, validator
from glotclip.data.dataset import open_dataset
from glotclip.errors import ConfigError, DataError, LanguageError
from glotclip.packs.polyglot import Polyglot

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.models.dual_encoder import DualEncoder


@pytest.fixture
def model(base: DualEncoder) -> Polyglot:
    return Polyglot(base)


@pytest.fixture
def benchmark(drawn: Path) -> Benchmark:
    """Three images with captions in British English, German and French."""
    made = open_dataset(drawn).benchmark(["en", "de", "fr"])
    english, german, french = made.captions.values()
    return replace(made, captions={"en-GB": english, "de": german, "fr": french})


def evaluate(model: Polyglot, benchmark: Any, *more: Any, **settings: Any) -> dict[str, Any]:
    return glotclip.evaluate(model, benchmark, *more, intervals=0, **settings)


def test_by_default_the_languages_of_model_and_benchmark(
    model: Polyglot, benchmark: Benchmark, drawn: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    assert list(evaluate(model, benchmark, cache=cache)["languages"]) == ["en-GB"]  # as the benchmark calls it
    assert list(evaluate(model, drawn, cache=cache)["languages"]) == ["en"]
    assert list(evaluate(model, benchmark, "en", cache=cache)["languages"]) == ["en-GB"]
    with pytest.raises(LanguageError, match="no captions in 'hi'"):
        evaluate(model, benchmark, ["hi"], cache=cache)
    with pytest.raises(LanguageError, match="not installed"):
        evaluate(model, benchmark, ["de"], cache=cache)


def test_the_rival_is_asked_in_all_languages_of_the_benchmark(
    model: Polyglot, benchmark: Benchmark, tmp_path: Path
) -> None:
    engine = f"command:{sys.executable} -c 'import sys; sys.stdout.write(sys.stdin.read())'"
    result = evaluate(model, benchmark, translate=engine, cache=tmp_path / "cache")
    assert list(result["languages"]) == ["en-GB", "de", "fr"]
    assert result["model"].endswith("after translation by command")
    assert "translated into it by command" in result["protocol"]


def test_what_is_left_out_is_told(model: Polyglot, drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no image")
    rows = [f"{drawn.parent}/pictures/red-circle.png,en,a red circle,test", "broken.png,en,broken,test"]
    (tmp_path / "data.csv").write_text("\n".join(["image,lang,text,split", *rows]))
    result = evaluate(model, tmp_path / "data.csv", cache=tmp_path / "cache")
    assert ["broken.png" in line for line in result["skipped"]] == [True]
    assert (result["truncated"], result["gallery_images"]) == ({}, 1)


def test_what_cannot_be_asked(model: Polyglot, benchmark: Benchmark) -> None:
    with pytest.raises(ConfigError, match="benchmark that is made already"):
        evaluate(model, benchmark, encoding="utf-8")
    with pytest.raises(ConfigError, match="unknown way with long texts"):
        evaluate(model, benchmark, long="short")
    with pytest.raises(ConfigError, match="unknown protocol 'mlaa'"):
        glotclip.evaluate("no-such-model", protocol="mlaa")


@pytest.mark.parametrize(("select_by", "expected"), [("mean_recall", 45.0), ("mean_r1", 15.0)])
def test_the_score_a_checkpoint_is_chosen_by(select_by: str, expected: float) -> None:
    scores = {"text_to_image": {"r@1": 10.0}, "image_to_text": {"r@1": 20.0}, "mean_recall": 45.0}
    assert selection_score(scores, select_by) == expected


def test_while_learning_nothing_is_scored_without_rows_to_score_on(
    model: Polyglot, drawn: Path, tmp_path: Path
) -> None:
    config = api.ExtendConfig(model=model, langs=["de"], data=drawn, out=tmp_path / "out", cache=tmp_path / "cache")
    extension = api.prepare_extension(config)
    assert api.evaluator(extension, False) is None
    scorer = api.evaluator(extension, drawn)
    assert scorer is not None
    assert scorer.benchmark.captions.keys() == {"en", "de"}
    masks = scorer.benchmark.text_subsets  # of what is taught; the captions are put together of few words
    assert masks.keys() == {"de"} and masks["de"]["known"].all()
    with pytest.raises(DataError, match="no images in a split validation"):
        validator(extension)
