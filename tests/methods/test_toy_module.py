"""A module is added by one file: here are two, which train, are stored, come back and are served like the others."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from pydantic import Field
from torch import nn

import glotclip
from glotclip.config import Settings
from glotclip.errors import ConfigError, PackError
from glotclip.methods import module as module_file
from glotclip.methods.method import methods, module_named
from glotclip.methods.module import REGISTRY, TextModule, register_method
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_tower import TextConfig
from glotclip.packs.pack import read_manifest

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder

    Extend = Callable[..., glotclip.Extended]

pytestmark = pytest.mark.slow

TEXTS = ["roter Kreis", "grünes Quadrat", "eine Katze"]
SOURCE = Path(glotclip.__file__).parent


class Scale(TextModule):
    """A factor for every feature after every block."""

    class Config(Settings):
        """Factors after every block."""

        first_factor: float = Field(1.0, gt=0, description="the factors before training")

    def __init__(self, text: TextConfig, config: Config) -> None:
        super().__init__(text, config)
        self.factors = nn.Parameter(torch.empty(text.layers, text.width))

    def init_weights(self, task: TrainingTask) -> None:
        nn.init.constant_(self.factors, self.config.first_factor)

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        return hidden * self.factors[k].to(hidden.dtype)


class Diagonal(TextModule):
    """A diagonal matrix added to attention's last map, which weights can absorb; its start is drawn."""

    class Config(Settings):
        """A diagonal delta on attention's last map."""

        deviation: float = Field(0.1, description="of the diagonals before training")

    stored_settings = ("deviation",)

    def __init__(self, text: TextConfig, config: Config) -> None:
        super().__init__(text, config)
        self.diagonals = nn.Parameter(torch.empty(text.layers, text.width))

    def init_weights(self, task: TrainingTask) -> None:
        nn.init.normal_(self.diagonals, std=self.config.deviation, generator=task.generator)

    def block_hooks(self, k: int) -> BlockHooks:
        return BlockHooks(deltas={"out": lambda x: x * self.diagonals[k].to(x.dtype)})

    def merged_delta(self, k: int) -> Mapping[str, torch.Tensor]:
        return {"out": torch.diag(self.diagonals[k])}


@pytest.fixture(autouse=True)
def _registered(registry: None) -> None:
    no_images = {"cross_modal": 0.0}
    register_method("toy-scale", "a factor for every feature", defaults=no_images)(Scale)
    register_method("toy-diagonal", "a diagonal beside a map", defaults=no_images)(Diagonal)


@pytest.fixture
def extend(drawn: Path, tmp_path: Path) -> Extend:
    """Teaches emoji-clip German in a few steps, by the public function."""

    def run(method: str, **settings: Any) -> glotclip.Extended:
        small = {"steps": 4, "batch_size": 4, "lr": 0.01, "vocabulary": 50, "precision": "fp32"}
        return glotclip.extend(
            "emoji-clip", "de", data=drawn, method=method, settings={**small, **settings}, out=tmp_path / method,
            benchmark=False, cache=tmp_path / "cache",
        )  # fmt: skip

    return run


def test_it_trains_is_stored_and_comes_back(extend: Extend) -> None:
    made = extend("toy-scale", first_factor=1.5)
    model = made.load()
    (pack,) = model.packs.values()
    assert pack.folder is not None
    manifest = read_manifest(pack.folder)
    assert (manifest.method, manifest.languages) == ("toy-scale", ("de",))
    assert {(part.scope, part.kind) for part in manifest.modules} == {("all", "lexicon"), ("de", "toy-scale")}
    width, layers = model.base.text.config.width, model.base.text.config.layers
    assert manifest.tensors["de.toy-scale.factors"].shape == (layers, width)
    assert (manifest.settings["first_factor"], manifest.settings["cross_modal"]) == (1.5, 0.0)
    scale = pack.state.module("toy-scale", "de")
    assert isinstance(scale, Scale)
    assert not torch.isclose(scale.factors, torch.tensor(1.5)).all()
    assert torch.isclose(scale.factors, torch.tensor(1.5), atol=0.1).all()
    features = model.encode_text(TEXTS, lang="de")
    assert torch.equal(glotclip.load(made.folder).encode_text(TEXTS, lang="de"), features)
    assert not torch.allclose(model.encode_text(TEXTS, lang="en"), features, atol=1e-2)


def test_its_settings_are_checked_like_all_others(extend: Extend) -> None:
    with pytest.raises(ConfigError, match="unknown setting 'first_facter'") as caught:
        extend("toy-scale", first_facter=2)
    assert "did you mean 'first_factor'" in str(caught.value.hint)
    with pytest.raises(ConfigError, match=r"'first_factor' in the settings: .*greater than 0"):
        extend("toy-scale", first_factor=0)
    with pytest.raises(ConfigError, match="unknown setting 'first_factor'"):
        extend("toy-diagonal", first_factor=1)
    with pytest.raises(ConfigError, match="unknown method 'toy-scael'") as caught:
        extend("toy-scael")
    assert "did you mean 'toy-scale'" in str(caught.value.hint)


def test_what_weights_can_absorb_is_merged_for_serving(extend: Extend) -> None:
    model = extend("toy-diagonal").load()
    (pack,) = model.packs.values()
    stack, tokens = pack.state.stack("de"), pack.state.tokenizer.encode(TEXTS)
    assert [module.kind for module in stack.mergeable] == ["toy-diagonal"]
    beside = model.base.encode_tokens(tokens, stack)
    merged = stack.merged(model.base.text)
    for k in range(model.base.text.config.layers):
        hooks = merged.block_hooks(k)
        assert hooks is not None
        assert not hooks.deltas
    torch.testing.assert_close(model.base.encode_tokens(tokens, merged), beside, atol=1e-4, rtol=1e-4)
    served = model.encode_text(TEXTS, lang="de")
    torch.testing.assert_close(served, torch.nn.functional.normalize(beside, dim=-1), atol=1e-5, rtol=1e-4)
    without = model.base.encode_tokens(tokens, type(stack)([m for m in stack.text_modules if m.kind == "lexicon"]))
    assert not torch.allclose(without, beside, atol=1e-2)


def test_its_description_is_checked_when_it_comes_back(base: DualEncoder, make_task: MakeTask) -> None:
    settings = methods()["toy-diagonal"].config({"deviation": 0.5, "vocabulary": 0})
    task = make_task(base, [])
    module = Diagonal.new(settings, task)
    assert module.description() == {"deviation": 0.5}
    assert float(Diagonal.restore(base, module.tensors(), module.description()).config.deviation) == 0.5
    for damaged, said in (({}, {"deviation": 0.5}), (module.tensors(), {})):
        with pytest.raises(PackError, match="the toy-diagonal module"):
            Diagonal.restore(base, damaged, said)


def test_a_pack_asks_for_the_file_that_registers_its_module(extend: Extend) -> None:
    folder = extend("toy-scale").folder
    del REGISTRY["toy-scale"]
    with pytest.raises(PackError, match="unknown kind 'toy-scale'") as caught:
        glotclip.load(folder)
    assert "import what registers it" in str(caught.value.hint)


def test_nothing_in_the_source_names_it() -> None:
    assert {"toy-scale", "toy-diagonal"} <= set(methods())
    texts = [path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")]
    assert len(texts) > 100
    assert not [text for text in texts if "toy-" in text]


def test_the_example_in_the_documentation_works(base: DualEncoder, make_task: MakeTask) -> None:
    _, example = str(module_file.__doc__).split("\n\n    ", 1)
    names: dict[str, Any] = {
        "__name__": "example", "nn": nn, "torch": torch, "Field": Field, "Settings": Settings,
        "TextModule": TextModule, "register_method": register_method,
    }  # fmt: skip
    exec("from __future__ import annotations\n" + textwrap.dedent("    " + example), names)
    scale = methods()["scale"]
    assert module_named("scale") is names["Scale"]
    module = module_named("scale").new(scale.config({"start": 2.0}), make_task(base, []))
    hidden = torch.ones(1, 3, base.text.config.width)
    assert torch.equal(module.after_block(0, hidden), hidden * 2)
