"""The trainer: schedules, clipping, accumulation, early stopping, overflow; and resuming to the last bit."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn

from glotclip.errors import ConfigError, InterruptedRunError
from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import Targets
from glotclip.threads import held_at
from glotclip.training import checkpoint
from glotclip.training.interrupt import deferred
from glotclip.training.module import Batch, DataLoader, Encoded, LanguageBatch, TrainingModule
from glotclip.training.settings import TrainSettings
from glotclip.training.trainer import FitResult, Trainer, Validation

if TYPE_CHECKING:
    from tests.conftest import School


@dataclass
class Line(TrainingModule):
    """A module small enough to follow by hand: features are x·w, the loss is their mean (times a factor)."""

    factor: float = 1.0
    weight: nn.Parameter = field(default_factory=lambda: nn.Parameter(torch.tensor([[1.0, -2.0]])))

    def groups(self) -> Sequence[ParameterGroup]:
        return [ParameterGroup("w", [self.weight], weight_decay=False)]

    def encode(self, batch: Batch) -> Encoded:
        return Encoded(batch.targets.target_features * self.weight)

    def loss(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return self.factor * features.sum(dim=1).mean(), {}


class HalfLine(Line):
    """The same with features in fp16, so that scaled gradients overflow as they do there."""

    def encode(self, batch: Batch) -> Encoded:
        return Encoded(super().encode(batch).features.half())


def batch_of(values: torch.Tensor) -> Batch:
    count = len(values)
    yes, places = torch.ones(count, dtype=torch.bool), torch.arange(count)
    texts = LanguageBatch(places[:, None], torch.ones_like(places), "xx")
    return Batch((texts,), Targets(values, values, yes, yes, places))


def numbers(step: int) -> list[Batch]:
    return [batch_of(torch.randn(4, 2, generator=torch.Generator().manual_seed(step)))]


def settings(**values: Any) -> TrainSettings:
    return TrainSettings(**{"warmup": 0.0, "lr": 0.1, "clip_norm": 0.0, "checkpoint_seconds": 0, **values})


def fit(
    module: TrainingModule,
    loader: DataLoader,
    total: int,
    chosen: TrainSettings,
    *,
    validate: Callable[[], float] | None = None,
    steps_per_epoch: int = 1,
    **more: Any,
) -> FitResult:
    """Train, validating as the settings say."""
    validation = None
    if validate is not None:
        every = chosen.validation_steps(steps_per_epoch)
        validation = Validation(validate, every, chosen.patience, chosen.select_ties)
    return Trainer(module, loader, total, chosen, validation=validation, **more).fit()


def test_accumulated_parts_give_the_whole_batchs_gradient() -> None:
    whole, parts = Line(), Line()
    values = torch.randn(6, 2, generator=torch.Generator().manual_seed(0))
    one = fit(whole, lambda step: [batch_of(values)], 3, settings())
    three = fit(parts, lambda step: [batch_of(part) for part in torch.split(values, 2)], 3, settings())
    assert three.last["gradient_norm"] == pytest.approx(one.last["gradient_norm"])  # Adam would hide a factor
    assert three.last["loss"] == pytest.approx(one.last["loss"])
    torch.testing.assert_close(parts.weight, whole.weight)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_that_is_not_finite_is_said(precision: str) -> None:
    with pytest.raises(ConfigError, match="no longer finite at step 1") as caught:
        fit(Line(factor=math.nan), numbers, 3, settings(), precision=precision)
    assert "lr" in caught.value.hint


def test_fp16_halves_its_scale_until_nothing_overflows() -> None:
    """The gradient of a feature is 8/4 · scale: more than 65,504 at 2^16 and 2^15, and fine at 2^14."""
    module, lines = HalfLine(factor=8.0), list[dict[str, Any]]()
    before = module.weight.detach().clone()
    seen: list[torch.Tensor] = []

    def note(line: dict[str, Any]) -> None:
        lines.append(line)
        seen.append(module.weight.detach().clone())

    fit(
        module, numbers, 20, settings(clip_norm=1.0), precision="fp16",
        log=note,
    )  # fmt: skip
    overflowed = [not math.isfinite(line["gradient_norm"]) for line in lines]
    assert overflowed == [True, True] + 18 * [False]
    assert torch.equal(seen[1], before)  # steps that overflow change nothing
    assert not torch.equal(seen[2], before)


def test_fp16_that_overflows_without_scaling_is_said() -> None:
    with pytest.raises(ConfigError, match="no longer finite"):
        fit(Line(factor=math.inf), numbers, 100, settings(), precision="fp16")


def test_early_stopping_keeps_the_best_weights() -> None:
    module, weights = Line(), dict[int, torch.Tensor]()
    scores = iter([1.0, 3.0, 2.0, 2.5])
    result = fit(
        module, numbers, 100, settings(evaluate_every=2, patience=2, weight_decay=0.1),
        log=lambda line: weights.update({line["step"]: module.weight.detach().clone()}),
        validate=lambda: next(scores),
    )  # fmt: skip
    assert (result.steps, result.best_step, result.best_score) == (8, 4, 3.0)
    assert torch.equal(module.weight.detach(), weights[4])
    assert not torch.equal(weights[4], weights[8])
    assert result.decay == pytest.approx((1 - 0.1 * 0.1) ** 4)  # of the steps that made these weights


@pytest.mark.parametrize(
    ("ties", "scores", "best"),
    [
        ("first", [1.0, 3.0, 3.0, 2.0, 3.0], 4),
        ("last", [1.0, 3.0, 3.0, 2.0, 3.0], 10),
        ("last", [3.0, 3.0, 1.0, 2.0, 2.0], 4),
        ("last", [0.0, 0.0, 0.0, 0.0, 0.0], 10),
    ],
)
def test_which_of_equally_good_validations_is_kept(ties: Any, scores: list[float], best: int) -> None:
    module, weights, each = Line(), dict[int, torch.Tensor](), iter(scores)
    result = fit(
        module, numbers, 10, settings(evaluate_every=2, select_ties=ties),
        log=lambda line: weights.update({line["step"]: module.weight.detach().clone()}),
        validate=lambda: next(each),
    )  # fmt: skip
    assert (result.best_step, result.best_score) == (best, max(scores))
    assert torch.equal(module.weight.detach(), weights[best])


def test_a_tie_is_no_improvement_to_patience() -> None:
    result = fit(
        Line(), numbers, 100, settings(evaluate_every=1, patience=3, select_ties="last"), validate=lambda: 1.0
    )
    assert (result.steps, result.best_step) == (4, 4)


def test_validating_after_each_epoch() -> None:
    seen: list[int] = []
    steps = [0]

    def validate() -> float:
        seen.append(steps[0])
        return 0.0

    fit(
        Line(), numbers, 10, settings(evaluate_every="epoch"), validate=validate, steps_per_epoch=3,
        log=lambda line: steps.__setitem__(0, line["step"]),
    )  # fmt: skip
    assert seen == [3, 6, 9]


def rows_of(school: School, **more: Any) -> tuple[torch.Tensor, int]:
    taught = school.teach(None, "de", isolation="shared", checkpoint_seconds=0, **more)
    return taught.state.modules["all"][0].tensors()["rows"].clone(), taught.result.resumed_at


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("teir", [True, False])
def test_resuming_at_every_step_changes_no_bit(school: School, tmp_path: Path, precision: str, teir: bool) -> None:
    common: dict[str, Any] = {"precision": precision, "teir": teir, "steps": 6, "schedule": "cosine"}
    whole, _ = rows_of(school, **common)
    for stop_at in range(1, 6):
        path, calls = tmp_path / f"{stop_at}.safetensors", iter(range(1, 100))
        fitting = {"checkpoint": path, "identity": "x"}
        with pytest.raises(KeyboardInterrupt):
            rows_of(school, **common, fitting={**fitting, "stop": lambda at=stop_at, of=calls: next(of) >= at})
        resumed, at = rows_of(school, **common, fitting=fitting)
        assert at == stop_at
        assert torch.equal(resumed, whole)


def test_resuming_without_bias_correction_changes_no_bit(school: School, tmp_path: Path) -> None:
    common: dict[str, Any] = {
        "precision": "fp32", "steps": 6, "schedule": "cosine", "schedule_span": "run", "warmup": 0.3,
        "warmup_from_zero": True, "adam_bias_correction": False, "clip_norm": 0, "clip_per_tensor": 0.01,
    }  # fmt: skip
    whole, _ = rows_of(school, **common)
    for stop_at in (1, 4):
        path, calls = tmp_path / f"{stop_at}.safetensors", iter(range(1, 100))
        fitting = {"checkpoint": path, "identity": "x"}
        with pytest.raises(KeyboardInterrupt):
            rows_of(school, **common, fitting={**fitting, "stop": lambda at=stop_at, of=calls: next(of) >= at})
        resumed, at = rows_of(school, **common, fitting=fitting)
        assert at == stop_at
        assert torch.equal(resumed, whole)
    assert not torch.equal(whole, rows_of(school, **{**common, "adam_bias_correction": True})[0])


def test_resuming_keeps_the_best_weights_and_patience(tmp_path: Path) -> None:
    scores = {2: 1.0, 4: 3.0, 6: 2.0, 8: 2.5}
    chosen = settings(evaluate_every=2, patience=2)

    def run(path: Path | None, stop_at: int | None) -> torch.Tensor:
        module, at = Line(), [0]
        if path is not None and path.exists():
            at[0] = 5

        def log(line: dict[str, Any]) -> None:
            at[0] = line["step"]

        fit(
            module, numbers, 100, chosen, checkpoint=path, log=log, validate=lambda: scores[at[0]],
            stop=lambda: at[0] == stop_at,
        )  # fmt: skip
        return module.weight.detach()

    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(path, 5)
    assert torch.equal(run(path, None), run(None, None))


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(Line(), numbers, 9, settings(), checkpoint=path, identity="one", stop=lambda: True)
    with pytest.raises(InterruptedRunError, match="other settings or data"):
        fit(Line(), numbers, 9, settings(), checkpoint=path, identity="two")


def test_ctrl_c_waits_for_the_end_of_the_step_and_saves(tmp_path: Path) -> None:
    path, steps = tmp_path / "state.safetensors", list[int]()
    handler = signal.getsignal(signal.SIGINT)

    def source(step: int) -> list[Batch]:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)  # in the middle of the fourth step
        return numbers(step)

    with pytest.raises(KeyboardInterrupt), deferred() as stop:
        fit(
            Line(), source, 50, settings(checkpoint_seconds=1000), checkpoint=path, stop=stop,
            log=lambda line: steps.append(line["step"]),
        )  # fmt: skip
    assert steps[-1] == 4
    stored = checkpoint.load(path)
    assert stored is not None
    assert stored[1]["state"]["step"] == 4
    assert signal.getsignal(signal.SIGINT) is handler


def split_sums(step: int) -> list[Batch]:
    """Batches whose last bits depend on the number of threads: a long sum is split by them."""
    values = torch.rand(3_000_000, generator=torch.Generator().manual_seed(step))
    return [batch_of(torch.stack([values.sum(), values.square().sum()]).expand(4, 2))]


@pytest.mark.slow
def test_a_run_goes_on_with_as_many_threads_as_it_began_with(tmp_path: Path) -> None:
    """A machine that is busier, or has other cores, when the same command is given again changes no bit."""
    path = tmp_path / "state.safetensors"

    def losses(threads: int, *, saved: bool = False, stop_at: int | None = None) -> dict[int, float]:
        found: dict[int, float] = {}
        with held_at(threads):
            try:
                fit(
                    Line(), split_sums, 8, settings(), checkpoint=path if saved else None,
                    log=lambda line: found.update({line["step"]: line["loss"]}), stop=lambda: len(found) == stop_at,
                )  # fmt: skip
            except KeyboardInterrupt:
                assert len(found) == stop_at
            assert torch.get_num_threads() == threads, "afterwards the process has its own number again"
        return found

    alone, two = losses(1), losses(2)
    assert [alone[step] for step in (4, 5, 6, 7, 8)] != [two[step] for step in (4, 5, 6, 7, 8)], "cannot fail"
    assert {**losses(2, saved=True, stop_at=3), **losses(1, saved=True)} == two


KILLED = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from test_trainer import Line, fit, numbers, settings
module = Line()
slow = (lambda step: (time.sleep(0.01), numbers(step))[1]) if sys.argv[2] == "slow" else numbers
fit(module, slow, 60, settings(), checkpoint=Path(sys.argv[1]))
print(module.weight.detach().numpy().tobytes().hex())
"""


@pytest.mark.slow
def test_kill_9_and_again_gives_the_same_bits(tmp_path: Path) -> None:
    def start(path: Path, pace: str) -> subprocess.Popen[str]:
        here = Path(__file__).parent
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), pace], stdout=subprocess.PIPE, text=True, cwd=here
        )

    path = tmp_path / "state.safetensors"
    process = start(path, "slow")
    patience = time.monotonic() + 100
    while not path.exists():
        assert time.monotonic() < patience
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    stored = checkpoint.load(path)
    assert stored is not None
    assert 0 < stored[1]["state"]["step"] < 60
    resumed, _ = start(path, "fast").communicate(timeout=100)
    module = Line()
    fit(module, numbers, 60, settings())
    assert resumed.strip() == module.weight.detach().numpy().tobytes().hex()


@pytest.mark.parametrize("stop_at", [2, 5])
def test_fp16_goes_on_with_the_scale_it_had(tmp_path: Path, stop_at: int) -> None:
    """The scale is halved twice in the first steps; a run that forgot it would skip two steps again."""

    def run(**more: Any) -> tuple[torch.Tensor, list[float]]:
        module, lines = HalfLine(factor=8.0), list[dict[str, Any]]()
        with contextlib.suppress(KeyboardInterrupt):
            fit(module, numbers, 8, settings(clip_norm=1.0), precision="fp16", log=lines.append, **more)
        return module.weight.detach(), [line["gradient_norm"] for line in lines]

    whole, norms = run()
    path, steps = tmp_path / "state.safetensors", iter(range(1, 100))
    _, first = run(checkpoint=path, stop=lambda: next(steps) == stop_at)
    resumed, rest = run(checkpoint=path)
    assert [*first, *rest] == pytest.approx(norms, nan_ok=True)
    assert torch.equal(resumed, whole)
