"""PECT's five strategies through the API: what they train on is what they are tested on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip import api
from glotclip.config import read_recipe
from glotclip.data.dataset import open_dataset
from glotclip.errors import DataError
from glotclip.packs.polyglot import Polyglot
from glotclip.training.callbacks import Callbacks

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

pytestmark = pytest.mark.slow

RECIPES = Path(__file__).parent.parent / "recipes"
SMALL: dict[str, Any] = {"steps": 3, "batch_size": 3, "shots": 6, "evaluate_every": 0, "precision": "fp32"}
# A real program that answers line by line: it writes every text backwards, with the direction before it.
ENGINE = (
    f"command:{sys.executable} -c \"import sys;[print('{{source}}{{target}} '+l.strip()[::-1]) for l in sys.stdin]\""
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["baseline1", "baseline2", "method1", "method2", "method3"])
def test_a_strategy_trains_and_tests_on_the_same_text(
    name: str, base: DualEncoder, drawn: Path, tmp_path: Path
) -> None:
    extension = api.prepare_extension(
        api.ExtendConfig(
            model=Polyglot(base),
            langs=["de"],
            data=drawn,
            method="lora",
            out=tmp_path / "out",
            cache=tmp_path / "cache",
            recipe=RECIPES / f"pect_{name}.yaml",
            settings=SMALL,
            translator=ENGINE,
        )
    )
    (captions,) = extension.captions.values()
    translated = name in ("baseline2", "method3")
    assert len(captions) == 6
    assert all(text.startswith("deen ") is translated for text in captions.texts)
    aligned = read_recipe(RECIPES / f"pect_{name}.yaml")["cross_lingual"] > 0
    assert bool(captions.target_texts) is aligned
    if aligned:
        assert all((text or "").startswith("ende ") is (name == "method2") for text in captions.target_texts)
    assert (captions.images.rows >= 0).all()
    asked: list[str] = []
    benchmark = extension.dataset.benchmark(["de"])
    asked += [query.text for query in benchmark.captions["de"]]
    assert asked
    assert all(text.startswith("deen ") is translated for text in asked)

    done = api.run_extension(extension)
    again = api.evaluate(
        api.load(done.folder, base=base),
        open_dataset(drawn),
        ["de"],
        translator=ENGINE,
        cache=tmp_path / "cache",
        intervals=0,
    )
    assert again["languages"]["de"]["text_to_image"] == done.evaluations["de"]["de"]["text_to_image"]
    assert ("machine-translated into English" in again["protocol"]) is translated


def test_both_sides_of_the_alignment_train_or_one(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    def weights(target_encoder: str) -> torch.Tensor:
        settings = {
            **SMALL, "steps": 8, "embedding": "base", "cross_modal": 0.0, "target_encoder": target_encoder,
        }  # fmt: skip
        done = api.extend(
            Polyglot(base), ["de"], data=drawn, method="lora", out=tmp_path / target_encoder,
            cache=tmp_path / "cache", benchmark=False, settings=settings,
        )  # fmt: skip
        modules = api.load(done.folder, base=base).packs["de"].state.modules["de"]
        (lora,) = (each for each in modules if each.kind == "lora")
        return torch.cat([tensor.flatten() for tensor in lora.tensors().values()])

    frozen, detached, trained = (weights(each) for each in ("frozen", "detached", "trained"))
    assert not torch.equal(frozen, detached)
    assert not torch.equal(detached, trained)


def test_without_an_engine_the_missing_translations_are_named(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no machine translations of its de") as caught:
        api.prepare_extension(
            api.ExtendConfig(
                model=Polyglot(base),
                langs=["de"],
                data=drawn,
                method="lora",
                out=tmp_path / "out",
                recipe=RECIPES / "pect_baseline2.yaml",
                settings=SMALL,
            )
        )
    assert "--translator" in (caught.value.hint or "")


def test_validation_keeps_the_best_weights(base: DualEncoder, drawn: Path, tmp_path: Path) -> None:
    file = drawn.with_name("with-validation.csv")
    file.write_text(drawn.read_text(encoding="utf-8").replace(",test\n", ",validation\n"), encoding="utf-8")
    lines: list[dict[str, Any]] = []
    settings = {**SMALL, "shots": None, "steps": 6, "evaluate_every": 2}
    callbacks = Callbacks(task_done=lambda name, result, scores: lines.append(vars(result)))
    common: dict[str, Any] = {"method": "lora", "cache": tmp_path / "cache", "callbacks": callbacks}
    api.extend(Polyglot(base), ["de"], data=file, out=tmp_path / "out", settings=settings, **common)
    assert lines[0]["best_step"] in (2, 4, 6)
    assert 0 <= lines[0]["best_score"] <= 100
    for more in ({"evaluate_every": "epoch", "steps": None, "epochs": 3}, {"select_by": "mean_r1"}):
        api.extend(Polyglot(base), ["de"], data=file, out=tmp_path / str(more), settings=settings | more, **common)
    epochs, by_r1 = lines[1:]
    assert epochs["best_step"] in {epochs["steps"] // 3 * epoch for epoch in (1, 2, 3)}
    assert by_r1["best_score"] <= lines[0]["best_score"]  # R@1 is the least of the recalls
    with pytest.raises(DataError, match="no images in a split validation"):
        api.extend(Polyglot(base), ["de"], data=drawn, out=tmp_path / "other", settings=settings, **common)
