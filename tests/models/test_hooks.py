"""Every place where hooks may act, against a tower written out plainly: one text at a time, nothing packed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.models import blocks
from glotclip.models.hooks import BlockHooks, TextHooks
from glotclip.models.text_tower import TextConfig, TextTower

W, INNER, HEADS, LAYERS, CONTEXT, P = 32, 64, 2, 3, 12, 3
SHARED: dict[str, Any] = {
    "width": W, "layers": LAYERS, "heads": HEADS, "mlp_width": INNER, "vocab_size": 50, "context_length": CONTEXT,
}  # fmt: skip
TOWERS = {
    "clip": TextConfig(**SHARED, embed_dim=24),
    "siglip": TextConfig(
        **SHARED, embed_dim=W, activation="gelu_tanh", causal=False, pooling="last", projection_bias=True
    ),
    "xlm-r": TextConfig(
        **SHARED, embed_dim=24, activation="gelu", causal=False, pooling="mean", norms="post", projection_bias=True
    ),
}
LENGTHS = [12, 3, 7, 7, 2, 11, 9, 3, 5]


def make(kind: str) -> TextTower:
    torch.manual_seed(0)
    tower = TextTower(TOWERS[kind]).eval().requires_grad_(False)
    for parameter in tower.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    return tower


@pytest.fixture(params=TOWERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tower(kind: str) -> TextTower:
    return make(kind)


@pytest.fixture
def texts() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(0, 50, (len(LENGTHS), CONTEXT), generator=torch.Generator().manual_seed(0))
    return ids, torch.tensor(LENGTHS)


class Everything(TextHooks):
    """Acts in the places it is told to; the weights are random, and large enough to be seen in the features."""

    def __init__(self, tower: TextTower, places: str) -> None:
        super().__init__()
        self.places = places.split()
        self.own = [tower]  # in a list, so that its weights are not this module's
        generator = torch.Generator().manual_seed(1)

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(shape, generator=generator) * 0.1)

        self.vectors = draw(P, W)
        self.prefixes = draw(LAYERS, 2, P, W)
        sizes = {"q": (W, W), "k": (W, W), "v": (W, W), "out": (W, W), "up": (W, INNER), "down": (INNER, W)}
        self.maps = nn.ModuleList(
            nn.ParameterDict({name: draw(out, into) for name, (into, out) in sizes.items()}) for _ in range(LAYERS)
        )
        self.gates = draw(LAYERS, 2, W)
        self.changes = nn.ModuleList(
            nn.ParameterDict({name: draw(*getattr(block_weights(tower, k), name).shape) for name in blocks.NAMES})
            for k in range(LAYERS)
        )
        self.others = nn.ParameterDict(
            {
                name.replace(".", "!"): draw(*parameter.shape)
                for name, parameter in tower.named_parameters()
                if name != "table" and "blocks" not in name
            }
        )

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        if "parameter_overrides" not in self.places:
            return {}
        own = self.own[0].state_dict()
        return {key.replace("!", "."): own[key.replace("!", ".")] + change for key, change in self.others.items()}

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        return self.vectors if "prompt" in self.places else None

    def block_hooks(self, k: int) -> BlockHooks | None:
        own = block_weights(self.own[0], k)
        maps, changes = self.maps[k], self.changes[k]
        assert isinstance(maps, nn.ParameterDict) and isinstance(changes, nn.ParameterDict)

        def delta(name: str) -> Any:
            return lambda x: F.linear(x, maps[name].to(x.dtype))

        def gate(index: int) -> Any:
            return lambda x: x + torch.tanh(x) * self.gates[k, index].to(x.dtype)

        return BlockHooks(
            weights={name: getattr(own, name) + changes[name] for name in changes}
            if "weights" in self.places
            else {},
            deltas={name: delta(name) for name in maps if f"delta-{name}" in self.places},
            after_attention=gate(0) if "after_attention" in self.places else None,
            after_mlp=gate(1) if "after_mlp" in self.places else None,
            prefix=(self.prefixes[k, 0], self.prefixes[k, 1]) if "prefix" in self.places else None,
        )


def block_weights(tower: TextTower, k: int) -> blocks.Weights:
    block = tower.blocks[k]
    assert isinstance(block, blocks.Block)
    return block.weights(torch.float32)


def reference(tower: TextTower, ids: torch.Tensor, lengths: torch.Tensor, hooks: Everything) -> torch.Tensor:
    """Features (B, E), text by text."""
    return torch.stack([one_text(tower, row, int(n), hooks) for row, n in zip(ids, lengths, strict=True)])


def one_text(tower: TextTower, row: torch.Tensor, length: int, hooks: Everything) -> torch.Tensor:
    config = tower.config
    outside = {**dict(tower.named_parameters()), **hooks.parameter_overrides()}
    embedded = tower.table[row[:length]]
    prompt = hooks.prompt(tower.table)
    if prompt is not None:
        embedded = torch.cat([embedded[:1], prompt, embedded[1:]])
        if len(embedded) > CONTEXT:
            embedded = torch.cat([embedded[: CONTEXT - 1], embedded[-1:]])
    if config.pooling == "last":  # this tower sees padding, and is read there
        embedded = torch.cat([embedded, tower.table[row[length:]]])[:CONTEXT]
    x = embedded + outside["positions"][: len(embedded)]
    if config.norms == "post":
        x = F.layer_norm(x, (W,), outside["embed_norm.weight"], outside["embed_norm.bias"], config.norm_eps)
    for k in range(LAYERS):
        x = one_block(tower, x, k, hooks)
    x = x.mean(0) if config.pooling == "mean" else x[-1]
    if config.norms == "pre":
        x = F.layer_norm(x, (W,), outside["norm.weight"], outside["norm.bias"], config.norm_eps)
    x = outside["projection.weight"] @ x
    return x + outside["projection.bias"] if config.projection_bias else x


def one_block(tower: TextTower, x: torch.Tensor, k: int, hooks: Everything) -> torch.Tensor:
    config = tower.config
    block_hooks = hooks.block_hooks(k)
    assert block_hooks is not None
    w = {**block_weights(tower, k)._asdict(), **block_hooks.weights}
    post = config.norms == "post"

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return F.layer_norm(x, (W,), w[name], w[f"{name}_bias"], config.norm_eps)

    def linear(x: torch.Tensor, name: str, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        delta = block_hooks.deltas.get(name)
        return x @ weight.T + bias if delta is None else x @ weight.T + bias + delta(x)

    read = x if post else norm(x, "norm1")
    q, k_, v = (
        linear(read, name, weight, bias)
        for name, weight, bias in zip("qkv", w["qkv"].chunk(3), w["qkv_bias"].chunk(3), strict=True)
    )
    seen = torch.ones(len(x), len(x)).tril() if config.causal else torch.ones(len(x), len(x))
    if block_hooks.prefix is not None:
        k_, v = torch.cat([block_hooks.prefix[0], k_]), torch.cat([block_hooks.prefix[1], v])
        seen = torch.cat([torch.ones(len(x), P), seen], dim=1)
    heads = []
    for part in torch.arange(W).chunk(HEADS):
        scores = q[:, part] @ k_[:, part].T / (W / HEADS) ** 0.5
        heads.append(scores.masked_fill(seen == 0, float("-inf")).softmax(-1) @ v[:, part])
    update = linear(torch.cat(heads, dim=1), "out", w["out"], w["out_bias"])
    x = x + (update if block_hooks.after_attention is None else block_hooks.after_attention(update))
    x = norm(x, "norm1") if post else x
    inner = linear(x if post else norm(x, "norm2"), "up", w["up"], w["up_bias"])
    if config.activation == "quick_gelu":
        inner = inner * torch.sigmoid(1.702 * inner)
    else:
        inner = F.gelu(inner, approximate="tanh" if config.activation == "gelu_tanh" else "none")
    update = linear(inner, "down", w["down"], w["down_bias"])
    x = x + (update if block_hooks.after_mlp is None else block_hooks.after_mlp(update))
    return norm(x, "norm2") if post else x


PLACES = [
    "", "parameter_overrides", "prompt", "weights", "delta-q", "delta-k", "delta-v", "delta-out", "delta-up",
    "delta-down", "after_attention", "after_mlp", "prefix", "prompt prefix delta-q delta-v",
    "parameter_overrides prompt weights delta-q delta-k delta-v delta-out delta-up delta-down after_attention "
    "after_mlp prefix",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("places", PLACES)
def test_each_place_equals_the_plain_tower(
    tower: TextTower, texts: tuple[torch.Tensor, torch.Tensor], places: str
) -> None:
    hooks = Everything(tower, places)
    with torch.no_grad():
        expected = reference(tower, *texts, hooks)
        torch.testing.assert_close(tower(*texts, hooks), expected, atol=1e-5, rtol=1e-5)
        low = tower(*texts, hooks, precision=torch.bfloat16)
        assert torch.cosine_similarity(low, expected).min() > 0.999
        if places:
            assert (expected - tower(*texts)).abs().max() > 1e-2, "the place does nothing, so nothing was tested"


@pytest.mark.slow
@pytest.mark.parametrize("places", PLACES[1:])
def test_gradients_of_each_place(tower: TextTower, texts: tuple[torch.Tensor, torch.Tensor], places: str) -> None:
    def gradients(features: torch.Tensor, hooks: Everything) -> dict[str, torch.Tensor]:
        torch.autograd.backward((features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum())
        return {name: each.grad for name, each in hooks.named_parameters() if each.grad is not None}

    variants = [Everything(tower, places) for _ in range(3)]
    expected = gradients(reference(tower, *texts, variants[0]), variants[0])
    ours = gradients(tower(*texts, variants[1]), variants[1])
    low = gradients(tower(*texts, variants[2], precision=torch.bfloat16), variants[2])
    assert expected.keys() == ours.keys() == low.keys() != set()
    for name, gradient in expected.items():
        largest = float(gradient.abs().max())
        torch.testing.assert_close(ours[name], gradient, atol=1e-4 * max(largest, 0.1), rtol=1e-4)
        if largest > 1e-3:  # a key's bias moves all scores alike: its gradient is rounding error
            assert torch.cosine_similarity(gradient.flatten(), low[name].flatten(), dim=0) > 0.99, name
    assert all(parameter.grad is None for parameter in tower.parameters())


def test_hooks_that_adds_nothing_is_the_base_to_the_last_bit(
    tower: TextTower, texts: tuple[torch.Tensor, torch.Tensor]
) -> None:
    for precision in (torch.float32, torch.bfloat16):
        with torch.inference_mode():
            base = tower(*texts, precision=precision)
            for hooks in (TextHooks(), Everything(tower, "")):
                assert torch.equal(tower(*texts, hooks, precision=precision), base)


def test_a_place_left_alone_is_not_asked() -> None:
    class Refusing(TextHooks):
        """Its class does not override ``inside``, so the tower must not look there."""

    hooks, tower = Refusing(), make("clip")
    hooks.__dict__["block_hooks"] = lambda k: pytest.fail("asked")
    tower(torch.ones(1, 2, dtype=torch.int64), torch.tensor([2]), hooks)


@pytest.mark.parametrize("count", [1, 4, CONTEXT - 2])
def test_a_prompt_of_tokens_equals_writing_them_into_the_text(tower: TextTower, count: int) -> None:
    class Written(TextHooks):
        def prompt(self, table: torch.Tensor) -> torch.Tensor:
            return table[torch.arange(10, 10 + count)]

    rows = [[1, 5, 6, 2], [1, 2], [1, *range(20, 30), 2]]
    written = [[row[0], *range(10, 10 + count), *row[1:]] for row in rows]
    written = [row if len(row) <= CONTEXT else [*row[: CONTEXT - 1], row[-1]] for row in written]
    with torch.no_grad():
        features = [
            tower(torch.tensor([row + [0] * (CONTEXT - len(row)) for row in each]),
                  torch.tensor([len(row) for row in each]), hooks)
            for each, hooks in ((rows, Written()), (written, None))
        ]  # fmt: skip
    torch.testing.assert_close(features[0], features[1], atol=1e-6, rtol=0)


def test_what_does_not_fit_is_refused(texts: tuple[torch.Tensor, torch.Tensor]) -> None:
    tower = make("clip")

    class Wrong(TextHooks):
        def __init__(
            self, outside: Mapping[str, torch.Tensor], block_hooks: BlockHooks, prompt: torch.Tensor | None
        ) -> None:
            super().__init__()
            self.wrong = (outside, block_hooks, prompt)

        def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
            return self.wrong[0]

        def block_hooks(self, k: int) -> BlockHooks:
            return self.wrong[1]

        def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
            return self.wrong[2]

    cases: list[tuple[str, Mapping[str, torch.Tensor], BlockHooks, torch.Tensor | None]] = [
        ("'table'", {"table": torch.zeros(50, W)}, BlockHooks(), None),
        ("positions", {"positions": torch.zeros(1, W)}, BlockHooks(), None),
        ("'query'", {}, BlockHooks(weights={"query": torch.zeros(W, W)}), None),
        ("another base", {}, BlockHooks(weights={"up": torch.zeros(W, W)}), None),
        ("'fc'", {}, BlockHooks(deltas={"fc": lambda x: x}), None),
        ("no room", {}, BlockHooks(), torch.zeros(CONTEXT - 1, W)),
    ]
    for message, outside, block_hooks, prompt in cases:
        with pytest.raises(ConfigError, match=message):
            tower(*texts, Wrong(outside, block_hooks, prompt))


class PerText(TextHooks):
    """Prefixes (B, P, W) of every block, made from what it is asked for first."""

    def __init__(self, size: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.prefixes = nn.Parameter(torch.randn(LAYERS, 2, size, P, W, generator=generator) * 0.3)
        self.seen: list[torch.Tensor] = []

    def probe(self) -> TextHooks:
        return TextHooks()

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        self.seen.append(features)
        return Fixed(self.prefixes)


class Fixed(TextHooks):
    """Prefixes (layers, 2, B, P, W), or without B."""

    def __init__(self, prefixes: torch.Tensor) -> None:
        super().__init__()
        self.made = prefixes

    def block_hooks(self, k: int) -> BlockHooks:
        return BlockHooks(prefix=(self.made[k, 0], self.made[k, 1]))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_every_text_may_have_its_own_prefix(
    tower: TextTower, texts: tuple[torch.Tensor, torch.Tensor], precision: torch.dtype
) -> None:
    ids, lengths = texts
    hooks = PerText(len(ids))
    features = tower(ids, lengths, hooks, precision=precision)
    alone = PerText(len(ids))
    rows = [
        tower(ids[row : row + 1], lengths[row : row + 1], Fixed(alone.prefixes[:, :, row]), precision=precision)
        for row in range(len(ids))
    ]
    tolerance = 1e-5 if precision == torch.float32 else 0.05
    torch.testing.assert_close(features, torch.cat(rows), atol=tolerance, rtol=tolerance)
    weights = torch.linspace(-1, 1, features.numel()).view_as(features)
    torch.autograd.backward((features * weights).sum())
    torch.autograd.backward((torch.cat(rows) * weights).sum())
    ours, expected = hooks.prefixes.grad, alone.prefixes.grad
    assert ours is not None and expected is not None
    assert torch.cosine_similarity(ours.flatten(), expected.flatten(), dim=0) > 0.999


def test_what_is_asked_for_first_is_computed_without_gradients(
    tower: TextTower, texts: tuple[torch.Tensor, torch.Tensor]
) -> None:
    hooks = PerText(len(texts[0]))
    tower(*texts, hooks)
    (query,) = hooks.seen
    assert not query.requires_grad
    with torch.no_grad():
        assert torch.equal(query, tower(*texts))
