"""Tuned copies of the tower's own weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.methods.lexicon import LexiconIngredient
from glotclip.methods.tuning import Norms, NormsIngredient, TableIngredient, TowerIngredient
from glotclip.models.blocks import Block
from glotclip.models.text_tower import TextTower

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder


def test_full_fine_tuning_equals_a_tower_with_these_weights(
    tower: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None]
) -> None:
    """Every single weight of the tower is held, and none is confused with another."""
    lesson = make_lesson(tower, [TowerIngredient(), TableIngredient()])
    stir(lesson)
    whole, table = lesson.finish(1.0).parts["de"]
    weights = {name.removeprefix("around."): tensor for name, tensor in whole.tensors().items()}
    changed = TextTower(tower.text.config)
    state = {}
    for name in changed.state_dict():
        if name == "table":
            state[name] = table.tensors()["rows"]
        elif name.startswith("blocks."):
            state[name] = weights[name.removesuffix(".weight").replace(".bias", "_bias")]
        else:
            state[name] = weights[name.replace(".", "_")]
    changed.load_state_dict(state)
    full = None if tower.text.trims else tower.text.config.context_length
    tokens = lesson.tokens["de"]
    ids, lengths = tokens.padded(range(len(tokens)), tower.tokenizer.pad_id, to=full)
    with torch.no_grad():
        expected = changed(torch.from_numpy(ids), torch.from_numpy(lengths))
    got = tower.encode_tokens(tokens, lesson.stacks["de"])
    torch.testing.assert_close(got, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)
    assert lesson.trainable == sum(parameter.numel() for parameter in changed.parameters())


def test_training_leaves_the_base_alone(
    base: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None]
) -> None:
    before = base.fingerprint
    stir(make_lesson(base, [TowerIngredient(), TableIngredient(), NormsIngredient()]))
    assert base.fingerprint == before


def test_norms_are_those_of_the_blocks(base: DualEncoder, make_lesson: MakeLesson) -> None:
    (part,) = make_lesson(base, [NormsIngredient()]).stacks["de"].parts
    assert isinstance(part, Norms)
    tensors = part.tensors()
    assert set(tensors) == {
        f"blocks.{k}.{n}{leaf}" for k in range(2) for n in ("norm1", "norm2") for leaf in ("", "_bias")
    }
    block = base.text.blocks[1]
    assert isinstance(block, Block)
    assert torch.equal(tensors["blocks.1.norm2"], block.norm2.weight)


def test_a_grown_vocabulary_needs_the_lexicon(base: DualEncoder, make_lesson: MakeLesson) -> None:
    lexicon = LexiconIngredient(
        shared=False, vocabulary=100, splitting="marks", teir_init=True, teir_gradient=False, teir_decay=False,
        teir_damps="gradient", teir_strength=1.0, init_std=0.02,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="vocabulary has grown"):
        make_lesson(base, [lexicon, TableIngredient()])
    lesson = make_lesson(base, [lexicon, TowerIngredient()])
    assert torch.isfinite(base.encode_tokens(lesson.tokens["de"], lesson.stacks["de"])).all()
