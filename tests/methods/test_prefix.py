"""Prefixes: the network that makes them, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.methods.prefix import Prefix, PrefixIngredient, PrefixNetwork
from glotclip.methods.stack import ALL

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder


def test_the_network_makes_keys_and_values_as_stated(
    base: DualEncoder, make_lesson: MakeLesson, stir: Callable[[TrainingTask], None]
) -> None:
    lesson = make_lesson(base, [PrefixIngredient(length=3)])
    stir(lesson)
    (network,) = lesson.stacks["de"].parts
    assert isinstance(network, PrefixNetwork)
    inner = torch.tanh(network.embedding @ network.hidden.T + network.hidden_bias)
    for k in range(2):
        prefix = network.block_hooks(k).prefix
        assert prefix is not None
        made = inner @ network.out[k].T + network.out_bias[k]
        torch.testing.assert_close(torch.cat(prefix, dim=1), made)


def test_a_pack_keeps_the_keys_and_values_alone(base: DualEncoder, make_lesson: MakeLesson) -> None:
    lesson = make_lesson(base, [PrefixIngredient(length=3)])
    (part,) = lesson.finish(1.0).parts["de"]
    assert isinstance(part, Prefix)
    assert {name: tuple(tensor.shape) for name, tensor in part.tensors().items()} == {
        f"{what}.{k}": (3, 32) for what in ("keys", "values") for k in range(2)
    }
    assert part.size == 3 * 2 * 2 * 32 < lesson.trainable


def test_a_shared_prefix_goes_on_training_as_keys_and_values(base: DualEncoder, make_lesson: MakeLesson) -> None:
    state = make_lesson(base, [PrefixIngredient(shared=True, length=3)]).finish(1.0)
    (part,) = make_lesson(base, [PrefixIngredient(shared=True, length=3)], ("fr",), state).stacks["fr"].parts
    stored = state.part("prefix", ALL)
    assert isinstance(part, Prefix)
    assert isinstance(stored, Prefix)
    assert torch.equal(part.keys[0], stored.keys[0])


def test_a_prefix_has_vectors(base: DualEncoder, make_lesson: MakeLesson) -> None:
    with pytest.raises(ConfigError, match="a prefix of 0 vectors"):
        make_lesson(base, [PrefixIngredient(length=0)])
