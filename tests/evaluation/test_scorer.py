"""Scoring a growing polyglot: the same scores as ever, and nothing encoded again that cannot have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from glotclip import api
from glotclip.evaluation.scorer import Scorer
from glotclip.models.checkpoints import save_base
from glotclip.packs.polyglot import Polyglot
from glotclip.training.callbacks import Callbacks

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"steps": 3, "batch_size": 4, "vocabulary": 150, "lr": 0.01, "precision": "fp32"}
LANGUAGES = ("de", "fr", "hi")


@dataclass
class Counting:
    """An encoder that notes which languages it was asked for."""

    asked: list[str] = field(default_factory=list)

    def of(self, polyglot: Polyglot) -> Any:
        @dataclass
        class Encoder:
            def encode_text(inner, texts: Sequence[str], lang: str) -> Any:  # noqa: N805 -- self is taken
                self.asked.append(lang)
                return polyglot.encode_text(texts, lang)

        return Encoder()


def taught(base: DualEncoder, drawn: Path, tmp_path: Path, settings: dict[str, Any], draws: int = 0) -> Any:
    """Learn three languages, scoring after each: what was encoded, and what was recorded."""
    if not (tmp_path / "base").exists():
        save_base(base, tmp_path / "base")
    extension = api.prepare_extension(
        api.ExtendConfig(
            model=tmp_path / "base",
            langs=LANGUAGES,
            data=drawn,
            out=tmp_path / "out",
            cache=tmp_path / "cache",
            settings={**QUICK, **settings},
            method=settings.get("method", "lexicon"),
        )
    )
    inner = api.evaluator(extension)
    assert inner is not None
    counting = Counting()
    scorer = Scorer(inner.benchmark, inner.features, counting.of, draws=draws, final=LANGUAGES)
    return api.run_extension(extension, callbacks=Callbacks(evaluate=scorer)), counting.asked, inner


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"isolation": "per-language"}, ["en", "de", "fr", "hi"]),
        ({"isolation": "shared"}, ["en", "en", "de", "en", "de", "fr", "en", "de", "fr", "hi"]),
    ],
    ids=lambda value: value.get("isolation", "") if isinstance(value, dict) else "",
)
def test_only_what_changed_is_encoded(
    base: DualEncoder, drawn: Path, tmp_path: Path, settings: dict[str, Any], asked: list[str]
) -> None:
    made, encoded, afresh = taught(base, drawn, tmp_path, settings)
    assert encoded == asked
    model = made.load()
    assert made.evaluations["hi"] == afresh(model, model.languages)
    assert list(made.evaluations["hi"]) == ["en", *LANGUAGES]


def test_a_table_that_rests_spares_the_others(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    """One pack for all, which changes on the disk with every language, but not the ways of the earlier ones."""
    settings = {"method": "adapter", "isolation": "shared", "embedding": "base", "norms": False, "bottleneck": 4}
    made, encoded, afresh = taught(base, drawn, tmp_path, settings)
    assert encoded == ["en", *LANGUAGES]
    model = made.load()
    assert list(model.packs) == ["shared"]
    assert made.evaluations["hi"] == afresh(model, model.languages)


def test_intervals_come_with_the_final_scores(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    made, encoded, _ = taught(base, drawn, tmp_path, {}, draws=20)
    assert "ci95" not in made.evaluations["fr"]["en"]["text_to_image"]
    assert all("ci95" in each["image_to_text"] for each in made.evaluations["hi"].values())
    assert encoded.count("en") == 2


def test_what_is_given_out_may_be_changed(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    save_base(base, tmp_path / "base")
    extension = api.prepare_extension(
        api.ExtendConfig(
            model=tmp_path / "base", langs=["de"], data=drawn, out=tmp_path / "out", cache=tmp_path / "cache"
        )
    )
    scorer = api.evaluator(extension)
    assert scorer is not None
    first = scorer(extension.start, ["en"])
    held = first["en"].pop("text_to_image")
    assert scorer(extension.start, ["en"])["en"]["text_to_image"] == held
    assert api.evaluator(extension, False) is None
