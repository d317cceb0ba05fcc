"""Batches with samples behind them: whose rows they are, what each loss sees of them, and which way they take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip.methods.losses import cross_lingual_mse, multi_positive_contrastive
from glotclip.methods.objective import Alignment, ObjectiveSettings
from glotclip.training.lesson_source import CaptionBatch, TaskDataLoader, TaskModule
from glotclip.training.parallel import World
from glotclip.training.strategies.rehearsal import Rehearsal

if TYPE_CHECKING:
    from tests.conftest import School
    from tests.training.strategies.conftest import Course

    from glotclip.training.loop import Source


def mixed(school: School, made: Course, code: str, **settings: Any) -> tuple[TaskModule, Source, Rehearsal]:
    """Prepare one more task as a teacher would, and return learner and source instead of training."""
    curriculum = school.curriculum((code,), isolation="shared", vocabulary=0, **settings)
    strategy = made.strategy
    assert isinstance(strategy, Rehearsal)
    lesson = curriculum.prepare(school.base, made.states[-1], (code,), school.captions, strategy)
    learner = TaskModule(school.base, lesson, ObjectiveSettings(cross_modal=0.5), "fp32")
    captions = {code: school.captions[code]}
    source = TaskDataLoader(lesson, captions, curriculum.train, 4, device=school.base.device, world=World())
    return learner, strategy.guard(lesson, source, learner, 0)[0], strategy


@pytest.mark.parametrize("strategy", ["er", "der"])
def test_each_loss_sees_its_rows_computed_by_hand(
    school: School, course: Callable[..., Course], strategy: str
) -> None:
    made = course("de", strategy=strategy)
    learner, source, rehearsal = mixed(school, made, "fr")
    slots = rehearsal.memory.draw(6)
    samples = [rehearsal.memory.samples[slot] for slot in slots]
    (batch,) = source(0)
    assert isinstance(batch, CaptionBatch)
    features = learner.encode(batch).features.detach()
    loss, parts = learner.objective(features, batch.targets)
    n = len(batch.samples)
    assert len(features) == n + len(samples) == 8 + 6

    # Rows by hand: each text alone, through its own language's route.
    for row, (language, text) in enumerate([*batch.samples, *((s.language, s.text) for s in samples)]):
        lesson = learner.task
        alone = school.base.encode_tokens(lesson.tokenizer.encode([text]), lesson.stacks[language])
        torch.testing.assert_close(features[row], alone[0], atol=1e-5, rtol=1e-4)
    current = batch.targets.has_target.clone()
    current[n:] = False
    cross_lingual = cross_lingual_mse(features[current], batch.targets.target_features[current])
    pictured = batch.targets.has_image
    assert pictured[:n].any() and pictured[n:].any()
    cross_modal = multi_positive_contrastive(
        features[pictured], batch.targets.images[pictured], batch.targets.groups[pictured], torch.tensor(0.07)
    )
    kept = [(row, sample.held) for row, sample in enumerate(samples, n) if sample.held is not None]
    replay = torch.stack([(features[row] - held).square().mean() for row, held in kept]).mean()
    torch.testing.assert_close(parts["cross_lingual"], cross_lingual)
    torch.testing.assert_close(parts["cross_modal"], cross_modal)
    torch.testing.assert_close(parts["replay"], replay)
    torch.testing.assert_close(loss.detach(), cross_lingual + 0.5 * cross_modal + replay)


def test_the_first_task_is_taught_as_without_and_fills_the_memory(course: Callable[..., Course]) -> None:
    plain, replayed = course("de"), course("de", strategy="er", memory=64)
    for one, other in zip(plain.states[0].modules["all"], replayed.states[0].modules["all"], strict=True):
        assert torch.equal(one.tensors()["rows"], other.tensors()["rows"])
    assert not any("replay" in line for line in replayed.lines)
    assert isinstance(replayed.strategy, Rehearsal)
    assert (len(replayed.strategy.memory), replayed.strategy.memory.seen) == (64, 80)  # 10 steps of 8, repeats too


def test_later_tasks_see_samples_in_every_step_and_their_own_too(course: Callable[..., Course]) -> None:
    made = course("de", "fr", strategy="er", memory=20, steps=30)
    assert [("replay" in line) for line in made.lines] == [False] * 30 + [True] * 30
    assert isinstance(made.strategy, Rehearsal)
    assert made.strategy.memory.seen == 2 * 30 * 8
    assert set(made.strategy.memory.texts()) == {"de", "fr"}


def test_micro_batches_share_the_samples(school: School, course: Callable[..., Course]) -> None:
    made = course("de", strategy="er")
    _, source, _ = mixed(school, made, "fr", accumulate=3, memory_batch=5)
    batches = source(0)
    replayed = [batch.targets.replayed for batch in batches]
    assert [len(batch.targets.target_features) for batch in batches] == [3 + 2, 3 + 2, 2 + 2]
    assert [int(each.sum()) for each in replayed if each is not None] == [2, 2, 2]


def test_samples_take_their_own_languages_modules(school: School, course: Callable[..., Course]) -> None:
    from glotclip.methods.method import method_named
    from glotclip.methods.task import TrainingTask

    method = method_named("acquirer")
    config = method.config({"isolation": "shared", "vocabulary": 0, "bottleneck": 4, "teir": False})
    texts = {code: school.captions[code].texts for code in ("de", "fr")}
    first = TrainingTask(school.base, None, {"de": texts["de"]}, covers_base=True)
    state = first.prepare(method.modules(config), config).finish(1.0)
    with torch.no_grad():
        for parameter in state.modules["de"][0].parameters():
            parameter.add_(0.3)
    made = course("de", strategy="er")
    rehearsal = made.strategy
    task = TrainingTask(school.base, state, {"fr": texts["fr"]}, replay_texts=rehearsal.rehearsed(), covers_base=True)
    lesson = task.prepare(method.modules(config), config)
    german, french = lesson.stacks["de"].text_modules, lesson.stacks["fr"].text_modules
    assert german[0] is french[0]  # the table that trains
    assert german[1] is state.modules["de"][0]
    assert not any(p is q for p in german[1].parameters() for g in lesson.groups for q in g.parameters)
    learner = TaskModule(school.base, lesson, ObjectiveSettings(), "fp32")
    settings = school.curriculum(("fr",), isolation="shared").train
    source = TaskDataLoader(
        lesson, {"fr": school.captions["fr"]}, settings, 1, device=school.base.device, world=World()
    )
    assert len(source.pools) == 1  # German is rehearsed, not learnt
    (batch,) = rehearsal.guard(lesson, source, learner, 0)[0](0)
    assert [piece.language for piece in batch.pieces] == ["fr", "de"]
    features = learner.encode(batch).features.detach()
    assert isinstance(batch, CaptionBatch)
    assert isinstance(rehearsal, Rehearsal)
    sample = rehearsal.memory.samples[rehearsal.memory.draw(6)[0]]
    alone = school.base.encode_tokens(lesson.tokenizer.encode([sample.text]), lesson.stacks["de"])
    torch.testing.assert_close(features[len(batch.samples)], alone[0], atol=1e-5, rtol=1e-4)


def test_with_teir_rehearsed_rows_train_and_count_for_every_language(
    school: School, course: Callable[..., Course]
) -> None:
    made = course("de", "fr", strategy="er", teir=True)
    first, second = (state.modules["all"][0].tensors() for state in made.states)
    lesson = made.lessons[1]
    special = lesson.tokenizer.special_ids
    used = {
        code: {int(i) for tokens in [lesson.tokenizer.encode(texts)] for i in tokens.flat} - special
        for code, texts in {**{c: school.captions[c].texts for c in lesson.languages}, **lesson.replay_texts}.items()
    }
    assert set(used) == {"de", "fr"}
    assert used["de"] - used["fr"]
    grown = second["uses"] - first["uses"]
    for row in range(len(grown)):
        assert grown[row] == sum(row in ids for ids in used.values()), row
    trained = {int(i) for i in lesson.stacks["fr"].text_modules[0].ids}  # type: ignore[union-attr]
    assert trained == used["de"] | used["fr"] | special


@pytest.mark.parametrize(("ties", "best"), [("first", 4), ("last", 8)])
def test_the_memory_carried_on_belongs_to_the_weights_carried_on(
    course: Callable[..., Course], ties: str, best: int
) -> None:
    scores = iter([1.0, 3.0, 2.0, 3.0, 0.0])
    made = course("de", strategy="er", memory=9, evaluate_every=2, select_ties=ties, validate=lambda *_: next(scores))
    short = course("de", strategy="er", memory=9, steps=best, warmup=1 / best)
    assert isinstance(made.strategy, Rehearsal)
    assert isinstance(short.strategy, Rehearsal)
    assert made.strategy.memory.seen == best * 8  # the validations after steps 4 and 8 were the best of the five
    assert made.strategy.memory.texts() == short.strategy.memory.texts()


def test_beside_partners_that_are_encoded_in_every_step(school: School) -> None:
    from glotclip.training.strategies.registry import strategy_for
    from glotclip.training.teaching import Teacher

    english = school.captions["en"].texts
    captions = {code: replace(school.captions[code], target_texts=english) for code in ("de", "fr")}
    curriculum = school.curriculum(
        ("de",),
        ("fr",),
        isolation="shared",
        vocabulary=0,
        target_encoder="trained",
        strategy="der",
        memory_batch=5,
        steps=4,
    )
    strategy, state = strategy_for(curriculum.train), None
    lines: list[dict[str, Any]] = []
    for task in curriculum.tasks:
        lesson = curriculum.prepare(school.base, state, task, captions, strategy)
        Teacher(school.base, log=lines.append, strategy=strategy).teach(lesson, captions, curriculum.stages(), [4])
        state = lesson.finish(1.0)
    assert [("replay" in line) for line in lines] == [False] * 4 + [True] * 4
    assert isinstance(strategy, Rehearsal)
    source = TaskDataLoader(
        lesson, captions, curriculum.train, 1, device=school.base.device, world=World(), target_texts=True
    )
    learner = TaskModule(school.base, lesson, curriculum.stages()[0].objective, "fp32")
    (batch,) = strategy.guard(lesson, source, learner, 0)[0](0)
    assert [piece.target is None for piece in batch.pieces] == [False, True]
    encoded = learner.encode(batch)
    assert encoded.target is not None
    held = [strategy.memory.samples[slot].held for slot in strategy.memory.draw(5)]
    assert torch.equal(encoded.target[8:], torch.stack([each for each in held if each is not None]))


def test_a_sample_without_feature_or_picture_takes_part_where_it_can(
    school: School, course: Callable[..., Course]
) -> None:
    made = course("de", strategy="er")
    learner, source, rehearsal = mixed(school, made, "fr")
    rehearsal.memory.samples = [replace_held(sample) for sample in rehearsal.memory.samples]
    (batch,) = source(0)
    assert batch.targets.replayed is not None
    assert not (batch.targets.replayed & batch.targets.has_target).any()
    features = learner.encode(batch).features
    loss, parts = Alignment(ObjectiveSettings())(features, batch.targets)
    assert "replay" not in parts
    assert torch.isfinite(loss)
    whole = replace(batch.targets, replayed=None)
    torch.testing.assert_close(Alignment(ObjectiveSettings())(features, whole)[0], loss)


def replace_held(sample: Any) -> Any:
    return sample._replace(held=None)
