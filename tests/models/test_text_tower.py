from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glotclip.errors import ConfigError
from glotclip.models.hooks import TextHooks
from glotclip.models.text_tower import TextConfig, TextTower

SMALL = TextConfig(width=32, layers=3, heads=2, mlp_width=64, vocab_size=50, context_length=12, embed_dim=24)
SIGLIP = TextConfig(
    width=32, layers=2, heads=2, mlp_width=64, vocab_size=50, context_length=12, embed_dim=32,
    activation="gelu_tanh", causal=False, pooling="last", projection_bias=True,
)  # fmt: skip

POSTED = dataclasses.replace(SMALL, causal=False, pooling="mean", norms="post")


def make(config: TextConfig = SMALL) -> TextTower:
    torch.manual_seed(0)
    tower = TextTower(config).eval()
    with torch.no_grad():
        for parameter in tower.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return tower


def batch(lengths: list[int], width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, 50, (len(lengths), width), generator=torch.Generator().manual_seed(seed))
    return ids, torch.tensor(lengths)


@settings(deadline=None, max_examples=12)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=9), st.integers(0, 3))
def test_padding_and_neighbours_change_nothing(lengths: list[int], seed: int) -> None:
    for config in (SMALL, POSTED):
        check_neighbours(make(config), lengths, seed)


def check_neighbours(tower: TextTower, lengths: list[int], seed: int) -> None:
    ids, sizes = batch(lengths, 12, seed)
    with torch.no_grad():
        together = tower(ids, sizes)
        trimmed = tower(ids[:, : max(lengths)], sizes)
        alone = torch.cat([tower(ids[i : i + 1, :n], sizes[i : i + 1]) for i, n in enumerate(lengths)])
    torch.testing.assert_close(together, trimmed, atol=0, rtol=0)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_pooling_is_at_the_length_not_at_the_highest_id() -> None:
    tower = make()
    ids, sizes = batch([5, 5], 12)
    ids[0, 2] = 49
    changed = ids.clone()
    changed[:, 5:] = 3
    with torch.no_grad():
        torch.testing.assert_close(tower(ids, sizes), tower(changed, sizes), atol=0, rtol=0)
        assert (tower(ids, sizes) - tower(ids, sizes - 1)).abs().max() > 1e-2


def test_a_tower_that_attends_to_padding_is_not_trimmed() -> None:
    tower = make(SIGLIP)
    assert not tower.trims
    ids, sizes = batch([3, 5], 12)
    changed = ids.clone()
    changed[:, 10] = (changed[:, 10] + 1) % 50
    with torch.no_grad():
        assert (tower(ids, sizes) - tower(changed, sizes)).abs().max() > 1e-3
    with pytest.raises(ConfigError, match="padded to 12"):
        tower(ids[:, :5], sizes)


@pytest.mark.parametrize("config", [SMALL, SIGLIP])
def test_hooks_see_every_place_once(config: TextConfig) -> None:
    class Watching(TextHooks):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []

        def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
            self.seen.append(tuple(ids.shape))
            return super().embed(ids, table)

        def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
            self.seen.append((k, tuple(hidden.shape)))
            return hidden

    tower, watching = make(config), Watching()
    ids, sizes = batch([12, 12], 12)
    with torch.no_grad():
        torch.testing.assert_close(tower(ids, sizes, watching), tower(ids, sizes), atol=0, rtol=0)
    last = config.layers - 1
    assert watching.seen == [(1, 24), *((k, (1, 24, 32)) for k in range(last)), (last, (1, 2, 32))]


class Overlay(TextHooks):
    """Rows of its own, and a small module after each block."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.rows = torch.nn.Parameter(torch.randn(50, 32) * 0.05)
        self.gates = torch.nn.Parameter(torch.randn(layers, 32) * 0.1)

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.embedding(ids, table + self.rows)

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        return hidden + torch.tanh(hidden) * self.gates[k]


def gradients(precision: torch.dtype, lengths: list[int], frozen: bool = True) -> dict[str, torch.Tensor]:
    tower, overlay = make().requires_grad_(not frozen), Overlay(3)
    ids, sizes = batch(lengths, 12)
    features = tower(ids, sizes, overlay, precision=precision)
    (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
    assert frozen == all(parameter.grad is None for parameter in tower.parameters())
    return {name: parameter.grad for name, parameter in overlay.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("frozen", [True, False])
def test_bf16_gradients_follow_fp32(frozen: bool) -> None:
    lengths = [12, 3, 7, 7, 2, 12, 9, 3]
    full, low = gradients(torch.float32, lengths), gradients(torch.bfloat16, lengths, frozen)
    assert full.keys() == low.keys() == {"rows", "gates"}
    for name, gradient in full.items():
        cosine = torch.cosine_similarity(gradient.flatten(), low[name].flatten(), dim=0)
        assert cosine > 0.999, (name, cosine)
        assert abs(low[name].norm() / gradient.norm() - 1) < 0.02


def test_low_precision_copy_follows_the_weights() -> None:
    tower = make().requires_grad_(False)
    ids, sizes = batch([12, 3], 12)
    with torch.no_grad():
        before = tower(ids, sizes, precision=torch.bfloat16)
        tower.get_parameter("blocks.1.up.weight").mul_(2)
        after = tower(ids, sizes, precision=torch.bfloat16)
        fresh = copy.deepcopy(tower).forward(ids, sizes, precision=torch.bfloat16)
    assert (before - after).abs().max() > 1e-2
    torch.testing.assert_close(after, fresh, atol=0, rtol=0)


def test_an_enclosing_autocast_chooses_the_precision() -> None:
    tower = make().requires_grad_(False)
    ids, sizes = batch([12, 3], 12)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            ambient = tower(ids, sizes)
        torch.testing.assert_close(ambient, tower(ids, sizes, precision=torch.bfloat16), atol=0, rtol=0)
        assert ambient.dtype == torch.float32
        assert (ambient - tower(ids, sizes)).abs().max() > 0


@pytest.mark.parametrize("config", [SMALL, POSTED])
def test_a_tower_can_be_trained_whole(config: TextConfig) -> None:
    tower = make(config)
    ids, sizes = batch([12, 3, 5], 12)
    tower(ids, sizes, precision=torch.bfloat16).square().sum().backward()
    gradients_ = {name: parameter.grad for name, parameter in tower.named_parameters()}
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients_.values())


def test_geometry_is_checked() -> None:
    with pytest.raises(ConfigError, match="heads"):
        TextConfig(width=30, heads=4)
    with pytest.raises(ConfigError, match="causal"):
        TextConfig(causal=False)
    with pytest.raises(ConfigError, match="both ways"):
        TextConfig(pooling="mean")
    with pytest.raises(ConfigError, match="post-norm"):
        TextConfig(norms="post")
    with pytest.raises(ConfigError, match="12 positions"):
        make()(*batch([13], 13))


def test_the_geometry_of_multilingual_clip() -> None:
    config = TextConfig(
        width=1024, layers=24, heads=16, mlp_width=4096, vocab_size=250_002, context_length=512, embed_dim=768,
        activation="gelu", causal=False, pooling="mean", projection_bias=True, norms="post",
    )  # fmt: skip
    with torch.device("meta"):
        tower = TextTower(config)
    weights = sum(parameter.numel() for parameter in tower.parameters())
    pooler, folded = (
        1024 * 1024 + 1024,
        3 * 1024,
    )  # the pooler is not read; two positions and the type are folded
    assert weights == 560_677_632 - pooler - folded


def test_a_record_is_the_geometry_and_of_older_ones_what_it_was() -> None:
    for config in (SMALL, SIGLIP, POSTED):
        assert TextConfig(**config.record()) == config
    assert set(dataclasses.asdict(SMALL)) - set(SMALL.record()) == {"norms", "centred"}
    assert POSTED.record()["norms"] == "post"


def test_a_centred_tower_takes_the_mean_away() -> None:
    plain = make(POSTED)
    centred = make(dataclasses.replace(POSTED, centred=True))
    centred.center.copy_(torch.randn(24) * 0.1)
    state = centred.state_dict()
    assert "center" not in dict(centred.named_parameters())  # frozen whatever trains
    plain.load_state_dict({name: tensor for name, tensor in state.items() if name != "center"})
    with torch.no_grad():
        before, after = plain(*batch([3, 12, 7], 12)), centred(*batch([3, 12, 7], 12))
    expected = torch.stack([(row / row.norm() - centred.center) * 24**0.5 for row in before])
    torch.testing.assert_close(after, expected, atol=1e-5, rtol=0)


def test_no_texts_give_no_features() -> None:
    features = make()(torch.zeros(0, 12, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    assert features.shape == (0, 24)
    assert np.isfinite(features.detach().numpy()).all()
