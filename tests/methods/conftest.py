"""What the tests of parts share: three kinds of tiny bases, one ingredient of every kind, and lessons from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import pytest
import torch

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.methods.stack import PackState
    from glotclip.methods.task import Ingredient, TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

TEXTS = {
    "de": ("roter Kreis", "grünes Quadrat", "blauer Balken", "schwarz"),
    "fr": ("cercle rouge", "carré vert", "barre bleue", "noir"),
}


class MakeLesson(Protocol):
    """Prepares a lesson in some languages."""

    def __call__(
        self,
        base: DualEncoder,
        ingredients: Sequence[Ingredient],
        codes: Sequence[str] = ("de",),
        state: PackState | None = None,
        seed: int = 3,
    ) -> TrainingTask: ...


@pytest.fixture(scope="session")
def towers(make_base: MakeBase) -> Mapping[str, DualEncoder]:
    """Tiny bases of the three kinds of text towers: CLIP's, SigLIP's, XLM-R's."""
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.models.text_tower import TextConfig, TextTower

    clip, siglip = make_base(), make_base(causal=False)
    config = clip.text.config
    torch.manual_seed(1)
    tower = TextTower(
        TextConfig(
            width=config.width, layers=config.layers, heads=config.heads, mlp_width=config.mlp_width,
            vocab_size=config.vocab_size, context_length=config.context_length, embed_dim=config.embed_dim,
            activation="gelu", causal=False, pooling="mean", norms="post", projection_bias=True,
        )
    )  # fmt: skip
    xlmr = DualEncoder("tiny-xlmr", tower, clip.vision, clip.tokenizer, clip.preprocess, 14.3)
    return {"clip": clip, "siglip": siglip, "xlm-r": xlmr}


@pytest.fixture(params=["clip", "siglip", "xlm-r"])
def tower(request: pytest.FixtureRequest, towers: Mapping[str, DualEncoder]) -> DualEncoder:
    """Each of the three in turn."""
    return towers[str(request.param)]


def every_ingredient(shared: bool = False) -> dict[str, Ingredient]:
    """One ingredient of every kind that trains, at sizes for the tiny bases."""
    from glotclip.methods.acquirer import AcquirerIngredient
    from glotclip.methods.adapter import AdapterIngredient
    from glotclip.methods.compacter import CompacterIngredient
    from glotclip.methods.lora import TARGETS, LoraIngredient
    from glotclip.methods.prefix import PrefixIngredient
    from glotclip.methods.prompt import SoftPromptIngredient
    from glotclip.methods.tuning import NormsIngredient, TableIngredient, TowerIngredient

    return {
        "acquirer": AcquirerIngredient(shared, bottleneck=6),
        "adapter": AdapterIngredient(shared, bottleneck=5),
        "compacter": CompacterIngredient(shared, reduction=4),
        "lora": LoraIngredient(shared, targets=TARGETS, rank=3),
        "soft_prompt": SoftPromptIngredient(shared, length=2),
        "prefix": PrefixIngredient(shared, length=3),
        "norms": NormsIngredient(shared),
        "tower": TowerIngredient(shared),
        "table": TableIngredient(shared),
    }


@pytest.fixture(scope="session")
def ingredients() -> Callable[..., dict[str, Ingredient]]:
    """The function that makes one ingredient of every kind."""
    return every_ingredient


@pytest.fixture(scope="session")
def make_lesson() -> MakeLesson:
    """The function that prepares a lesson."""
    from glotclip.methods.task import Task, prepare

    def make(
        base: DualEncoder,
        ingredients: Sequence[Ingredient],
        codes: Sequence[str] = ("de",),
        state: PackState | None = None,
        seed: int = 3,
    ) -> TrainingTask:
        task = Task({code: TEXTS[code] for code in codes})
        return prepare(base, state, task, ingredients, seed=seed, covers_base=False)

    return make


@pytest.fixture(scope="session")
def stir() -> Callable[[TrainingTask], None]:
    """The function that moves every training weight of a lesson, as many steps would."""

    def move(lesson: TrainingTask, by: float = 0.1) -> None:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for group in lesson.groups:
                for parameter in group.parameters:
                    parameter.add_(torch.randn(parameter.shape, generator=generator) * by)

    return move
