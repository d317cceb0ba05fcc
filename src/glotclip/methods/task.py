"""A lesson: everything one run of the training loop needs to teach one task, and what becomes of it.

A method is a list of *ingredients* (rows of the token table, modules after blocks, …). Each contributes
parts, says which of their weights train and how, and turns the trained parts into those to store. The
lesson puts them together; that is why any ingredient goes with any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import nn

from glotclip.methods.stack import ALL, ModuleStack, PackState, TextModule
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokenizer import Tokenizer
from glotclip.models.tokens import Tokens


@dataclass(frozen=True)
class Task:
    """One or several languages learnt together: the training captions of each.

    Attributes:
        texts: training captions by language.
        partners: texts that captions are aligned with, where the learning tower encodes them too, by language.
        rehearsed: texts of earlier tasks that are seen again while this one is learnt, by language.
        anchored: rows of a table that a penalty holds though no text may look them up: ids by the part's kind.
    """

    texts: Mapping[str, Sequence[str]]
    target_texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rehearsed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    anchored: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def languages(self) -> tuple[str, ...]:
        """The task's languages, in the order given."""
        return tuple(self.texts)

    @property
    def name(self) -> str:
        """``de`` or ``de+fr``."""
        return "+".join(self.texts)


@dataclass
class ParameterGroup:
    """Weights that the optimiser treats alike.

    ``gradient_scale``, ``rate_scale`` and ``decay_scale`` (K,) multiply each row's gradient (after clipping, before
    Adam's moments), its learning rate and its weight decay; ``None`` means one everywhere.
    """

    name: str
    parameters: list[nn.Parameter]
    weight_decay: bool = True
    lr_scale: float = 1.0
    gradient_scale: torch.Tensor | None = None
    rate_scale: torch.Tensor | None = None
    decay_scale: torch.Tensor | None = None

    @property
    def size(self) -> int:
        """How many weights train."""
        return sum(parameter.numel() for parameter in self.parameters)


@dataclass(frozen=True)
class Context:
    """What an ingredient may look at when a lesson is prepared."""

    base: DualEncoder
    state: PackState | None  # the pack being extended; None starts from the base
    task: Task
    tokenizer: Tokenizer  # the lesson's tokenizer, additions included
    tokens: Mapping[str, Tokens]  # each language's training captions under it
    generator: torch.Generator  # on the CPU, seeded for this task
    rehearsed: Mapping[str, Tokens] = field(default_factory=dict)  # texts of earlier tasks under the same tokenizer
    target_texts: Mapping[str, Tokens] = field(default_factory=dict)  # as the task has them

    @property
    def seen(self) -> tuple[Tokens, ...]:
        """All texts that pass through the tower while the task is learnt."""
        return (*self.tokens.values(), *self.rehearsed.values(), *self.target_texts.values())


@dataclass
class Contribution:
    """One ingredient's share of a lesson.

    ``finish(decay)`` gives the parts to store by scope; ``decay`` is Π(1 − η·weight decay) over the run.
    """

    parts: Mapping[str, TextModule]  # scope → the part that trains
    groups: list[ParameterGroup]
    finish: Callable[[float], Mapping[str, TextModule]]
    facts: Mapping[str, int | float] = field(default_factory=dict)


class Ingredient(Protocol):
    """One kind of added weights, as a method uses it."""

    def tokenizer(self, base: DualEncoder, state: PackState | None, task: Task) -> Tokenizer | None:
        """The tokenizer this ingredient wants for the task, or None to leave the choice to others."""

    def contribute(self, context: Context) -> Contribution:
        """Create or unfreeze this ingredient's weights for the task."""


@dataclass(frozen=True)
class Paced:
    """An ingredient whose weights learn at a multiple of the run's learning rate.

    Args:
        inner: the ingredient.
        rate: the multiple.
    """

    inner: Ingredient
    rate: float

    def tokenizer(self, base: DualEncoder, state: PackState | None, task: Task) -> Tokenizer | None:
        """As the inner one says."""
        return self.inner.tokenizer(base, state, task)

    def contribute(self, context: Context) -> Contribution:
        """The inner one's, at another pace."""
        share = self.inner.contribute(context)
        share.groups = [replace(group, lr_scale=group.lr_scale * self.rate) for group in share.groups]
        return share


@dataclass
class TrainingTask:
    """A task ready to be trained. The base's own weights are frozen and not among the groups.

    Languages that are rehearsed have routes too: the parts that all share, as they train, and those of their own from
    the pack, which do not.
    """

    name: str  # ``de`` or ``de+fr``
    languages: tuple[str, ...]
    replay_texts: Mapping[str, Sequence[str]]
    tokenizer: Tokenizer
    tokens: Mapping[str, Tokens]
    stacks: Mapping[str, ModuleStack]
    groups: list[ParameterGroup]
    facts: Mapping[str, int | float]
    finish: Callable[[float], PackState]
    target_tokens: Mapping[str, Tokens] = field(default_factory=dict)  # of the task, under the tokenizer
    shared_modules: tuple[TextModule, ...] = ()  # the parts of scope "all", which later tasks go on with

    @property
    def trainable(self) -> int:
        """How many weights of the pathway train."""
        return sum(group.size for group in self.groups)


def prepare(
    base: DualEncoder,
    state: PackState | None,
    task: Task,
    ingredients: Sequence[Ingredient],
    *,
    seed: int,
    covers_base: bool,
) -> TrainingTask:
    """Prepare a lesson: extend the tokenizer, tokenise the captions once, and let every ingredient contribute.

    Args:
        base: the frozen dual encoder.
        state: the pack to extend, or None to start one.
        task: languages with their training captions.
        ingredients: what the method adds to the tower.
        seed: with the task's name it fixes every draw.
        covers_base: whether the base's own languages use this pack's parts of scope "all" from now on.
    """
    wanted = (each.tokenizer(base, state, task) for each in ingredients)
    fallback = state.tokenizer if state else base.tokenizer
    tokenizer = next((choice for choice in wanted if choice is not None), fallback)
    tokens = {language: tokenizer.encode(texts) for language, texts in task.texts.items()}
    rehearsed = {language: tokenizer.encode(texts) for language, texts in task.rehearsed.items()}
    generator = torch.Generator().manual_seed(_task_seed(seed, task.name))
    target_texts = {language: tokenizer.encode(texts) for language, texts in task.target_texts.items()}
    context = Context(base, state, task, tokenizer, tokens, generator, rehearsed, target_texts)
    shares = [each.contribute(context) for each in ingredients]

    def scoped(maps: Sequence[Mapping[str, TextModule]], scope: str) -> tuple[TextModule, ...]:
        return tuple(parts[scope] for parts in maps if scope in parts)

    trained = [share.parts for share in shares]
    shared = scoped(trained, ALL)
    routes = {code: ModuleStack((*shared, *scoped(trained, code))) for code in task.languages}
    for code in task.rehearsed:
        if code not in routes:
            routes[code] = ModuleStack((*shared, *(state.parts.get(code, ()) if state else ())))
    known = state.languages if state else (tuple(base.languages) if covers_base else ())
    languages = (*known, *(code for code in task.languages if code not in known))

    def finish(decay: float) -> PackState:
        stored = [share.finish(decay) for share in shares]
        parts = dict(state.parts) if state else {}
        for scope in (ALL, *task.languages):
            if new := scoped(stored, scope):
                replaced = {part.kind for part in new}
                kept = tuple(part for part in parts.get(scope, ()) if part.kind not in replaced)
                parts[scope] = (*kept, *new)
        return PackState(languages, tokenizer, parts)

    groups = [group for share in shares for group in share.groups]
    facts = {name: value for share in shares for name, value in share.facts.items()}
    return TrainingTask(
        task.name,
        task.languages,
        task.rehearsed,
        tokenizer,
        tokens,
        routes,
        groups,
        facts,
        finish,
        target_texts,
        shared,
    )


def _task_seed(seed: int, name: str) -> int:
    """Mix the run's seed with the task's name, so that a language's draws do not depend on its place in the order."""
    import hashlib

    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") >> 1
