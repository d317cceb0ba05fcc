"""Recipes of comparisons: their trials, and mistakes in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glotclip.compare.recipe import Recipe, load_recipe
from glotclip.compare.trial import slug
from glotclip.errors import GlotclipError

GOOD = """\
languages: [de, no, ja]
seeds: [0, 3]
common: {steps: 5, lr: 1e-3}
runs:
  - {name: MLA + TEIR, method: acquirer, settings: {steps: 7}}
  - {name: joint, joint: true, languages: "fr, ru", order: script}
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(GOOD, encoding="utf-8")
    return tmp_path / "recipe.yaml"


def test_trials_seed_by_seed(written: Path) -> None:
    recipe = load_recipe(written)
    trials = recipe.trials()
    assert [trial.slug for trial in trials] == ["mla-teir-0", "joint-0", "mla-teir-3", "joint-3"]
    assert trials[0].settings["steps"] == 7
    assert (trials[3].settings["steps"], trials[3].settings["seed"], trials[3].config().joint) == (5, 3, True)
    assert trials[0].languages == ("de", "no", "ja")  # YAML 1.1 reads Norwegian as False
    assert trials[1].languages == ("fr", "ru")
    assert [trial.slug for trial in recipe.trials(only=["joint"], seeds=[9])] == ["joint-9"]
    assert [trial.slug for trial in recipe.trials(only=["mla-teir"], seeds=[1])] == ["mla-teir-1"]


def test_an_order_of_ones_own_for_every_seed_or_one_for_all(written: Path) -> None:
    text = GOOD.replace("[de, no, ja]", "[de, no, ja, ko, ru, uk]")
    written.write_text(f"order: random\n{text}", encoding="utf-8")
    assert len({load_recipe(written).trials(seeds=[seed])[0].languages for seed in range(4)}) == 4
    written.write_text(f"order: random\norder_seed: 1\n{text}", encoding="utf-8")
    assert len({load_recipe(written).trials(seeds=[seed])[0].languages for seed in range(4)}) == 1


def test_what_children_read_is_the_same_recipe(written: Path, tmp_path: Path) -> None:
    recipe = load_recipe(written)
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(recipe.model_dump(mode="json", exclude_defaults=True)), encoding="utf-8")
    assert load_recipe(copy) == recipe


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds", "seed", "did you mean 'seeds'"),
        ("method: acquirer", "methid: acquirer", "did you mean 'method'"),
        ("order: script", "order: length", "order"),
        ("name: joint", "name: MLA/TEIR", "two runs called mla-teir"),
        ("common: {steps: 5", "common: {seed: 5", "sets a seed"),
        ("[de, no, ja]", "[de, de]", "twice"),
        ("[de, no, ja]", "[german]", "unknown language code"),
        ("[0, 3]", "[]", "seeds"),
        ("runs:", "walks:", "compares nothing"),
        ("{name: joint, joint: true", "{joint: true", "name"),
    ],
)
def test_mistakes_are_loud(written: Path, old: str, new: str, said: str) -> None:
    written.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(GlotclipError) as caught:
        load_recipe(written)
    assert said in str(caught.value)


def test_a_run_that_there_is_none_of(written: Path) -> None:
    with pytest.raises(GlotclipError, match="did you mean 'joint'"):
        load_recipe(written).trials(only=["jiont"])


def test_names_of_files() -> None:
    assert (slug("MLA + TEIR"), slug("  "), slug("Größe 2")) == ("mla-teir", "run", "größe-2")
    assert Recipe.model_validate({"languages": "de", "runs": [{"name": "a"}]}).languages == ("de",)


def test_every_seed_has_few_shots_of_its_own_unless_told_otherwise() -> None:
    def seeds_of(**common: object) -> list[object]:
        recipe = Recipe.model_validate(
            {"languages": "de", "seeds": [0, 1], "common": common, "runs": [{"name": "one"}]}
        )
        return [trial.settings.get("shots_seed") for trial in recipe.trials()]

    assert seeds_of(shots=5) == [42, 43]
    assert seeds_of(shots=5, shots_seed=7) == [7, 7]
    assert seeds_of() == [None, None]


MAPPING = """\
languages: de
runs:
  plain:
  small: {steps: 3, lr: 1e-3}
  LoRA of 4: {method: lora, rank: 4}
  joint: {joint: true, settings: {isolation: shared}, steps: 2}
"""


def test_runs_may_be_a_mapping_from_names_to_settings(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(MAPPING, encoding="utf-8")
    runs = load_recipe(tmp_path / "recipe.yaml").runs
    assert [(run.name, run.method, run.joint) for run in runs] == [
        ("plain", "lexicon", None),
        ("small", "lexicon", None),
        ("LoRA of 4", "lora", None),
        ("joint", "lexicon", True),
    ]
    assert [set(run.settings) for run in runs] == [set(), {"steps", "lr"}, {"rank"}, {"isolation", "steps"}]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{steps: 3, lr: 1e-3}", "5", "run 'small'"),
        ("{steps: 3, lr: 1e-3}", "{name: other, steps: 3}", "second name"),
        ("{isolation: shared}, steps", "{steps: 1}, steps", "sets steps twice"),
        ("joint: true, settings: {isolation: shared}", "settings: [1]", "setting 'settings' in run 'joint'"),
        ("  small:", "  PLAIN:", "two runs called plain"),
        ("languages: de", "languages: de\nhold_out: 2", "hold_out"),
    ],
)
def test_mistakes_in_a_mapping_are_loud(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "recipe.yaml").write_text(MAPPING.replace(old, new), encoding="utf-8")
    with pytest.raises(GlotclipError) as caught:
        load_recipe(tmp_path / "recipe.yaml")
    assert said in str(caught.value)


def test_how_data_is_read_is_said_where_it_is_not_the_usual_way() -> None:
    recipe = Recipe.model_validate(
        {"languages": "de", "runs": [{"name": "a"}], "default_lang": "de", "hold_out": 0.2}
    )
    assert recipe.reading == {"default_lang": "de", "hold_out": 0.2}
    assert Recipe.model_validate({"languages": "de", "runs": [{"name": "a"}]}).reading == {}
