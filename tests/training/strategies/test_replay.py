"""Replay: whose rows follow a batch, what each loss sees of them, and what a sample is held to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.methods.losses import cross_lingual_mse, multi_positive_contrastive
from glotclip.methods.method import method_named
from glotclip.methods.objective import Alignment, ObjectiveSettings
from glotclip.methods.task import TrainingTask
from glotclip.training.callbacks import Callbacks
from glotclip.training.parallel import World
from glotclip.training.strategies.replay import DarkExperienceReplay, ExperienceReplay, Replay
from glotclip.training.task_data import TaskDataLoader
from glotclip.training.task_module import TaskModule

if TYPE_CHECKING:
    from tests.conftest import School
    from tests.training.strategies.conftest import Course

pytestmark = pytest.mark.slow


def next_task(school: School, made: Course, code: str, **settings: Any) -> tuple[TaskModule, TaskDataLoader, Replay]:
    """Prepare one more task as the trainer would, and return module and data loader instead of training."""
    curriculum = school.curriculum((code,), isolation="shared", vocabulary=0, **settings)
    strategy = made.strategy
    assert isinstance(strategy, Replay)
    task = curriculum.prepare(school.base, made.states[-1], (code,), school.captions, strategy)
    module = TaskModule(school.base, task, ObjectiveSettings(cross_modal=0.5), "fp32", strategy)
    loader = TaskDataLoader(
        task, {code: school.captions[code]}, curriculum.train, 4,
        device=school.base.device, world=World(), strategy=strategy,
    )  # fmt: skip
    strategy.on_stage_start(task, 0)
    return module, loader, strategy


@pytest.mark.parametrize("strategy", ["er", "der"])
def test_each_loss_sees_its_rows_computed_by_hand(
    school: School, course: Callable[..., Course], strategy: str
) -> None:
    made = course("de", strategy=strategy)
    module, loader, replay = next_task(school, made, "fr")
    slots = replay.memory.draw(6)
    samples = [replay.memory.samples[slot] for slot in slots]
    (batch,) = loader(0)
    features = module.encode(batch).features.detach()
    loss, parts = module.loss(features, batch.targets)
    n = len(batch.samples)
    assert len(features) == n + len(samples) == 8 + 6

    # Rows by hand: each text alone, through its own language's route.
    for row, (language, text) in enumerate([*batch.samples, *((s.language, s.text) for s in samples)]):
        task = module.task
        alone = school.base.encode_tokens(task.tokenizer.encode([text]), task.stacks[language])
        torch.testing.assert_close(features[row], alone[0], atol=1e-5, rtol=1e-4)
    current = batch.targets.has_target.clone()
    current[n:] = False
    cross_lingual = cross_lingual_mse(features[current], batch.targets.target_features[current])
    pictured = batch.targets.has_image
    assert pictured[:n].any() and pictured[n:].any()
    cross_modal = multi_positive_contrastive(
        features[pictured], batch.targets.images[pictured], batch.targets.groups[pictured], torch.tensor(0.07)
    )
    kept = [(row, sample.target) for row, sample in enumerate(samples, n) if sample.target is not None]
    held = torch.stack([(features[row] - target).square().mean() for row, target in kept]).mean()
    torch.testing.assert_close(parts["cross_lingual"], cross_lingual)
    torch.testing.assert_close(parts["cross_modal"], cross_modal)
    torch.testing.assert_close(parts["replay"], held)
    torch.testing.assert_close(loss.detach(), cross_lingual + 0.5 * cross_modal + held)


def test_the_first_task_is_taught_as_without_and_fills_the_memory(course: Callable[..., Course]) -> None:
    plain, replayed = course("de"), course("de", strategy="er", memory=64)
    for one, other in zip(plain.states[0].modules["all"], replayed.states[0].modules["all"], strict=True):
        assert torch.equal(one.tensors()["rows"], other.tensors()["rows"])
    assert not any("replay" in line for line in replayed.lines)
    assert isinstance(replayed.strategy, Replay)
    assert (len(replayed.strategy.memory), replayed.strategy.memory.seen) == (64, 80)  # 10 steps of 8, repeats too


def test_later_tasks_see_samples_in_every_step_and_their_own_too(course: Callable[..., Course]) -> None:
    made = course("de", "fr", strategy="er", memory=20, steps=30)
    assert [("replay" in line) for line in made.lines] == [False] * 30 + [True] * 30
    assert isinstance(made.strategy, Replay)
    assert made.strategy.memory.seen == 2 * 30 * 8
    assert set(made.strategy.memory.texts()) == {"de", "fr"}


def test_micro_batches_share_the_samples(school: School, course: Callable[..., Course]) -> None:
    made = course("de", strategy="er")
    _, loader, _ = next_task(school, made, "fr", accumulate=3, memory_batch=5)
    batches = loader(0)
    replayed = [batch.targets.replayed for batch in batches]
    assert [len(batch.targets.target_features) for batch in batches] == [3 + 2, 3 + 2, 2 + 2]
    assert [int(each.sum()) for each in replayed if each is not None] == [2, 2, 2]


def test_samples_are_encoded_by_their_own_languages_modules(school: School, course: Callable[..., Course]) -> None:
    method = method_named("acquirer")
    config = method.config({"isolation": "shared", "vocabulary": 0, "teir": False, "bottleneck": 4})
    texts = {code: school.captions[code].texts for code in ("de", "fr")}
    first = TrainingTask(school.base, None, {"de": texts["de"]}, covers_base=True)
    state = first.prepare(method.modules(config), config).finish(1.0)
    with torch.no_grad():
        for parameter in state.modules["de"][0].parameters():
            parameter.add_(0.3)
    replay = course("de", strategy="er").strategy
    assert isinstance(replay, Replay)
    task = TrainingTask(school.base, state, {"fr": texts["fr"]}, replay_texts=replay.replay_texts(), covers_base=True)
    task.prepare(method.modules(config), config)
    german, french = task.stacks["de"], task.stacks["fr"]
    assert german.text_modules[0] is french.text_modules[0]  # the table that trains
    assert german.text_modules[1] is state.modules["de"][0]
    trained = {id(parameter) for group in task.groups for parameter in group.parameters}
    assert not trained & {id(parameter) for parameter in german.text_modules[1].parameters()}
    module = TaskModule(school.base, task, ObjectiveSettings(), "fp32", replay)
    settings = school.curriculum(("fr",), isolation="shared").train
    loader = TaskDataLoader(
        task, {"fr": school.captions["fr"]}, settings, 1, device=school.base.device, world=World(), strategy=replay
    )
    assert len(loader.datasets) == 1  # German is replayed, not learnt
    replay.on_stage_start(task, 0)
    (batch,) = loader(0)
    assert [each.language for each in batch.texts] == ["fr", "de"]
    features = module.encode(batch).features.detach()
    sample = replay.memory.samples[replay.memory.draw(6)[0]]
    alone = school.base.encode_tokens(task.tokenizer.encode([sample.text]), german)
    torch.testing.assert_close(features[len(batch.samples)], alone[0], atol=1e-5, rtol=1e-4)


def test_with_teir_replayed_rows_train_and_count_for_every_language(
    school: School, course: Callable[..., Course]
) -> None:
    made = course("de", "fr", strategy="er", teir=True)
    first, second = (state.modules["all"][0].tensors() for state in made.states)
    task = made.tasks[1]
    special = task.tokenizer.special_ids
    used = {
        code: {int(i) for tokens in [task.tokenizer.encode(texts)] for i in tokens.flat} - special
        for code, texts in {**{c: school.captions[c].texts for c in task.languages}, **task.replay_texts}.items()
    }
    assert set(used) == {"de", "fr"}
    assert used["de"] - used["fr"]
    grown = second["uses"] - first["uses"]
    for row in range(len(grown)):
        assert grown[row] == sum(row in ids for ids in used.values()), row
    trained = {int(i) for i in task.stacks["fr"].text_modules[0].ids}  # type: ignore[union-attr]
    assert trained == used["de"] | used["fr"] | special


@pytest.mark.parametrize(("ties", "best"), [("first", 4), ("last", 8)])
def test_the_memory_carried_on_belongs_to_the_weights_carried_on(
    course: Callable[..., Course], ties: str, best: int
) -> None:
    scores = iter([1.0, 3.0, 2.0, 3.0, 0.0])
    made = course("de", strategy="er", memory=9, evaluate_every=2, select_ties=ties, validate=lambda *_: next(scores))
    short = course("de", strategy="er", memory=9, steps=best, warmup=1 / best)
    assert isinstance(made.strategy, Replay)
    assert isinstance(short.strategy, Replay)
    assert made.strategy.memory.seen == best * 8  # the validations after steps 4 and 8 were the best of the five
    assert made.strategy.memory.texts() == short.strategy.memory.texts()


def test_beside_target_texts_that_are_encoded_in_every_step(school: School) -> None:
    from glotclip.training.strategies.registry import strategy_for
    from glotclip.training.task_trainer import TaskTrainer

    english = school.captions["en"].texts
    captions = {code: replace(school.captions[code], target_texts=english) for code in ("de", "fr")}
    curriculum = school.curriculum(
        ("de",), ("fr",), isolation="shared", vocabulary=0, target_encoder="trained", strategy="der", memory_batch=5,
        steps=4,
    )  # fmt: skip
    strategy, state = strategy_for(curriculum.train), None
    lines: list[dict[str, Any]] = []
    trainer = TaskTrainer(school.base, callbacks=Callbacks(log=lines.append), strategy=strategy)
    for codes in curriculum.tasks:
        task = curriculum.prepare(school.base, state, codes, captions, strategy)
        trainer.train(task, captions, curriculum.stages(), [4])
        state = task.finish(1.0)
    assert [("replay" in line) for line in lines] == [False] * 4 + [True] * 4
    assert isinstance(strategy, Replay)
    strategy.on_stage_start(task, 0)
    (batch,) = trainer.loader(task, captions, curriculum.stages()[0], 1, 0, strategy)(0)
    assert [each.target is None for each in batch.texts] == [False, True]
    encoded = TaskModule(school.base, task, curriculum.stages()[0].objective, "fp32").encode(batch)
    assert encoded.target is not None
    targets = [strategy.memory.samples[slot].target for slot in strategy.memory.draw(5)]
    assert torch.equal(encoded.target[8:], torch.stack([each for each in targets if each is not None]))


def test_a_sample_without_feature_or_image_takes_part_where_it_can(
    school: School, course: Callable[..., Course]
) -> None:
    made = course("de", strategy="er")
    module, loader, replay = next_task(school, made, "fr")
    replay.memory.samples = [sample._replace(target=None) for sample in replay.memory.samples]
    (batch,) = loader(0)
    assert batch.targets.replayed is not None
    assert not (batch.targets.replayed & batch.targets.has_target).any()
    features = module.encode(batch).features
    loss, parts = Alignment(ObjectiveSettings())(features, batch.targets)
    assert "replay" not in parts
    assert torch.isfinite(loss)
    whole = replace(batch.targets, replayed=None)
    torch.testing.assert_close(Alignment(ObjectiveSettings())(features, whole)[0], loss)


# --- what a sample is held to ----------------------------------------


def test_samples_are_held_to_the_frozen_english_features(school: School, course: Callable[..., Course]) -> None:
    made = course("de", strategy="er", memory=64)
    captions = school.captions["de"]
    assert isinstance(made.strategy, ExperienceReplay)
    for sample in made.strategy.memory.samples:
        row = captions.texts.index(sample.text)
        place, image = captions.target_features.rows[row], captions.images.rows[row]
        assert (sample.target is None) == (place < 0)
        assert (sample.image is None) == (image < 0)
        assert sample.target is None or torch.equal(
            sample.target, torch.from_numpy(captions.target_features.array[place])
        )
        assert sample.image is None or torch.equal(sample.image, torch.from_numpy(captions.images.array[image]))
        assert sample.group == captions.groups[row]


@pytest.mark.parametrize("target_encoder", ["trained", "detached"])
def test_er_refuses_targets_that_are_encoded_in_every_step(school: School, target_encoder: str) -> None:
    with pytest.raises(ConfigError, match="strategy=er"):
        school.curriculum(("de",), isolation="shared", strategy="er", target_encoder=target_encoder)
    school.curriculum(("de",), isolation="shared", strategy="der", target_encoder=target_encoder)


@pytest.mark.parametrize("strategy", ["er", "der", "oewc"])
def test_where_no_language_can_reach_another_there_is_nothing_to_do(school: School, strategy: str) -> None:
    with pytest.raises(ConfigError, match="isolation=per-language"):
        school.curriculum(("de",), isolation="per-language", strategy=strategy)


def test_samples_are_held_to_the_students_features_when_they_came_by(
    school: School, course: Callable[..., Course]
) -> None:
    made = course("de", strategy="der", memory=64, steps=1)  # seen once, by the weights the task started with
    assert isinstance(made.strategy, DarkExperienceReplay)
    start = school.curriculum(("de",), isolation="shared", vocabulary=0).prepare(
        school.base, None, ("de",), school.captions
    )
    assert len(made.strategy.memory) == 8
    for sample in made.strategy.memory.samples:
        expected = school.base.encode_tokens(start.tokenizer.encode([sample.text]), start.stacks["de"])[0]
        assert sample.target is not None
        torch.testing.assert_close(sample.target, expected, atol=1e-5, rtol=1e-4)
        assert not sample.target.requires_grad


def test_or_to_those_at_the_end_of_their_task(school: School, course: Callable[..., Course]) -> None:
    made = course("de", "fr", strategy="der", memory=64, der_features="learnt")
    assert isinstance(made.strategy, DarkExperienceReplay)
    assert set(made.strategy.memory.texts()) == {"de", "fr"}
    for sample in made.strategy.memory.samples:
        task = made.tasks[("de", "fr").index(sample.language)]  # its weights are those of its task's end
        tokens = task.tokenizer.encode([sample.text])
        expected = school.base.encode_tokens(tokens, task.stacks[sample.language])[0]
        assert sample.target is not None
        torch.testing.assert_close(sample.target, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("teir", [True, False])
def test_less_is_forgotten(course: Callable[..., Course], distance: Any, teir: bool) -> None:
    settings: dict[str, Any] = {"steps": 40, "memory": 64, "memory_batch": 8, "teir": teir}
    lost = {}
    for strategy in ("none", "er", "der"):
        made = course("en", "de", "fr", strategy=strategy, **settings)
        lost[strategy] = sum(
            distance(made.states[2], code) - distance(made.states[place], code)
            for place, code in enumerate(("en", "de"))
        )
    assert lost["er"] < 0.6 * lost["none"]
    assert lost["der"] < 0.7 * lost["none"]
