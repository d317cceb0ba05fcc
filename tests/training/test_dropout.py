"""Dropout: in the right share, another in every batch, the same after a kill, and off whenever nothing is learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip import api
from glotclip.methods.stack import ModuleStack
from glotclip.models.hooks import BlockHooks, TextHooks
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.training.dropout import DropoutHooks, DropoutSeed, dropout_seed, seeded, with_dropout
from glotclip.training.parallel import World
from glotclip.training.task_data import TaskDataLoader
from glotclip.training.task_module import TaskModule
from glotclip.training.task_trainer import TaskTrainer

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.training.curriculum import Curriculum

CPU = torch.device("cpu")


class Halves(TextHooks):
    """Halves what attention gives; given a text's features, multiplies by their number."""

    def __init__(self, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = factor

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        return Plain(float(len(features)))


class Plain(TextHooks):
    """Multiplies what attention gives."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def block_hooks(self, k: int) -> BlockHooks:
        return BlockHooks(after_attention=lambda x: x * self.factor)


def test_a_share_is_dropped_behind_the_modules_and_the_rest_made_larger() -> None:
    ones = torch.ones(400, 100)
    stack = with_dropout(ModuleStack([Plain(0.5)]), DropoutSeed(0.2, 0))
    hooks = stack.block_hooks(0)
    assert hooks is not None
    assert hooks.after_attention is not None
    assert hooks.after_mlp is not None
    for change, kept in ((hooks.after_attention, 0.5 / 0.8), (hooks.after_mlp, 1 / 0.8)):
        made = change(ones)
        assert sorted(set(made.flatten().tolist())) == pytest.approx([0.0, kept])
        assert float((made == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    plain = DropoutHooks(0.2).block_hooks(1)
    assert plain.after_mlp is not None
    assert not torch.equal(plain.after_mlp(ones), plain.after_mlp(ones))


def test_what_depends_on_the_text_is_asked_without_dropout() -> None:
    stack = with_dropout(ModuleStack([Halves()]), DropoutSeed(0.2, 0))
    probe = stack.probe()
    assert probe is not None
    assert probe.block_hooks(0) is None
    given = stack.condition_on(torch.zeros(3, 4)).block_hooks(0)
    assert given is not None
    assert given.after_attention is not None
    assert sorted(set(given.after_attention(torch.ones(99, 9)).flatten().tolist())) == pytest.approx([0.0, 3 / 0.8])


def test_nothing_to_drop_is_the_stack_itself_without_a_draw() -> None:
    stack, before = ModuleStack([]), torch.random.get_rng_state()
    assert dropout_seed(0.0, 1, 2) is None
    assert with_dropout(stack, None) is stack
    with seeded(None, CPU):
        pass
    with seeded(DropoutSeed(0.1, 3), CPU):
        first = torch.rand(4)
    with seeded(DropoutSeed(0.1, 3), CPU):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.random.get_rng_state(), before)
    seeds = {
        dropout_seed(0.1, *numbers)
        for numbers in ((0, 0, 0, 0, 0), (0, 0, 1, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1))
    }
    assert len(seeds) == 4


@pytest.mark.slow
@pytest.mark.parametrize("norms", ["pre", "post"])
def test_towers_of_both_kinds_read_a_text_another_way_each_time(norms: Any) -> None:
    torch.manual_seed(0)
    pooling = {"pre": "eot", "post": "mean"}[norms]
    config = TextConfig(
        width=32, layers=2, heads=2, mlp_width=64, vocab_size=40, context_length=12, embed_dim=16,
        causal=norms == "pre", pooling=pooling, norms=norms,  # type: ignore[arg-type]
    )  # fmt: skip
    tower, ids = TextTower(config), torch.randint(0, 40, (64, 9))
    lengths = torch.full((64,), 9)

    def read(seed: int | None) -> torch.Tensor:
        dropout = None if seed is None else DropoutSeed(0.1, seed)
        with torch.no_grad(), seeded(dropout, CPU):
            features: torch.Tensor = tower(ids, lengths, with_dropout(ModuleStack([]), dropout))
        return features

    plain = read(None)
    assert torch.equal(read(1), read(1))
    assert not torch.allclose(read(1), read(2), atol=1e-3)
    mean = torch.stack([read(seed) for seed in range(40)]).mean(dim=0)
    assert float((mean - plain).norm()) < float((read(1) - plain).norm()) / 2  # it is noise around the feature


def _prepared(school: School, **settings: Any) -> tuple[Curriculum, TrainingTask]:
    curriculum = school.curriculum(("de",), isolation="shared", **settings)
    return curriculum, curriculum.prepare(school.base, None, ("de",), school.captions)


def _loader(school: School, curriculum: Curriculum, task: TrainingTask, world: World | None = None) -> TaskDataLoader:
    return TaskDataLoader(
        task, {"de": school.captions["de"]}, curriculum.train, 6, device=CPU, world=world or World()
    )


def test_the_same_text_on_both_sides_has_a_loss_with_dropout_only(school: School) -> None:
    losses = []
    for dropout in (0.0, 0.1):
        curriculum, task = _prepared(school, dropout=dropout, target_encoder="trained", cross_modal=0)
        module = TaskModule(school.base, task, curriculum.stages()[0].objective, "fp32")
        (batch,) = _loader(school, curriculum, task)(0)
        (texts,) = batch.texts
        encoded = module.encode(replace(batch, texts=(replace(texts, target=(texts.ids, texts.lengths)),)))
        assert encoded.target is not None
        losses.append((encoded.features - encoded.target).square().mean().item())
    assert losses[0] < 1e-10
    assert losses[1] > 1e-5


def test_every_micro_batch_step_and_process_drops_its_own(school: School) -> None:
    curriculum, task = _prepared(school, dropout=0.1, accumulate=2)
    seeds = [
        batch.dropout
        for rank in (0, 1)
        for step in (0, 1)
        for batch in _loader(school, curriculum, task, World(rank=rank, size=2))(step)
    ]
    assert len(set(seeds)) == len(seeds) == 8
    assert all(each is not None and each.rate == 0.1 for each in seeds)


def test_the_last_pass_of_a_task_drops_nothing(school: School) -> None:
    curriculum, task = _prepared(school, dropout=0.1)
    captions = {"de": school.captions["de"]}
    batches = list(TaskTrainer(school.base).last_pass(task, captions, curriculum.stages()[0], 1))
    assert batches
    assert all(batch.dropout is None for micro in batches for batch in micro)


def test_a_killed_run_goes_on_with_the_same_masks(school: School, tmp_path: Path) -> None:
    def rows(fitting: Mapping[str, Any] | None = None, **settings: Any) -> torch.Tensor:
        taught = school.teach(
            None, "de", isolation="shared", checkpoint_seconds=0, steps=6, fitting=fitting, **settings
        )
        return taught.state.modules["all"][0].tensors()["rows"].clone()

    whole = rows(dropout=0.3)
    calls, fitting = iter(range(1, 100)), {"checkpoint": tmp_path / "state.safetensors", "identity": "x"}
    with pytest.raises(KeyboardInterrupt):
        rows({**fitting, "stop": lambda: next(calls) >= 3}, dropout=0.3)
    assert torch.equal(rows(fitting, dropout=0.3), whole)
    assert not torch.equal(rows(dropout=0.0), whole)


def test_a_base_is_fine_tuned_with_dropout_too(base: DualEncoder, drawn_pairs: Path, tmp_path: Path) -> None:
    def tuned(name: str, dropout: float) -> torch.Tensor:
        few = {"steps": 3, "batch_size": 4, "lr": 1e-3, "precision": "fp32", "images": False, "dropout": dropout}
        api.finetune(base, data=drawn_pairs, out=tmp_path / name, settings=few)
        return api.load(tmp_path / name).base.state()["text.blocks.0.up.weight"]

    plain, dropped = tuned("plain", 0.0), tuned("dropped", 0.2)
    assert torch.equal(tuned("again", 0.2), dropped)
    assert not torch.equal(plain, dropped)


@pytest.fixture
def drawn_pairs(tmp_path: Path, draw: Callable[[Path, str, str], None]) -> Path:
    """Four drawn pictures with an English caption each, to train on."""
    lines = ["text,lang,image,split"]
    for colour in ("red", "green", "blue", "black"):
        draw(tmp_path / f"{colour}.png", colour, "circle")
        lines.append(f"a {colour} circle,en,{colour}.png,train")
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "pairs.csv"
