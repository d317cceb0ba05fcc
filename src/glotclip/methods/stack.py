"""The modules of one language, acting in order, and the state of a pack that holds them.

A module belongs to a *scope*: ``"all"`` when every language of a pack uses it, or one language's code. The stack of a
language is the modules of scope ``"all"`` and its own. That is the whole difference between a shared table, a table a
language, and a shared table with modules a language.

Shapes: B texts, T tokens, S packed tokens, W width, E embedding, P prompt or prefix vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from glotclip.methods.module import ALL, TextModule
from glotclip.methods.tuning import own_weights
from glotclip.models.hooks import BlockHooks, Map, TextHooks
from glotclip.models.text_tower import TextTower
from glotclip.models.tokenizer import Tokenizer


class ModuleStack(TextHooks):
    """Several hooks acting in order.

    Only the hooks that some module overrides are called. Where two modules put a tensor in the place of the same one,
    the later module's counts.

    Args:
        modules: text modules, or other hooks, in the order in which they act.
    """

    def __init__(self, modules: Sequence[TextHooks]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(modules)
        self._conditional = overriding(modules, "condition_on")
        self._rest = [module for module in modules if module not in self._conditional]
        self._probe = ModuleStack([module for module in self._rest if module.in_probe]) if self._conditional else None
        self._tower = next((module for module in modules if module.replaces_tower), None)
        self._embedding = next((module for module in modules if module.replaces_embedding), None)
        self._overrides = overriding(modules, "parameter_overrides")
        self._prompts = overriding(modules, "prompt")
        self._in_blocks = overriding(modules, "block_hooks")
        self._after_blocks = overriding(modules, "after_block")

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for languages whose stacks hold the very same modules, so that their texts can share a batch."""
        return tuple(id(module) for module in self.layers)

    @property
    def text_modules(self) -> list[TextModule]:
        """The text modules among the hooks."""
        return [module for module in self.layers if isinstance(module, TextModule)]

    def tower(self, own: TextTower) -> TextTower:
        """The tower of the module that replaces the base's, or that itself."""
        return own if self._tower is None else self._tower.tower(own)

    def probe(self) -> ModuleStack | None:
        """The stack without the modules that depend on the text; None where there are none."""
        return self._probe

    def condition_on(self, features: torch.Tensor) -> TextHooks:
        """The stack for texts whose raw features under :meth:`probe` are these (B, E)."""
        if not self._conditional:
            return self
        return ModuleStack([*self._rest, *(module.condition_on(features) for module in self._conditional)])

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        """What stands in for the tower's tensors outside its blocks."""
        return {name: tensor for module in self._overrides for name, tensor in module.parameter_overrides().items()}

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids, by the module that replaces the embedding where there is one."""
        return super().embed(ids, table) if self._embedding is None else self._embedding.embed(ids, table)

    def prompt(self, table: torch.Tensor) -> torch.Tensor | None:
        """Every module's prompt vectors, one after another (P, W)."""
        prompts = [vectors for module in self._prompts if (vectors := module.prompt(table)) is not None]
        return torch.cat(prompts) if len(prompts) > 1 else next(iter(prompts), None)

    def block_hooks(self, k: int) -> BlockHooks | None:
        """What all modules do within block ``k``."""
        return merge_hooks([hooks for module in self._in_blocks if (hooks := module.block_hooks(k)) is not None])

    def after_block(self, k: int, hidden: torch.Tensor) -> torch.Tensor:
        """Apply every module that acts after block ``k`` to (B, T, W)."""
        for module in self._after_blocks:
            hidden = module.after_block(k, hidden)
        return hidden

    @property
    def mergeable(self) -> list[TextModule]:
        """The modules whose deltas can be added into weights; none where a module depends on the text."""
        return [] if self._conditional else [module for module in self.text_modules if module.merges]

    def merged(self, text: TextTower) -> ModuleStack:
        """The same stack for serving: deltas that weights can absorb are added into them, once.

        Its features are this stack's up to rounding. This stack is not changed.
        """
        merging = self.mergeable
        if not merging:
            return self
        rest = ModuleStack([module for module in self._rest if module not in merging])
        return ModuleStack([*rest._rest, MergedWeights(rest, merging, self.tower(text))])


class MergedWeights(TextHooks):
    """Weights of blocks with the deltas of modules added to them.

    Args:
        rest: what acts beside them; weights that it replaces are what is added to.
        merging: the modules to add into the weights.
        text: the tower whose weights they are added to.
    """

    def __init__(self, rest: ModuleStack, merging: Sequence[TextModule], text: TextTower) -> None:
        super().__init__()
        self._weights: list[dict[str, torch.Tensor]] = []
        # Ordinary tensors even where this is called in inference mode: the tower keeps one cast of each of them.
        with torch.inference_mode(False), torch.no_grad():
            for k, block in enumerate(text.blocks):
                hooks = rest.block_hooks(k)
                before = {**own_weights(block), **(hooks.weights if hooks else {})}
                sums: dict[str, torch.Tensor] = {}
                for module in merging:
                    for name, delta in module.merged_delta(k).items():
                        sums[name] = sums.get(name, before[name]) + delta.to(before[name])
                self._weights.append({name: tensor.detach() for name, tensor in sums.items()})

    def block_hooks(self, k: int) -> BlockHooks:
        """Block ``k``'s merged weights."""
        return BlockHooks(weights=self._weights[k])


def overriding(modules: Sequence[TextHooks], hook: str) -> list[TextHooks]:
    """Those of the modules that override a hook, by the method's name."""
    return [module for module in modules if getattr(type(module), hook) is not getattr(TextHooks, hook)]


def merge_hooks(all_: Sequence[BlockHooks]) -> BlockHooks | None:
    """Combine what several modules do within one block: the later weights, summed deltas, maps one after another."""
    if len(all_) < 2:
        return next(iter(all_), None)
    deltas: dict[str, list[Map]] = {}
    for hooks in all_:
        for name, delta in hooks.deltas.items():
            deltas.setdefault(name, []).append(delta)
    prefixes = [hooks.prefix for hooks in all_ if hooks.prefix is not None]
    return BlockHooks(
        weights={name: tensor for hooks in all_ for name, tensor in hooks.weights.items()},
        deltas={name: _sum(maps) for name, maps in deltas.items()},
        after_attention=_chain([hooks.after_attention for hooks in all_ if hooks.after_attention]),
        after_mlp=_chain([hooks.after_mlp for hooks in all_ if hooks.after_mlp]),
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
    def summed(x: torch.Tensor) -> torch.Tensor:
        first, *others = (each(x) for each in maps)
        return sum(others, start=first)

    return maps[0] if len(maps) == 1 else summed


def _chain(maps: Sequence[Map]) -> Map | None:
    def chained(x: torch.Tensor) -> torch.Tensor:
        for each in maps:
            x = each(x)
        return x

    return chained if len(maps) > 1 else next(iter(maps), None)


@dataclass(frozen=True)
class PackState:
    """A pack in memory: its languages, the tokenizer they use, and its modules by scope.

    A language may be listed without a scope of its own: then it uses the modules of scope ``"all"`` only.
    """

    languages: tuple[str, ...]
    tokenizer: Tokenizer
    modules: Mapping[str, tuple[TextModule, ...]]

    def stack(self, language: str) -> ModuleStack:
        """The modules of one of this pack's languages."""
        if language not in self.languages:
            raise KeyError(language)
        return ModuleStack((*self.modules.get(ALL, ()), *self.modules.get(language, ())))

    def module(self, kind: str, scope: str) -> TextModule | None:
        """The module of this kind and scope, if the pack has it."""
        return next((module for module in self.modules.get(scope, ()) if module.kind == kind), None)
