"""Prefixes: the network that makes them, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from glotclip.methods.method import module_named
from glotclip.methods.module import ALL
from glotclip.methods.prefix import Prefix, PrefixNetwork

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder


def test_the_network_makes_keys_and_values_as_stated(
    base: DualEncoder, make_task: MakeTask, stir: Callable[[TrainingTask], None]
) -> None:
    task = make_task(base, ["prefix"])
    stir(task)
    (network,) = task.stacks["de"].text_modules
    assert isinstance(network, PrefixNetwork)
    inner = torch.tanh(network.embedding @ network.hidden.T + network.hidden_bias)
    for k in range(2):
        prefix = network.block_hooks(k).prefix
        assert prefix is not None
        made = inner @ network.out[k].T + network.out_bias[k]
        torch.testing.assert_close(torch.cat(prefix, dim=1), made)


def test_a_pack_keeps_the_keys_and_values_alone(base: DualEncoder, make_task: MakeTask) -> None:
    task = make_task(base, ["prefix"], length=3)
    (module,) = task.finish(1.0).modules["de"]
    assert isinstance(module, Prefix)
    assert module_named(module.kind) is Prefix
    assert {name: tuple(tensor.shape) for name, tensor in module.tensors().items()} == {
        f"{what}.{k}": (3, 32) for what in ("keys", "values") for k in range(2)
    }
    assert module.size == 3 * 2 * 2 * 32 < task.trainable


def test_a_shared_prefix_goes_on_training_as_keys_and_values(base: DualEncoder, make_task: MakeTask) -> None:
    state = make_task(base, ["prefix"], shared=True).finish(1.0)
    task = make_task(base, ["prefix"], ("fr",), state, shared=True)
    (module,) = task.stacks["fr"].text_modules
    stored = state.module("prefix", ALL)
    assert isinstance(module, Prefix)
    assert isinstance(stored, Prefix)
    assert torch.equal(module.keys[0], stored.keys[0])
    assert task.trainable == module.size


def test_a_prefix_has_vectors() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Prefix.Config(length=0)
