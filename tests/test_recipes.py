"""Every recipe is one that the settings accept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glotclip import api
from glotclip.compare.recipe import load_recipe
from glotclip.config import read_recipe, settings_from
from glotclip.methods.method import method_named
from glotclip.models.dual_encoder import DualEncoder
from glotclip.training.stages import stages_of

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))


# What each paper's code does, as read there: optimiser, schedule, and which checkpoint is kept.
CLL_CLIP: dict[str, Any] = {
    "lr": 5e-5, "schedule": "constant", "warmup": 0.1, "warmup_from_zero": True, "weight_decay": 0.05,
    "betas": (0.9, 0.999), "eps": 1e-6, "clip_norm": 1.0, "clip_per_tensor": 0, "adam_bias_correction": True,
    "epochs": 3, "steps": None, "batch_size": 128, "evaluate_every": "epoch", "select_by": "mean_recall",
    "select_ties": "first", "cross_lingual": 1.0, "cross_modal": 0.01, "temperature": 0.07, "learn_temperature": True,
    "stages": (), "vocabulary": 10_000, "splitting": "clip", "isolation": "shared",
}  # fmt: skip
PECT: dict[str, Any] = {
    "lr": 1e-4, "schedule": "cosine", "warmup": 0, "weight_decay": 0, "betas": (0.9, 0.999), "eps": 1e-8,
    "clip_norm": 0, "clip_per_tensor": 0, "adam_bias_correction": True, "steps": 500, "batch_size": 5, "shots": 50,
    "evaluate_every": 5, "select_by": "mean_r1", "select_ties": "last", "dropout": 0.1, "precision": "fp32",
    "cross_modal": 1.0, "temperature": 0.01, "learn_temperature": False,
    "target_encoder": "trained", "alignment": "mse",
    "targets": ("q", "v"), "rank": 8, "alpha": 16, "norms": True, "embedding": "base",
}  # fmt: skip
MLA: dict[str, Any] = {
    "lr": 1e-4, "schedule": "cosine", "schedule_span": "run", "warmup": 0.1, "warmup_from_zero": True,
    "weight_decay": 0.2, "betas": (0.9, 0.98), "eps": 1e-6, "clip_norm": 0, "clip_per_tensor": 1.0,
    "adam_bias_correction": False, "batch_size": 128, "balance": 0, "embedding": "multilingual", "bert_trim": False,
    "bottleneck": 256, "near_identity": False, "embedding_rate": 1.0, "isolation": "shared",
}  # fmt: skip
PAPERS = {
    "cll_clip": CLL_CLIP | {"teir_init": False, "teir_gradient": False, "teir_decay": False},
    "cll_clip_teir": CLL_CLIP | {"teir_init": True, "teir_gradient": True, "teir_decay": True, "teir_strength": 1.0,
                                 "teir_damps": "gradient"},
    **{f"pect_{name}": PECT for name in ("baseline1", "baseline2", "method1", "method2", "method3")},
    "mla_paper": MLA,
}  # fmt: skip


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_recipe_is_its_code_whatever_the_base_recommends(name: str, base: DualEncoder) -> None:
    recipe = RECIPES[0].with_name(f"{name}.yaml")
    method = method_named(read_recipe(recipe)["method"])
    recommended = api.load("emoji-clip").base.recommended[method.name]
    assert recommended["steps"]
    base.recommended = {method.name: recommended}
    own, loop = api.resolve_settings(method, base, recipe, {})
    resolved = {**own.model_dump(), **loop.model_dump()}
    assert {key: resolved[key] for key in PAPERS[name]} == PAPERS[name]
    assert "differs" in recipe.read_text(encoding="utf-8").split("\n\n")[0]


def test_mlas_stages_are_its_two(base: DualEncoder) -> None:
    recipe = RECIPES[0].with_name("mla_paper.yaml")
    own, loop = api.resolve_settings(method_named("acquirer"), base, recipe, {})
    transfer, exposure = stages_of(own, loop)
    assert (transfer.train.steps, transfer.train.lr, exposure.train.steps, exposure.train.lr) == (
        117_150, 1e-4, 11_715, 3e-6,
    )  # fmt: skip
    assert (transfer.objective.cross_modal, exposure.objective.cross_lingual) == (0, 0)
    assert (exposure.objective.temperature, exposure.objective.learn_temperature) == (0.01, False)


@pytest.mark.parametrize("given", [{"epochs": 2}, {"epochs": 2, "steps": 7}, {"steps": 7}])
def test_epochs_are_not_undone_by_steps_that_the_base_recommends(given: dict[str, Any], base: DualEncoder) -> None:
    base.recommended = {"lexicon": {"steps": 50}}
    _, loop = api.resolve_settings(method_named("lexicon"), base, None, given)
    assert loop.steps == given.get("steps")
    assert loop.epochs == given.get("epochs", 3)


def test_every_run_of_cll_clips_benchmark_has_its_loss_and_optimiser(base: DualEncoder) -> None:
    """Whatever a method's own defaults are, acquirers' and LoRA's among them."""
    recipe = RECIPES[0].with_name("compare_mscoco36.yaml")
    kept = {key: value for key, value in CLL_CLIP.items() if key not in ("vocabulary",)}
    for trial in load_recipe(recipe).trials():
        own, loop = api.resolve_settings(method_named(trial.run.method), base, None, trial.settings)
        resolved = {**own.model_dump(), **loop.model_dump()}
        assert {key: resolved[key] for key in kept} == kept, trial.run.name


def test_a_recipe_of_a_comparison_does_not_hang_on_what_acquirers_default_to(base: DualEncoder) -> None:
    for trial in load_recipe(RECIPES[0].with_name("compare_mla.yaml")).trials():
        own, loop = api.resolve_settings(method_named(trial.run.method), base, None, trial.settings)
        assert (own.cross_modal, own.temperature, own.learn_temperature) == (1.0, 0.07, False)
        assert bool(loop.stages) == any(word in trial.run.name for word in ("NLT", "LE"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_resolves_and_says_its_command(recipe: Path, base: DualEncoder) -> None:
    values = read_recipe(recipe)
    head = recipe.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(word in head for word in ("command", "hardware", "score"))
    if "runs" in values:
        for trial in load_recipe(recipe).trials():
            assert trial.languages
            api.curriculum_of(base, trial.config())
    elif "method" in values:
        method, loop = api.resolve_settings(method_named(values["method"]), base, recipe, {})
        assert loop.batch_size == values["batch_size"]
        assert method.isolation == values["isolation"]
    elif "finetune" in recipe.stem:
        from glotclip.training.finetune import FinetuneSettings

        chosen = settings_from(FinetuneSettings, values, where="the recipe")
        assert (chosen.epochs, chosen.lr, chosen.temperature, chosen.images) == (5, 3e-6, 0.01, True)
        optimiser = set(MLA) & set(FinetuneSettings.model_fields) - {"lr", "balance"}
        assert {name: getattr(chosen, name) for name in optimiser} == {name: MLA[name] for name in optimiser}
    else:
        from glotclip.training.base import BaseSettings

        assert settings_from(BaseSettings, values, where="the recipe").steps == values["steps"]
