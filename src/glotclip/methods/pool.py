"""What DualPrompt and CODA-Prompt have in common: a pool of prompts that grows with every task, and a query.

A prompt here is keys and values before those of a text in some blocks. Which, is up to the text's own embedding
without any prompt, as the current model has it; so every text is encoded twice. The pool has places for the tasks
that were learnt and no others, so what was never trained cannot be chosen; earlier tasks' places stay as they are,
without gradient and without decay (the reference's dense AdamW shrinks them). Prompts come as prefixes that nothing
hides (the reference's mask hides a text's last tokens instead).

Shapes: B texts, E embedding, L blocks with prompts, P keys (and values) of a prompt, W width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from glotclip.errors import ConfigError
from glotclip.methods.module import ModuleIngredient, ModulePart
from glotclip.methods.stack import ALL, TextModule
from glotclip.methods.task import Context, Contribution, ParameterGroup
from glotclip.models.hooks import BlockHooks, TextHooks
from glotclip.models.text_tower import TextConfig

MOST_TASKS = 10_000  # more in a description are a damaged one's


class Chosen(TextHooks):
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


class Pool(ModulePart):
    """A pool in which every task has places of its own; subclasses choose from it in :meth:`condition_on`.

    Args:
        shapes: of a task's tensors, by name.
        tasks: how many tasks have places.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], tasks: int) -> None:
        super().__init__()
        if not 0 <= tasks <= MOST_TASKS or any(size < 1 for shape in shapes.values() for size in shape):
            raise ConfigError(f"a pool of sizes {dict(shapes)} for {tasks} tasks", hint="sizes are 1 or more")
        self.shapes = dict(shapes)
        self.places = nn.ModuleDict(
            {name: nn.ParameterList(torch.empty(shape) for _ in range(tasks)) for name, shape in shapes.items()}
        )

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


@dataclass(frozen=True)
class PoolIngredient(ModuleIngredient):
    """How a method uses a pool: one for all languages of a pack. Languages learnt jointly are one task.

    Args:
        shared: must be true: who shares no pool has nothing to choose from.
    """

    shared: bool = True

    @abstractmethod
    def fresh(self, context: Context) -> Pool:
        """Make a pool without tasks, and draw on the processor what all tasks share."""

    def contribute(self, context: Context) -> Contribution:
        """Give the task places in the pack's pool, or in a fresh one; they train, and what all tasks share."""
        part = self.fresh(context)
        present = context.state.part(self.kind, ALL) if context.state else None
        if present is not None:
            assert isinstance(present, Pool)
            had, wanted = ({**pool.description(), "tasks": None} for pool in (present, part))
            if had != wanted:
                raise ConfigError(
                    f"the pack's {self.kind} has {had}, the settings ask for {wanted}",
                    hint="go on with the settings that the pack was made with, or start a new one",
                )
            part = present.trainable().cpu()
        part.add_task(context.generator)
        part.to(context.base.device)
        training = [parameter for parameter in part.parameters() if parameter.requires_grad]

        def finish(decay: float) -> Mapping[str, TextModule]:
            return {ALL: part.stored()}

        facts = {f"{self.kind}_weights": sum(parameter.numel() for parameter in training)}
        return Contribution({ALL: part}, [ParameterGroup(self.kind, training)], finish, facts)


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
