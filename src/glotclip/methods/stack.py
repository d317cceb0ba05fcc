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
from glotclip.models.hooks import BlockHooks, Map, TextHooks, WrappedHooks
from glotclip.models.text_tower import TextTower
from glotclip.models.tokenizer import Tokenizer

ALL = "all"


class TextModule(TextHooks):
    """One kind of added weights. Subclasses override the places in the tower where they act.

    A part that depends on the text overrides :meth:`condition_on` instead, which returns what acts within blocks then; it is
    given the texts' features without any such part.
    """

    kind: ClassVar[str]
    replaces_embedding: ClassVar[bool] = False  # true where the part replaces the lookup in the token table

    def auxiliary_loss(self) -> torch.Tensor | None:
        """A loss of the part's own on the texts encoded with gradients since it was last asked, or None."""
        return None

    def merged_delta(self, k: int) -> Mapping[str, torch.Tensor]:
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
    def restore(
        cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]
    ) -> TextModule:
        """Rebuild the part from what :meth:`tensors` and :meth:`description` gave.

        Raises:
            PackError: if a tensor is missing, superfluous, or does not fit ``base``.
        """


class ModuleStack(TextHooks):
    """The way of one language through the tower: several parts acting in order.

    Only the places that some part overrides are called. Where two parts put a tensor in the same one's stead, the
    later part's counts.
    """

    def __init__(self, parts: Sequence[TextModule]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._asking = overriding(parts, "condition_on")
        self._before = ModuleStack([part for part in parts if part not in self._asking]) if self._asking else None
        self._lookup = next((part for part in parts if part.replaces_embedding), None)
        self._outside = overriding(parts, "parameter_overrides")
        self._prompt = overriding(parts, "prompt")
        self._inside = overriding(parts, "block_hooks")
        self._after = overriding(parts, "after_block")

    def probe(self) -> ModuleStack | None:
        """The way without the parts that depend on the text; None where there are none."""
        return self._before

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The way for texts of these features (B, E) on the way without those parts."""
        if self._before is None:
            return self
        return ConditionedStack(self._before, [part.condition_on(features) for part in self._asking])

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        """What stands in for the tower's tensors outside its blocks."""
        return {name: tensor for part in self._outside for name, tensor in part.parameter_overrides().items()}

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids, by the part that owns the lookup where there is one."""
        return super().embed(ids, table) if self._lookup is None else self._lookup.embed(ids, table)

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        """Every part's prompt vectors, one after another (P, W)."""
        prompts = [vectors for part in self._prompt if (vectors := part.prompt(table)) is not None]
        return torch.cat(prompts) if len(prompts) > 1 else next(iter(prompts), None)

    def block_hooks(self, k: int) -> BlockHooks | None:
        """What all parts do within block ``k``."""
        return merge_hooks([block_hooks for part in self._inside if (block_hooks := part.block_hooks(k)) is not None])

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Apply every part that acts after block ``k`` to (B, T, W)."""
        for part in self._after:
            hidden = part.after_block(k, hidden)
        return hidden

    @property
    def merges(self) -> bool:
        """Whether :meth:`merged` has anything to do."""
        foldable = any(isinstance(part, TextModule) and overriding([part], "merged_delta") for part in self.parts)
        return foldable and not self._asking

    def merged(self, text: TextTower) -> TextHooks:
        """The same way for serving: deltas that weights can absorb are added into them, once.

        Its features are this route's up to rounding. This route is not changed: it is the way back.
        """
        if not self.merges:
            return self
        folding = [part for part in self.parts if isinstance(part, TextModule) and overriding([part], "merged_delta")]
        rest = ModuleStack([part for part in self.parts if isinstance(part, TextModule) and part not in folding])
        return MergedStack(rest, folding, text)


class ConditionedStack(WrappedHooks):
    """A route for certain texts: what depends on them acts within blocks, beside a rest that does not.

    Args:
        rest: the way without what depends on the texts.
        chosen: what acts within blocks for them.
    """

    def __init__(self, rest: ModuleStack, chosen: Sequence[TextHooks]) -> None:
        super().__init__(rest)
        self.chosen = tuple(chosen)

    def block_hooks(self, k: int) -> BlockHooks | None:
        """What the rest does within block ``k``, and what was chosen."""
        return merge_hooks([each for path in (self.inner, *self.chosen) if (each := path.block_hooks(k)) is not None])


class MergedStack(WrappedHooks):
    """A route whose foldable parts have become weights (:meth:`Route.merged`).

    Args:
        rest: the parts that remain as they are.
        folding: the parts to add into the weights.
        text: the tower whose weights they are added to.
    """

    def __init__(self, rest: ModuleStack, folding: Sequence[TextModule], text: TextTower) -> None:
        super().__init__(rest)
        self._weights: list[dict[str, torch.Tensor]] = []
        # Ordinary tensors even where this is called in inference mode: the tower keeps one cast of each of them.
        with torch.inference_mode(False), torch.no_grad():
            for k, block in enumerate(text.blocks):
                assert isinstance(block, Block)
                block_hooks = rest.block_hooks(k)
                before = {**own_weights(block), **(block_hooks.weights if block_hooks else {})}
                sums: dict[str, torch.Tensor] = {}
                for part in folding:
                    for name, delta in part.merged_delta(k).items():
                        sums[name] = sums.get(name, before[name]) + delta.to(before[name])
                self._weights.append({name: tensor.detach() for name, tensor in sums.items()})

    def block_hooks(self, k: int) -> BlockHooks:
        """What the rest does within block ``k``, on the merged weights."""
        merged = BlockHooks(weights=self._weights[k])
        block_hooks = self.inner.block_hooks(k)
        return (
            merged if block_hooks is None else replace(block_hooks, weights={**block_hooks.weights, **merged.weights})
        )


def overriding(parts: Sequence[TextModule], place: str) -> list[TextModule]:
    """Those of the parts that do something at a place of the tower, by the method's name."""
    return [part for part in parts if getattr(type(part), place) is not getattr(TextModule, place)]


def own_weights(block: Block) -> dict[str, torch.Tensor]:
    """A block's own weights, by the names that :class:`BlockHooks` uses."""
    own: dict[str, torch.Tensor] = {}
    for stem in ("norm1", "qkv", "out", "norm2", "up", "down"):
        module = getattr(block, stem)
        own |= {stem: module.weight, f"{stem}_bias": module.bias}
    return own


def merge_hooks(all_: Sequence[BlockHooks]) -> BlockHooks | None:
    """Combine what several parts do within one block: the later weights, summed deltas, maps one after another."""
    if len(all_) < 2:
        return next(iter(all_), None)
    deltas: dict[str, list[Map]] = {}
    for block_hooks in all_:
        for name, delta in block_hooks.deltas.items():
            deltas.setdefault(name, []).append(delta)
    prefixes = [block_hooks.prefix for block_hooks in all_ if block_hooks.prefix is not None]
    return BlockHooks(
        weights={name: tensor for block_hooks in all_ for name, tensor in block_hooks.weights.items()},
        deltas={name: _sum(maps) for name, maps in deltas.items()},
        after_attention=_chain([block_hooks.after_attention for block_hooks in all_ if block_hooks.after_attention]),
        after_mlp=_chain([block_hooks.after_mlp for block_hooks in all_ if block_hooks.after_mlp]),
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
    parts: Mapping[str, tuple[TextModule, ...]]

    def route(self, language: str) -> ModuleStack:
        """The pathway of one of this pack's languages."""
        if language not in self.languages:
            raise KeyError(language)
        return ModuleStack((*self.parts.get(ALL, ()), *self.parts.get(language, ())))

    def part(self, kind: str, scope: str) -> TextModule | None:
        """The part of this kind and scope, if the pack has it."""
        return next((part for part in self.parts.get(scope, ()) if part.kind == kind), None)
