"""Parts: the trained pieces a pathway is made of, and how a pathway is put together from them.

A *part* is one kind of added weights (rows of the token table; modules after blocks; …). A part belongs to a
*scope*: ``"all"`` when every language of a pack uses it, or one language's code. The route of a language is
the parts of scope ``"all"`` and its own. That is the whole difference between a shared table, a table a
language, and a shared table with modules a language.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import nn

from glotclip.models.blocks import Block
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.pathway import Inside, Map, Pathway, Wrapped
from glotclip.models.text_tower import TextTower
from glotclip.models.tokenizer import Tokenizer

ALL = "all"


class Part(Pathway):
    """One kind of added weights. Subclasses override the places in the tower where they act.

    A part that depends on the text overrides :meth:`given` instead, which returns what acts within blocks then; it is
    given the texts' features without any such part.
    """

    kind: ClassVar[str]
    looks_up: ClassVar[bool] = False  # true where the part replaces the lookup in the token table

    def own_loss(self) -> torch.Tensor | None:
        """A loss of the part's own on the texts encoded with gradients since it was last asked, or None."""
        return None

    def folded(self, k: int) -> Mapping[str, torch.Tensor]:
        """What block ``k``'s weights would have to be increased by for the part's deltas to be in them, by name.

        A part that defines this acts through its ``deltas`` alone.
        """
        return {}

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
    """The way of one language through the tower: several parts acting in order.

    Only the places that some part overrides are called. Where two parts put a tensor in the same one's stead, the
    later part's counts.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._asking = acting(parts, "given")
        self._before = Route([part for part in parts if part not in self._asking]) if self._asking else None
        self._lookup = next((part for part in parts if part.looks_up), None)
        self._outside = acting(parts, "outside")
        self._prompt = acting(parts, "prompt")
        self._inside = acting(parts, "inside")
        self._after = acting(parts, "after_block")

    def query(self) -> Route | None:
        """The way without the parts that depend on the text; None where there are none."""
        return self._before

    def given(self, features: torch.Tensor) -> Pathway:
        """The way for texts of these features (B, E) on the way without those parts."""
        if self._before is None:
            return self
        return Given(self._before, [part.given(features) for part in self._asking])

    def outside(self) -> Mapping[str, torch.Tensor]:
        """What stands in for the tower's tensors outside its blocks."""
        return {name: tensor for part in self._outside for name, tensor in part.outside().items()}

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids, by the part that owns the lookup where there is one."""
        return super().embed(ids, table) if self._lookup is None else self._lookup.embed(ids, table)

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        """Every part's prompt vectors, one after another (P, W)."""
        prompts = [vectors for part in self._prompt if (vectors := part.prompt(table)) is not None]
        return torch.cat(prompts) if len(prompts) > 1 else next(iter(prompts), None)

    def inside(self, k: int) -> Inside | None:
        """What all parts do within block ``k``."""
        return together([inside for part in self._inside if (inside := part.inside(k)) is not None])

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Apply every part that acts after block ``k`` to (B, T, W)."""
        for part in self._after:
            hidden = part.after_block(k, hidden)
        return hidden

    @property
    def merges(self) -> bool:
        """Whether :meth:`merged` has anything to do."""
        foldable = any(isinstance(part, Part) and acting([part], "folded") for part in self.parts)
        return foldable and not self._asking

    def merged(self, text: TextTower) -> Pathway:
        """The same way for serving: deltas that weights can absorb are added into them, once.

        Its features are this route's up to rounding. This route is not changed: it is the way back.
        """
        if not self.merges:
            return self
        folding = [part for part in self.parts if isinstance(part, Part) and acting([part], "folded")]
        rest = Route([part for part in self.parts if isinstance(part, Part) and part not in folding])
        return Merged(rest, folding, text)


class Given(Wrapped):
    """A route for certain texts: what depends on them acts within blocks, beside a rest that does not.

    Args:
        rest: the way without what depends on the texts.
        chosen: what acts within blocks for them.
    """

    def __init__(self, rest: Route, chosen: Sequence[Pathway]) -> None:
        super().__init__(rest)
        self.chosen = tuple(chosen)

    def inside(self, k: int) -> Inside | None:
        """What the rest does within block ``k``, and what was chosen."""
        return together([each for path in (self.inner, *self.chosen) if (each := path.inside(k)) is not None])


class Merged(Wrapped):
    """A route whose foldable parts have become weights (:meth:`Route.merged`).

    Args:
        rest: the parts that remain as they are.
        folding: the parts to add into the weights.
        text: the tower whose weights they are added to.
    """

    def __init__(self, rest: Route, folding: Sequence[Part], text: TextTower) -> None:
        super().__init__(rest)
        self._weights: list[dict[str, torch.Tensor]] = []
        # Ordinary tensors even where this is called in inference mode: the tower keeps one cast of each of them.
        with torch.inference_mode(False), torch.no_grad():
            for k, block in enumerate(text.blocks):
                assert isinstance(block, Block)
                inside = rest.inside(k)
                before = {**own_weights(block), **(inside.weights if inside else {})}
                sums: dict[str, torch.Tensor] = {}
                for part in folding:
                    for name, delta in part.folded(k).items():
                        sums[name] = sums.get(name, before[name]) + delta.to(before[name])
                self._weights.append({name: tensor.detach() for name, tensor in sums.items()})

    def inside(self, k: int) -> Inside:
        """What the rest does within block ``k``, on the merged weights."""
        merged = Inside(weights=self._weights[k])
        inside = self.inner.inside(k)
        return merged if inside is None else replace(inside, weights={**inside.weights, **merged.weights})


def acting(parts: Sequence[Part], place: str) -> list[Part]:
    """Those of the parts that do something at a place of the tower, by the method's name."""
    return [part for part in parts if getattr(type(part), place) is not getattr(Part, place)]


def own_weights(block: Block) -> dict[str, torch.Tensor]:
    """A block's own weights, by the names that :class:`Inside` uses."""
    own: dict[str, torch.Tensor] = {}
    for stem in ("norm1", "qkv", "out", "norm2", "up", "down"):
        module = getattr(block, stem)
        own |= {stem: module.weight, f"{stem}_bias": module.bias}
    return own


def together(all_: Sequence[Inside]) -> Inside | None:
    """Combine what several parts do within one block: the later weights, summed deltas, maps one after another."""
    if len(all_) < 2:
        return next(iter(all_), None)
    deltas: dict[str, list[Map]] = {}
    for inside in all_:
        for name, delta in inside.deltas.items():
            deltas.setdefault(name, []).append(delta)
    prefixes = [inside.prefix for inside in all_ if inside.prefix is not None]
    return Inside(
        weights={name: tensor for inside in all_ for name, tensor in inside.weights.items()},
        deltas={name: _sum(maps) for name, maps in deltas.items()},
        after_attention=_chain([inside.after_attention for inside in all_ if inside.after_attention]),
        after_mlp=_chain([inside.after_mlp for inside in all_ if inside.after_mlp]),
        prefix=(_joined([key for key, _ in prefixes]), _joined([value for _, value in prefixes]))
        if prefixes
        else None,
    )


def _joined(prefixes: Sequence[torch.Tensor]) -> torch.Tensor:
    """Prefixes (P, W) or (B, P, W) one after another; those that all texts share are repeated where others differ."""
    sizes = [len(each) for each in prefixes if each.dim() == 3]
    same = [each.expand(sizes[0], *each.shape[-2:]) for each in prefixes] if sizes else prefixes
    return torch.cat(list(same), dim=-2)


def _sum(maps: Sequence[Map]) -> Map:
    if len(maps) == 1:
        return maps[0]

    def summed(x: torch.Tensor) -> torch.Tensor:
        first, *others = (each(x) for each in maps)
        return sum(others, start=first)

    return summed


def _chain(maps: Sequence[Map]) -> Map | None:
    if len(maps) < 2:
        return next(iter(maps), None)

    def chained(x: torch.Tensor) -> torch.Tensor:
        for each in maps:
            x = each(x)
        return x

    return chained


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
