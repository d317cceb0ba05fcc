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

from glotclip.config import settings_from
from glotclip.errors import ConfigError, PackError
from glotclip.methods.compacter import Compacter, CompacterIngredient, KroneckerLinear, Site
from glotclip.methods.method import method_named
from glotclip.methods.module import Activation

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

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


def test_a_site_has_as_many_weights_as_the_spec_counts() -> None:
    with torch.device("meta"):
        site = Site(1024, 64, 4, 1, "relu")
    assert [p.numel() for p in site.down.parameters()] == [64, 1024, 64, 64]
    assert [p.numel() for p in site.up.parameters()] == [64, 64, 1024, 1024]


def test_the_residual_is_inside_and_the_start_is_near_the_identity(
    base: DualEncoder, make_lesson: MakeLesson
) -> None:
    (part,) = make_lesson(base, [CompacterIngredient(reduction=4)]).stacks["de"].parts
    assert isinstance(part, Compacter)
    x = torch.randn(50, 32, generator=torch.Generator().manual_seed(0))
    for k in range(2):
        for act in (part.block_hooks(k).after_attention, part.block_hooks(k).after_mlp):
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
    base: DualEncoder, make_lesson: MakeLesson, activation: Activation, function: Callable[..., torch.Tensor]
) -> None:
    (part,) = make_lesson(base, [CompacterIngredient(reduction=4, activation=activation)]).stacks["de"].parts
    assert isinstance(part, Compacter)
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    restored = Compacter.restore(base, part.tensors(), part.description())
    for each in (part, restored):
        site = each.blocks[1]["mlp"]  # type: ignore[index]
        inner = function(x @ site.down.matrix() + site.down.bias)
        act = each.block_hooks(1).after_mlp
        assert act is not None
        torch.testing.assert_close(act(x), x + inner @ site.up.matrix() + site.up.bias)


def test_relu_is_the_methods_default_and_old_packs_stay_gelu(base: DualEncoder, make_lesson: MakeLesson) -> None:
    method = method_named("compacter")
    chosen = [each for each in method.ingredients(method.settings()) if isinstance(each, CompacterIngredient)]
    assert [each.activation for each in chosen] == ["relu"]
    (part,) = make_lesson(base, [CompacterIngredient(reduction=4, activation="gelu_tanh")]).stacks["de"].parts
    assert isinstance(part, Compacter)
    old = {name: value for name, value in part.description().items() if name != "activation"}
    assert Compacter.restore(base, part.tensors(), old).description()["activation"] == "gelu_tanh"
    with pytest.raises(PackError, match="does not make sense"):
        Compacter.restore(base, part.tensors(), {**old, "activation": "sine"})


def test_the_reference_start_is_glorots_with_small_rules() -> None:
    layer = KroneckerLinear(256, 16, 4, 1)
    layer.draw_as_reference(torch.Generator().manual_seed(0))
    bound = (6 / 65) ** 0.5
    assert 0.95 * bound < float(layer.left.detach().abs().max()) <= bound
    assert float(layer.left.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert float(layer.rule.detach().std()) == pytest.approx(0.01, rel=0.3)
    assert not layer.bias.any()
    method = method_named("compacter")
    chosen = settings_from(method.settings, {"start": "reference"}, where="a test")
    ingredients = method.ingredients(chosen)
    assert [each.start for each in ingredients if isinstance(each, CompacterIngredient)] == ["reference"]


@pytest.mark.parametrize("sizes", [(5, 4, 1), (16, 3, 1), (64, 4, 1), (4, 4, 0), (0, 4, 1), (4, 0, 1)])
def test_sizes_that_do_not_divide_are_refused(base: DualEncoder, sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ConfigError):
        Compacter(base.text.config, *sizes)
