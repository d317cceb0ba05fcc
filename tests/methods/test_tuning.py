"""Tuned copies of the tower's own weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from glotclip.errors import ConfigError
from glotclip.methods.method import method_named
from glotclip.methods.tuning import own_weights
from glotclip.models.blocks import NAMES, Block
from glotclip.models.text_tower import TextTower

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder


def test_full_fine_tuning_equals_a_tower_with_these_weights(
    tower: DualEncoder, make_task: MakeTask, stir: Callable[[TrainingTask], None]
) -> None:
    """Every single weight of the tower is held, and none is confused with another."""
    task = make_task(tower, ["full", "table"])
    stir(task)
    whole, table = task.finish(1.0).modules["de"]
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
    tokens = task.tokens["de"]
    ids, lengths = tokens.padded(range(len(tokens)), tower.tokenizer.pad_id, to=full)
    with torch.no_grad():
        expected = changed(torch.from_numpy(ids), torch.from_numpy(lengths))
    got = tower.encode_tokens(tokens, task.stacks["de"])
    torch.testing.assert_close(got, expected, atol=1e-5 * float(expected.abs().max()), rtol=0)
    assert task.trainable == sum(parameter.numel() for parameter in changed.parameters())


def test_training_leaves_the_base_alone(
    base: DualEncoder, make_task: MakeTask, stir: Callable[[TrainingTask], None]
) -> None:
    before = base.fingerprint
    stir(make_task(base, ["full", "table", "norms"]))
    assert base.fingerprint == before


def test_norms_are_those_of_the_blocks(base: DualEncoder, make_task: MakeTask) -> None:
    (module,) = make_task(base, ["norms"]).stacks["de"].text_modules
    tensors = module.tensors()
    assert set(tensors) == {
        f"blocks.{k}.{n}{leaf}" for k in range(2) for n in ("norm1", "norm2") for leaf in ("", "_bias")
    }
    block = base.text.blocks[1]
    assert isinstance(block, Block)
    assert torch.equal(tensors["blocks.1.norm2"], block.norm2.weight)


def test_a_grown_vocabulary_needs_the_lexicon(base: DualEncoder, make_task: MakeTask) -> None:
    with pytest.raises(ConfigError, match="vocabulary has grown") as caught:
        make_task(base, ["lexicon", "table"], vocabulary=100)
    assert caught.value.hint
    task = make_task(base, ["lexicon", "full"], vocabulary=100)
    assert torch.isfinite(base.encode_tokens(task.tokens["de"], task.stacks["de"])).all()


@pytest.mark.parametrize(
    ("embedding", "kinds"),
    [("base", ["full", "table"]), ("lexicon", ["lexicon", "full"]), ("multilingual", ["multilingual", "full"])],
)
def test_the_whole_table_trains_where_no_embedding_is_chosen(embedding: str, kinds: list[str]) -> None:
    method = method_named("full")
    assert [module.kind for module in method.modules(method.config({"embedding": embedding}))] == kinds


def test_norms_are_trained_once_by_their_own_method() -> None:
    """Its defaults put the norms beside a module, and the module is the norms."""
    method = method_named("norms")
    for norms in (True, False):
        assert [module.kind for module in method.modules(method.config({"norms": norms}))] == ["lexicon", "norms"]


def test_a_blocks_own_weights_have_the_towers_names(base: DualEncoder) -> None:
    block = base.text.blocks[0]
    assert isinstance(block, Block)
    own = own_weights(block)
    assert set(own) == set(NAMES)
    assert all(own[name] is getattr(block.weights(torch.float32), name) for name in NAMES)
