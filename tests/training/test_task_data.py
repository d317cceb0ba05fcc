"""Batches of a task: rows of several languages with their own targets, micro-batches, processes, and the draw."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glotclip.training.parallel import World
from glotclip.training.task_data import TaskDataLoader, cat_padded

if TYPE_CHECKING:
    from tests.conftest import School


def loader_of(school: School, *codes: str, world: World | None = None, steps: int = 6, **settings: Any) -> Any:
    curriculum = school.curriculum(codes, isolation="shared", **settings)
    captions = {code: school.captions[code] for code in codes}
    task = curriculum.prepare(school.base, None, codes, captions)
    return TaskDataLoader(task, captions, curriculum.train, steps, device=school.base.device, world=world or World())


def test_every_row_has_its_own_languages_text_and_targets(school: School) -> None:
    (batch,) = loader_of(school, "de", "fr", batch_size=24)(0)
    assert {code for code, _ in batch.samples} == {"de", "fr"}
    (texts,) = batch.texts
    for row, (code, text) in enumerate(batch.samples):
        captions = school.captions[code]
        place = captions.texts.index(text)
        assert int(batch.targets.groups[row]) == captions.groups[place]
        for features, present, source in (
            (batch.targets.target_features, batch.targets.has_target, captions.target_features),
            (batch.targets.images, batch.targets.has_image, captions.images),
        ):
            held = source.rows[place]
            assert bool(present[row]) == (held >= 0)
            expected = source.array[held] if held >= 0 else np.zeros(16, np.float32)
            assert np.array_equal(features[row].numpy(), expected)
    aligned = sum(len(school.captions[code].of_batches) for code in ("de", "fr"))
    assert len(texts.ids) == len(batch.samples) == aligned == 22  # one of each has neither image nor target


def test_target_texts_come_along_where_they_are_encoded(school: School) -> None:
    english = tuple(None if place == 3 else text for place, text in enumerate(school.captions["en"].texts))
    captions = {"de": replace(school.captions["de"], target_texts=english)}
    curriculum = school.curriculum(("de",), batch_size=12, target_encoder="trained")
    task = curriculum.prepare(school.base, None, ("de",), captions)
    loader = TaskDataLoader(
        task, captions, curriculum.train, 1, device=school.base.device, world=World(), target_texts=True
    )
    (batch,) = loader(0)
    (texts,) = batch.texts
    assert texts.target is not None
    for row, (_, text) in enumerate(batch.samples):
        target = english[captions["de"].texts.index(text)]
        assert bool(batch.targets.has_target[row]) == (target is not None)
        ids = texts.target[0][row, : texts.target[1][row]]
        assert ids.tolist() == task.tokenizer.encode([target or ""])[0].tolist()


def test_processes_and_micro_batches_share_a_batch(school: School) -> None:
    (whole,) = loader_of(school, "de", batch_size=8)(0)
    shares = [loader_of(school, "de", batch_size=8, world=World(rank, 2))(0)[0] for rank in (0, 1)]
    assert whole.samples == shares[0].samples + shares[1].samples
    parts = loader_of(school, "de", batch_size=8, accumulate=3)(0)
    assert [len(each.samples) for each in parts] == [3, 3, 2]
    assert tuple(sample for each in parts for sample in each.samples) == whole.samples


def test_where_balance_is_set_a_batch_is_of_one_language(school: School) -> None:
    loader = loader_of(school, "de", "fr", batch_size=4, balance=0.0, steps=40)
    seen = [{code for code, _ in loader(step)[0].samples} for step in range(40)]
    assert all(len(codes) == 1 for codes in seen)
    assert set().union(*seen) == {"de", "fr"}


def test_batches_of_ids_are_padded_to_the_longest() -> None:
    ids = cat_padded([torch.ones(1, 2, dtype=torch.int64), torch.full((2, 3), 5)], pad_id=9)
    assert ids.tolist() == [[1, 1, 9], [5, 5, 5], [5, 5, 5]]


@pytest.mark.parametrize("step", [0, 3])
def test_a_batch_is_a_function_of_its_step(school: School, step: int) -> None:
    first, again = loader_of(school, "de", "fr"), loader_of(school, "de", "fr")
    for other in range(6):
        first(other)
    (one,), (two,) = first(step), again(step)
    assert one.samples == two.samples
    assert torch.equal(one.texts[0].ids, two.texts[0].ids)


def test_of_several_sources_each_has_its_share_of_every_batch(school: School) -> None:
    whole = school.captions["de"]
    few = 2
    parts = np.array([0] * (len(whole) - few) + [1] * few)
    captions = {"de": replace(whole, parts=parts, weights={"sentences": 1.0, "words": 3.0})}
    curriculum = school.curriculum(("de",), batch_size=8)
    task = curriculum.prepare(school.base, None, ("de",), captions)
    loaders = [
        TaskDataLoader(task, captions, curriculum.train, 9, device=school.base.device, world=World())
        for _ in range(2)
    ]
    small = set(whole.texts[-few:])
    for step in range(9):
        (batch,) = loaders[0](step)
        assert sum(text in small for _, text in batch.samples) == 6
    (again,), (first,) = loaders[1](4), loaders[0](4)
    assert again.samples == first.samples


def test_the_identity_of_captions_knows_their_weights(school: School) -> None:
    whole = school.captions["de"]
    mixed = replace(whole, parts=np.arange(len(whole)) % 2, weights={"a": 1.0, "b": 1.0})
    others = [replace(mixed, weights={"a": 1.0, "b": 2.0}), replace(mixed, parts=mixed.parts * 0)]
    assert len({each.identity() for each in (whole, mixed, *others)}) == 4
