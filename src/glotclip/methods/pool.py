"""What DualPrompt and CODA-Prompt have in common: a pool of prompts that grows with every task, chosen by the text.

A prompt here is keys and values before those of a text in some blocks. Which, is up to the text's own embedding
without any prompt, as the current model has it; so every text is encoded twice. The pool has places for the tasks
that were learnt and no others, so what was never trained cannot be chosen; earlier tasks' places stay as they are,
without gradient and without decay (the reference's dense AdamW shrinks them). Prompts come as prefixes that nothing
hides (the reference's mask hides a text's last tokens instead).

Shapes: B texts, E embedding, L blocks with prompts, P keys (and values) of a prompt, W width.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from torch import nn

from glotclip.errors import ConfigError
from glotclip.methods.module import ALL, ParameterGroup, TextModule, check_same
from glotclip.models.hooks import BlockHooks, TextHooks
from glotclip.models.text_tower import TextConfig

if TYPE_CHECKING:
    from glotclip.methods.settings import ModuleSettings
    from glotclip.methods.task import TrainingTask

MOST_TASKS = 10_000  # more in a description are a damaged one's
# One pool for all languages, no language code at query time: English goes through it too.
POOL: Mapping[str, Any] = {"isolation": "shared", "english": "taught"}


class ChosenPrompts(TextHooks):
    """The prompts of certain texts.

    Args:
        prefixes: by block: keys and values, (P, W) each where all texts have the same, else (B, P, W).
    """

    def __init__(self, prefixes: Mapping[int, tuple[torch.Tensor, torch.Tensor]]) -> None:
        super().__init__()
        self.prefixes = prefixes

    def block_hooks(self, k: int) -> BlockHooks | None:
        """Block ``k``'s prompt."""
        return BlockHooks(prefix=self.prefixes[k]) if k in self.prefixes else None


class Pool(TextModule):
    """A pool in which every task has places of its own; subclasses choose from it in :meth:`condition_on`.

    Languages learnt jointly are one task.

    Args:
        text: geometry of the tower.
        config: the module's settings.
        shapes: of a task's tensors, by name.
        tasks: how many tasks have places.
    """

    def __init__(self, text: TextConfig, config: Any, shapes: Mapping[str, tuple[int, ...]], tasks: int) -> None:
        super().__init__(text, config)
        if not 0 <= tasks <= MOST_TASKS or any(size < 1 for shape in shapes.values() for size in shape):
            raise ConfigError(f"a pool of sizes {dict(shapes)} for {tasks} tasks", hint="sizes are 1 or more")
        self.shapes = dict(shapes)
        self.places = nn.ModuleDict(
            {name: nn.ParameterList(torch.empty(shape) for _ in range(tasks)) for name, shape in shapes.items()}
        )

    @classmethod
    def check_settings(cls, config: ModuleSettings) -> None:
        """A pool is shared: who shares none has nothing to choose from."""
        if config.isolation != "shared":
            raise ValueError("a pool of prompts serves all languages of a pack, so it needs isolation=shared")

    @classmethod
    def scopes(cls, config: Any, task: TrainingTask) -> tuple[str, ...]:
        """One pool for all languages."""
        return (ALL,)

    @classmethod
    def for_task(cls, config: Any, task: TrainingTask) -> dict[str, TextModule]:
        """Give the task places in the pack's pool, or in a new one; they train, and what all tasks share."""
        pool = cast(Pool, super().for_task(config, task)[ALL]).cpu()
        pool.add_task(task.generator)
        return {ALL: pool.to(task.base.device)}

    def resumed(self, new: TextModule) -> TextModule:
        """A trainable copy, in which the earlier tasks have their places."""
        check_same(self.kind, {**self.description(), "tasks": None}, {**new.description(), "tasks": None})
        pool = copy.deepcopy(self).requires_grad_(True)
        pool.config = new.config
        return pool

    @classmethod
    def stored_weights(cls, text: TextConfig, config: Any) -> int:
        """With the places of one task."""
        with torch.device("meta"):
            return cls(text, config, 1).size  # type: ignore[call-arg]

    @property
    def tasks(self) -> int:
        """How many tasks have places."""
        return len(self.of(next(iter(self.shapes))))

    def of(self, name: str) -> Sequence[nn.Parameter]:
        """A tensor of every task, in the order of learning."""
        return cast(Sequence[nn.Parameter], self.places[name])

    @abstractmethod
    def drawn(self, name: str, generator: torch.Generator) -> torch.Tensor:
        """A tensor for a new task, on the processor."""

    def add_task(self, generator: torch.Generator) -> None:
        """Draw the places of one more task; those of earlier tasks do not train from now on."""
        for name in self.shapes:
            for earlier in self.of(name):
                earlier.requires_grad_(False)
            place = cast(nn.ParameterList, self.places[name])
            place.append(nn.Parameter(self.drawn(name, generator)))

    def parameter_groups(self) -> list[ParameterGroup]:
        """What trains, all of it decayed."""
        return [ParameterGroup(self.kind, [weight for weight in self.parameters() if weight.requires_grad])]

    def description(self) -> dict[str, Any]:
        """The settings that decide sizes, and how many tasks have places."""
        return {**super().description(), "tasks": self.tasks}

    @classmethod
    def described(cls, text: TextConfig, description: Mapping[str, Any]) -> Self:
        """Build the pool that a description stands for; its weights are not set."""
        config = {name: value for name, value in description.items() if name != "tasks"}
        return cls(text, cls.Config.model_validate(config), description["tasks"])  # type: ignore[call-arg]


def blocks_of(text: TextConfig, wanted: Sequence[int], kind: str) -> tuple[int, ...]:
    """Those of the wanted blocks, which count from 0, that a tower has.

    Raises:
        ConfigError: if it has none of them.
    """
    found = tuple(sorted({k for k in wanted if 0 <= k < text.layers}))
    if not found:
        raise ConfigError(
            f"{kind} in blocks {', '.join(map(str, wanted)) or '(none)'}, but the tower has {text.layers} blocks",
            hint="name blocks of the tower, from 0",
        )
    return found
