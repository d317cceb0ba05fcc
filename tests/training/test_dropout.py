"""Dropout: in the right share, another in every batch, the same after a kill, and off whenever nothing is learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glotclip import api
from glotclip.models.hooks import BlockHooks, TextHooks
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.training.dropout import Dropping, Noise, drawn, noise_of, noisy
from glotclip.training.lesson_source import TaskDataLoader, TaskModule
from glotclip.training.parallel import World
from glotclip.training.teaching import Teacher

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.methods.task import TrainingTask
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.training.curriculum import Curriculum

CPU = torch.device("cpu")


class Halves(TextHooks):
    """Halves what attention gives, replaces the positions, and knows the text's features."""

    def __init__(self, factor: float = 0.5) -> None:
        super().__init__()
        self.factor = factor

    def probe(self) -> TextHooks:
        return TextHooks()

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        return Halves(float(len(features)))

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        return {"positions": torch.full((1,), self.factor)}

    def block_hooks(self, k: int) -> BlockHooks:
        return BlockHooks(after_attention=lambda x: x * self.factor)


def test_a_share_is_dropped_behind_what_the_way_does_and_the_rest_made_larger() -> None:
    ones = torch.ones(400, 100)
    way = Dropping(Halves(), 0.2)
    block_hooks = way.block_hooks(0)
    assert block_hooks is not None
    assert block_hooks.after_attention is not None
    assert block_hooks.after_mlp is not None
    for change, kept in ((block_hooks.after_attention, 0.5 / 0.8), (block_hooks.after_mlp, 1 / 0.8)):
        made = change(ones)
        assert sorted(set(made.flatten().tolist())) == pytest.approx([0.0, kept])
        assert float((made == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    plain = Dropping(TextHooks(), 0.2).block_hooks(1)
    assert plain is not None
    assert plain.after_mlp is not None
    assert not torch.equal(plain.after_mlp(ones), plain.after_mlp(ones))


def test_all_other_places_are_the_ways_own() -> None:
    way = Dropping(Halves(), 0.2)
    assert float(way.parameter_overrides()["positions"]) == 0.5
    given = way.condition_on(torch.zeros(3, 4))  # the question is asked without dropout, the answer's way has it
    assert isinstance(given, Dropping)
    assert not isinstance(way.probe(), Dropping)
    assert float(given.parameter_overrides()["positions"]) == 3.0
    assert given.share == 0.2


def test_nothing_to_drop_is_the_way_itself_without_a_draw() -> None:
    way, before = Halves(), torch.random.get_rng_state()
    assert noise_of(0.0, 1, 2) is None
    assert noisy(way, None) is way
    with drawn(None, CPU):
        pass
    with drawn(Noise(0.1, 3), CPU):
        first = torch.rand(4)
    with drawn(Noise(0.1, 3), CPU):
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.random.get_rng_state(), before)
    seeds = {noise_of(0.1, *facts) for facts in ((0, 0, 0, 0, 0), (0, 0, 1, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1))}
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
        noise = None if seed is None else Noise(0.1, seed)
        with torch.no_grad(), drawn(noise, CPU):
            features: torch.Tensor = tower(ids, lengths, noisy(TextHooks(), noise))
        return features

    plain = read(None)
    assert torch.equal(read(1), read(1))
    assert not torch.allclose(read(1), read(2), atol=1e-3)
    mean = torch.stack([read(seed) for seed in range(40)]).mean(dim=0)
    assert float((mean - plain).norm()) < float((read(1) - plain).norm()) / 2  # it is noise around the feature


def _lesson(school: School, **settings: Any) -> tuple[Curriculum, TrainingTask]:
    curriculum = school.curriculum(("de",), isolation="shared", **settings)
    return curriculum, curriculum.prepare(school.base, None, ("de",), school.captions)


def _source(school: School, curriculum: Curriculum, task: TrainingTask, world: World | None = None) -> TaskDataLoader:
    return TaskDataLoader(
        task, {"de": school.captions["de"]}, curriculum.train, 6, device=CPU, world=world or World()
    )


def test_the_same_text_on_both_sides_has_a_loss_with_dropout_only(school: School) -> None:
    losses = []
    for dropout in (0.0, 0.1):
        curriculum, task = _lesson(school, dropout=dropout, target_encoder="trained", cross_modal=0)
        learner = TaskModule(school.base, task, curriculum.stages()[0].objective, "fp32")
        (batch,) = _source(school, curriculum, task)(0)
        (piece,) = batch.pieces
        twice = replace(batch, pieces=(replace(piece, target=(piece.ids, piece.lengths)),))
        encoded = learner.encode(twice)
        assert encoded.target is not None
        losses.append((encoded.features - encoded.target).square().mean().item())
    assert losses[0] < 1e-10
    assert losses[1] > 1e-5


def test_every_micro_batch_step_and_process_drops_its_own(school: School) -> None:
    curriculum, task = _lesson(school, dropout=0.1, accumulate=2)
    noises = [
        batch.noise
        for rank in (0, 1)
        for step in (0, 1)
        for batch in _source(school, curriculum, task, World(rank=rank, size=2))(step)
    ]
    assert len(set(noises)) == len(noises) == 8
    assert all(noise is not None and noise.share == 0.1 for noise in noises)


def test_the_look_back_after_a_task_drops_nothing(school: School) -> None:
    curriculum, task = _lesson(school, dropout=0.1)
    captions = {"de": school.captions["de"]}
    batches = list(Teacher(school.base)._once_more(task, captions, curriculum.stages()[0], 1))
    assert batches
    assert all(batch.noise is None for micro in batches for batch in micro)


def test_a_killed_run_goes_on_with_the_same_masks(school: School, tmp_path: Path) -> None:
    def rows(fitting: Mapping[str, Any] | None = None, **settings: Any) -> torch.Tensor:
        taught = school.teach(
            None, "de", isolation="shared", checkpoint_seconds=0, steps=6, fitting=fitting, **settings
        )
        return taught.state.modules["all"][0].tensors()["rows"].clone()

    whole = rows(dropout=0.3)
    calls, fitting = iter(range(1, 100)), {"resume_from": tmp_path / "state.safetensors", "identity": "x"}
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
