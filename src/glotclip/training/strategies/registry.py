"""Every strategy by its name, and what one remembers, on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glotclip.errors import CheckpointError
from glotclip.training import checkpoint
from glotclip.training.settings import TrainSettings
from glotclip.training.strategies.oewc import OnlineEwc
from glotclip.training.strategies.replay import DarkExperienceReplay, ExperienceReplay
from glotclip.training.strategies.strategy import Strategy

STRATEGIES: dict[str, Callable[[TrainSettings], Strategy]] = {
    strategy.name: strategy for strategy in (Strategy, ExperienceReplay, DarkExperienceReplay, OnlineEwc)
}


def strategy_for(settings: TrainSettings, memory: Path | None = None) -> Strategy:
    """The strategy that settings ask for.

    Args:
        settings: of the run.
        memory: what a strategy remembered from earlier tasks; that of another strategy is of no use, and is left.

    Raises:
        CheckpointError: if that file is gone or damaged.
    """
    strategy = STRATEGIES[settings.strategy](settings)
    if memory is not None:
        stored = checkpoint.load(memory)
        if stored is None:
            raise CheckpointError(
                f"{memory} is missing: what strategy={settings.strategy} remembers of earlier languages",
                hint="put it back, or go on without it (--set strategy=none)",
            )
        tensors, facts = stored
        if facts.get("strategy") == strategy.name:
            strategy.load_tensors(tensors)
    return strategy


def remember(strategy: Strategy, path: Path) -> bool:
    """Write what a strategy remembers, atomically; false if that is nothing."""
    tensors = strategy.tensors()
    if tensors:
        checkpoint.save(path, tensors, {"strategy": strategy.name})
    return bool(tensors)
