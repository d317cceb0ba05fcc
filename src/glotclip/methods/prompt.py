"""Vectors inserted after a text's first token: trained ones (soft), or the rows of fixed words (hard).

Soft prompts are those of Lester et al. (2021), in PECT's place: after the start token, taking positions as tokens do.

Shapes: P prompt vectors, W width, V rows of the base's table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from glotclip.errors import ConfigError, PackError
from glotclip.methods.module import ModuleIngredient, ModulePart
from glotclip.methods.stack import ALL, PackState, TextModule
from glotclip.methods.task import Context, Contribution, Task
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.text_tower import TextConfig
from glotclip.models.tokenizer import Tokenizer


class SoftPrompt(ModulePart):
    """Trained vectors before every text.

    Args:
        text: geometry of the tower.
        length: P.
    """

    kind: ClassVar[str] = "soft_prompt"

    def __init__(self, text: TextConfig, length: int) -> None:
        super().__init__()
        check_room(text, length)
        self.vectors = nn.Parameter(torch.empty(length, text.width))

    def prompt(self, table: torch.Tensor) -> torch.Tensor:
        """The vectors (P, W)."""
        return self.vectors

    def description(self) -> dict[str, Any]:
        """Number of vectors."""
        return {"length": len(self.vectors)}


@dataclass(frozen=True)
class SoftPromptIngredient(ModuleIngredient):
    """How a method uses a soft prompt.

    Args:
        shared: one for all languages, or one for each (the paper).
        length: number of vectors (the paper: 4); not looked at where ``text`` is given.
        text: words whose rows of the base's table are the start: as many vectors as they have tokens.
        std: standard deviation of the vectors at the start, without ``text`` (the paper: 0.02).
    """

    kind: ClassVar[str] = SoftPrompt.kind
    shared: bool = False
    length: int = 4
    text: str = ""
    std: float = 0.02

    def fresh(self, context: Context) -> SoftPrompt:
        """Draw the vectors, or take them from the table."""
        ids = words_ids(context.base, self.text) if self.text else None
        part = SoftPrompt(context.base.text.config, self.length if ids is None else len(ids))
        with torch.no_grad():
            if ids is None:
                part.vectors.normal_(std=self.std, generator=context.generator)
            else:
                part.vectors.copy_(context.base.text.table[ids.to(context.base.device)])
        return part


class HardPrompt(TextModule):
    """Fixed words before every text. Their rows are the base's own, whatever else a pack has learnt.

    Args:
        ids: token ids of the words, without special ones (P,).
        text: the words.
    """

    kind: ClassVar[str] = "hard_prompt"
    ids: torch.Tensor

    def __init__(self, ids: torch.Tensor, text: str) -> None:
        super().__init__()
        self.text = text
        self.register_buffer("ids", ids)

    def prompt(self, table: torch.Tensor) -> torch.Tensor:
        """The words' rows of the base's table (V, W): (P, W)."""
        return F.embedding(self.ids, table)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The ids."""
        return {"ids": self.ids.to(torch.int32)}

    def description(self) -> dict[str, Any]:
        """The words."""
        return {"text": self.text}

    @classmethod
    def restore(
        cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]
    ) -> HardPrompt:
        """Rebuild the prompt, checking that the ids are the base's for these words."""
        try:
            ids, text = tensors["ids"].long(), str(description["text"])
        except KeyError as error:
            raise PackError(f"the {cls.kind} part lacks {error}", hint="get the pack again") from error
        if extra := set(tensors) - {"ids"}:
            raise PackError(f"the {cls.kind} part has unknown tensors: {sorted(extra)}", hint="get the pack again")
        if not len(ids) or ids.tolist() != _words(base, text):
            raise PackError(f"{text!r} has other tokens than the {cls.kind} part holds", hint="get the pack again")
        return cls(ids.to(base.device), text)


@dataclass(frozen=True)
class HardPromptIngredient:
    """Words put before every text; nothing trains, so another ingredient must.

    Args:
        shared: the same words for all languages, or each language's own.
        text: the words (the default is that of the paper's code; which ones the paper used is not known).
        words: for some languages, words of their own; not where the prompt is shared.
    """

    shared: bool = False
    text: str = "Language: "
    words: Mapping[str, str] = field(default_factory=dict)

    def tokenizer(self, base: DualEncoder, state: PackState | None, task: Task) -> Tokenizer | None:
        """A prompt leaves the vocabulary to others."""
        return None

    def contribute(self, context: Context) -> Contribution:
        """Fix the words of scope "all", or of each language of the task."""
        parts = {}
        for scope in (ALL,) if self.shared else context.task.languages:
            text = self.text if scope == ALL else self.words.get(scope, self.text)
            ids = words_ids(context.base, text)
            check_room(context.base.text.config, len(ids))
            parts[scope] = HardPrompt(ids.to(context.base.device), text)
        return Contribution(parts, [], lambda decay: parts)


def words_ids(base: DualEncoder, text: str) -> torch.Tensor:
    """Token ids (P,) of a prompt under the base's tokenizer, without special ones."""
    kept = _words(base, text)
    if not kept:
        raise ConfigError(f"the prompt {text!r} has no tokens", hint="write some words")
    return torch.tensor(kept)


def _words(base: DualEncoder, text: str) -> list[int]:
    return [each for each in base.tokenizer.encode([text])[0].tolist() if each not in base.tokenizer.special_ids]


def check_room(text: TextConfig, length: int) -> None:
    """Raise ConfigError unless a prompt of this length leaves room for a text, its start and its end."""
    if not 0 < length < text.context_length - 2:
        raise ConfigError(
            f"a prompt of {length} vectors in a context of {text.context_length}",
            hint="leave room for the text, its start and its end",
        )
