"""Parts: the trained pieces a pathway is made of, and how a pathway is put together from them.

A *part* is one kind of added weights (rows of the token table; modules after blocks; …). A part belongs to a
*scope*: ``"all"`` when every language of a pack uses it, or one language's code. The route of a language is
the parts of scope ``"all"`` and its own. That is the whole difference between a shared table, a table a
language, and a shared table with modules a language.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.pathway import Pathway
from glotclip.models.tokenizer import Tokenizer

ALL = "all"


class Part(Pathway):
    """One kind of added weights. Subclasses override the places in the tower where they act."""

    kind: ClassVar[str]
    looks_up: ClassVar[bool] = False  # true where the part replaces the lookup in the token table

    @abstractmethod
    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights to store, by name."""

    def description(self) -> dict[str, Any]:
        """What else :meth:`restore` needs, as JSON: sizes and choices that the shapes do not tell."""
        return {}

    @classmethod
    @abstractmethod
    def restore(cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> Part:
        """Rebuild the part from what :meth:`tensors` and :meth:`description` gave.

        Raises:
            PackError: if a tensor is missing, superfluous, or does not fit ``base``.
        """


class Route(Pathway):
    """The way of one language through the tower: several parts acting in order."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._lookup = next((part for part in parts if part.looks_up), None)
        self._after = [part for part in parts if type(part).after_block is not Pathway.after_block]

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids, by the part that owns the lookup where there is one."""
        return super().embed(ids, table) if self._lookup is None else self._lookup.embed(ids, table)

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Apply every part that acts after block ``k`` to (B, T, W)."""
        for part in self._after:
            hidden = part.after_block(k, hidden)
        return hidden


@dataclass(frozen=True)
class PackState:
    """A pack in memory: its languages, the tokenizer they use, and its parts by scope.

    A language may be listed without a scope of its own: then it uses the parts of scope ``"all"`` only.
    """

    languages: tuple[str, ...]
    tokenizer: Tokenizer
    parts: Mapping[str, tuple[Part, ...]]

    def route(self, language: str) -> Route:
        """The pathway of one of this pack's languages."""
        if language not in self.languages:
            raise KeyError(language)
        return Route((*self.parts.get(ALL, ()), *self.parts.get(language, ())))

    def part(self, kind: str, scope: str) -> Part | None:
        """The part of this kind and scope, if the pack has it."""
        return next((part for part in self.parts.get(scope, ()) if part.kind == kind), None)
