"""What the tests of modules share: tiny bases of three kinds, and training tasks of any modules on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import torch

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.methods.settings import ModuleSettings
    from glotclip.methods.stack import PackState
    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

TEXTS = {
    "de": ("roter Kreis", "grünes Quadrat", "blauer Balken", "schwarz"),
    "fr": ("cercle rouge", "carré vert", "barre bleue", "noir"),
}


class MakeTask(Protocol):
    """Prepares a training task of the modules of these kinds; ``shared=True`` makes them of scope "all"."""

    def __call__(
        self,
        base: DualEncoder,
        kinds: Sequence[str],
        codes: Sequence[str] = ("de",),
        previous: PackState | None = None,
        seed: int = 3,
        **settings: Any,
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


@pytest.fixture
def registry() -> Iterator[None]:
    """What a test registers is forgotten afterwards."""
    from glotclip.methods.method import methods
    from glotclip.methods.module import REGISTRY

    methods()  # imports the package's own modules, once for all
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture(scope="session")
def tiny_settings() -> Callable[..., ModuleSettings]:
    """Makes one object with the settings of every module, at sizes for the tiny bases."""
    return make_settings


def make_settings(*, shared: bool = False, **settings: Any) -> ModuleSettings:
    """The settings of every module in one object; ``shared=True`` makes modules of scope "all"."""
    from glotclip.methods.acquirer import Acquirer
    from glotclip.methods.adapter import Adapter
    from glotclip.methods.bottleneck import Activation
    from glotclip.methods.coda_prompt import CodaPrompt
    from glotclip.methods.compacter import Compacter
    from glotclip.methods.dual_prompt import DualPrompt
    from glotclip.methods.lora import TARGETS, Lora, Target
    from glotclip.methods.prefix import Prefix
    from glotclip.methods.prompt import HardPrompt, SoftPrompt
    from glotclip.methods.settings import ModuleSettings

    class TinySettings(
        ModuleSettings, Acquirer.Config, Adapter.Config, Compacter.Config, Lora.Config, SoftPrompt.Config,
        HardPrompt.Config, Prefix.Config, DualPrompt.Config, CodaPrompt.Config,
    ):  # fmt: skip
        bottleneck: int = 5
        activation: Activation = "gelu_tanh"
        reduction: int = 4
        targets: tuple[Target, ...] = TARGETS
        rank: int = 3
        length: int = 2
        prompt: str = ""
        vocabulary: int = 0
        general_blocks: tuple[int, ...] = (0, 1)
        expert_blocks: tuple[int, ...] = (0, 1)
        expert: int = 3
        components: int = 3

    sharing = {"isolation": "shared", "modules": "shared"} if shared else {}
    return TinySettings(**{**sharing, **settings})


@pytest.fixture(scope="session")
def make_task(tiny_settings: Callable[..., ModuleSettings]) -> MakeTask:
    """The function that prepares a training task."""
    from glotclip.methods.method import module_named
    from glotclip.methods.task import TrainingTask

    def make(
        base: DualEncoder,
        kinds: Sequence[str],
        codes: Sequence[str] = ("de",),
        previous: PackState | None = None,
        seed: int = 3,
        **settings: Any,
    ) -> TrainingTask:
        task = TrainingTask(base, previous, {code: TEXTS[code] for code in codes}, seed=seed)
        return task.prepare([module_named(kind) for kind in kinds], tiny_settings(**settings))

    return make


@pytest.fixture(scope="session")
def stir() -> Callable[..., None]:
    """The function that moves every training weight of a task, as many steps would."""

    def move(task: TrainingTask, by: float = 0.1) -> None:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for group in task.groups:
                for parameter in group.parameters:
                    parameter.add_(torch.randn(parameter.shape, generator=generator) * by)

    return move
