"""The compacter's maps are the sums of Kronecker products that the paper writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from glotclip.errors import ConfigError
from glotclip.methods.bottleneck import Activation
from glotclip.methods.compacter import Compacter, KroneckerBottleneck, KroneckerLinear
from glotclip.methods.method import method_named

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.models.dual_encoder import DualEncoder

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))


@given(SIZES, st.integers(0, 1000))
def test_the_matrix_is_the_sum_of_kronecker_products(sizes: tuple[int, int, int, int], seed: int) -> None:
    terms, inputs, outputs, rank = sizes
    layer = KroneckerLinear(terms * inputs, terms * outputs, terms, rank)
    layer.draw(0.5, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        layer.bias.normal_(generator=torch.Generator().manual_seed(seed))
        expected = sum(
            (torch.kron(layer.rule[i], layer.left[i] @ layer.right[i]) for i in range(terms)),
            torch.zeros(terms * inputs, terms * outputs),
        )
        torch.testing.assert_close(layer.matrix(), expected)
        x = torch.randn(3, terms * inputs, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(layer(x), x @ expected + layer.bias)


def test_a_bottleneck_has_as_many_weights_as_the_paper_counts() -> None:
    with torch.device("meta"):
        layer = KroneckerBottleneck(1024, 64, 4, 1, "relu")
    assert [p.numel() for p in layer.down.parameters()] == [64, 1024, 64, 64]
    assert [p.numel() for p in layer.up.parameters()] == [64, 64, 1024, 1024]


def test_the_residual_is_inside_and_the_start_is_near_the_identity(base: DualEncoder, make_task: MakeTask) -> None:
    (module,) = make_task(base, ["compacter"]).stacks["de"].text_modules
    x = torch.randn(50, 32, generator=torch.Generator().manual_seed(0))
    for k in range(2):
        hooks = module.block_hooks(k)
        assert hooks is not None
        for act in (hooks.after_attention, hooks.after_mlp):
            assert act is not None
            change = (act(x) - x).abs().max()
            assert 0 < float(change.detach()) < 0.02
            assert act(x.bfloat16()).dtype == torch.bfloat16


def test_entries_of_the_maps_deviate_as_asked() -> None:
    """Whatever the sizes, so that the setting means what it means for adapters."""
    generator = torch.Generator().manual_seed(0)
    for inputs, outputs, terms, rank in ((256, 16, 4, 1), (16, 256, 4, 1), (60, 30, 3, 2)):
        layer = KroneckerLinear(inputs, outputs, terms, rank)
        squares = []
        for _ in range(100):
            layer.draw(0.03, generator)
            squares.append(float(layer.matrix().detach().square().mean()))
        assert (sum(squares) / len(squares)) ** 0.5 == pytest.approx(0.03, rel=0.1)


@pytest.mark.parametrize(
    ("activation", "function"),
    [("relu", torch.relu), ("gelu", F.gelu), ("gelu_tanh", partial(F.gelu, approximate="tanh"))],
)
def test_the_activation_is_a_setting_that_the_pack_remembers(
    base: DualEncoder, make_task: MakeTask, activation: Activation, function: Callable[..., torch.Tensor]
) -> None:
    (module,) = make_task(base, ["compacter"], activation=activation).stacks["de"].text_modules
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    restored = Compacter.restore(base, module.tensors(), module.description())
    assert restored.description()["activation"] == activation
    for each in (module, restored):
        layer = each.get_submodule("blocks.1.mlp")
        assert isinstance(layer, KroneckerBottleneck)
        inner = function(x @ layer.down.matrix() + layer.down.bias)
        hooks = each.block_hooks(1)
        assert hooks is not None and hooks.after_mlp is not None
        torch.testing.assert_close(hooks.after_mlp(x), x + inner @ layer.up.matrix() + layer.up.bias)


def test_relu_is_the_methods_default() -> None:
    """As PECT's library has it."""
    assert method_named("compacter").settings.model_fields["activation"].default == "relu"


def test_the_reference_start_is_glorots_with_small_rules() -> None:
    layer = KroneckerLinear(256, 16, 4, 1)
    layer.draw_as_reference(torch.Generator().manual_seed(0))
    bound = (6 / 65) ** 0.5
    assert 0.95 * bound < float(layer.left.detach().abs().max()) <= bound
    assert float(layer.left.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert float(layer.rule.detach().std()) == pytest.approx(0.01, rel=0.3)
    assert not layer.bias.any()


def test_the_start_is_a_setting(base: DualEncoder, make_task: MakeTask) -> None:
    def layers(start: str) -> list[KroneckerLinear]:
        (module,) = make_task(base, ["compacter"], start=start).stacks["de"].text_modules
        return [layer for layer in module.modules() if isinstance(layer, KroneckerLinear)]

    def deviation(tensors: list[torch.Tensor]) -> float:
        return float(torch.stack([each.detach().square().mean() for each in tensors]).mean().sqrt())

    even, reference = layers("even"), layers("reference")
    assert len(even) == len(reference) == 8
    assert deviation([layer.matrix() for layer in even]) == pytest.approx(0.01, rel=0.3)
    assert deviation([layer.rule for layer in reference]) == pytest.approx(0.01, rel=0.15)
    bound = (6 / 9) ** 0.5  # of Glorot's uniform draw, on the way down
    largest = [float(max(layer.left.detach().abs().max() for layer in each[::2])) for each in (even, reference)]
    assert largest[1] <= bound < largest[0]


@pytest.mark.parametrize("sizes", [(5, 4, 1), (16, 3, 1), (64, 4, 1)])
def test_sizes_that_do_not_divide_are_refused(base: DualEncoder, sizes: tuple[int, int, int]) -> None:
    reduction, terms, rank = sizes
    with pytest.raises(ConfigError, match="is no sum of") as caught:
        Compacter(base.text.config, Compacter.Config(reduction=reduction, terms=terms, factor_rank=rank))
    assert caught.value.hint


@pytest.mark.parametrize("field", ["reduction", "terms", "factor_rank"])
def test_sizes_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Compacter.Config.model_validate({field: 0})
