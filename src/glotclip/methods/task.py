"""A training task: one or several languages learnt together, ready for the trainer, and what becomes of them.

A method is a list of text modules. Each makes its weights for the task, says which of them train and how, and gives
the module to store when the task is over. The task puts them together; that is why any module goes with any other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from glotclip.data.features import Features
from glotclip.errors import ConfigError
from glotclip.methods.module import ALL, ParameterGroup, TextModule
from glotclip.methods.objective import MethodSettings
from glotclip.methods.stack import ModuleStack, PackState
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokenizer import Tokenizer
from glotclip.models.tokens import Tokens, encoded

Texts = Mapping[str, Sequence[str]]  # by language


@dataclass
class TrainingTask:
    """Languages learnt together: texts, tokens, and the modules that train. The base's own weights are frozen.

    Attributes:
        base: the frozen dual encoder.
        previous: the pack being extended; None starts from the base.
        texts: training captions.
        target_texts: texts that captions are aligned with, where the learning tower encodes them too.
        replay_texts: texts of earlier tasks that are seen again while this one is learnt.
        anchored_rows: rows of a table that a penalty holds though no text may look them up: ids by the module's kind.
        english_texts: English counterparts of the texts, where the method begins with them (None: there is none).
        seed: with the task's name it fixes every draw.
        target_features: frozen features that the texts of a language are aligned with, one row a text (−1: none).
        covers_base: whether the base's own languages use the pack's modules of scope "all" from now on.
        tokenizer: the task's, additions included; the other tokens are under it.
        tokens, target_tokens, replay_tokens: of the texts.
        generator: on the processor.
        modules: by scope; those of the pack that the task leaves alone are not among them.
        groups: the weights that train.
        stacks: what a language's texts pass through. A language that is only replayed has the shared modules, as they
            train, and those of its own from the pack, which do not.
    """

    base: DualEncoder
    previous: PackState | None
    texts: Texts
    target_texts: Texts = field(default_factory=dict)
    replay_texts: Texts = field(default_factory=dict)
    anchored_rows: Mapping[str, torch.Tensor] = field(default_factory=dict)
    english_texts: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    seed: int = 0
    covers_base: bool = False
    target_features: Mapping[str, Features] = field(default_factory=dict)
    tokenizer: Tokenizer = field(init=False)
    tokens: Mapping[str, Tokens] = field(init=False)
    target_tokens: Mapping[str, Tokens] = field(init=False)
    replay_tokens: Mapping[str, Tokens] = field(init=False)
    generator: torch.Generator = field(init=False)
    modules: dict[str, list[TextModule]] = field(init=False, default_factory=dict)
    groups: list[ParameterGroup] = field(init=False, default_factory=list)
    stacks: Mapping[str, ModuleStack] = field(init=False)

    def prepare(self, modules: Sequence[type[TextModule]], config: MethodSettings) -> TrainingTask:
        """Extend the tokenizer, tokenise every text once, and make each module's weights; returns the task itself.

        Args:
            modules: what the method adds to the tower, in the order in which it acts.
            config: settings of the method, and of every module.

        Raises:
            ConfigError: if the modules act in another tower than those of the pack being extended, or their settings
                do not fit base, texts or pack.
        """
        self._check_tower(modules)
        frozen = {module: part for module in modules if (part := self._frozen(module, config)) is not None}
        wanted = (self.previous_tokenizer if m in frozen else m.tokenizer_for(config, self) for m in modules)
        self.tokenizer = next((choice for choice in wanted if choice is not None), self.previous_tokenizer)
        self.tokens, self.replay_tokens, self.target_tokens = (
            {language: encoded(self.tokenizer, texts) for language, texts in each.items()}
            for each in (self.texts, self.replay_texts, self.target_texts)
        )
        self.generator = torch.Generator().manual_seed(_task_seed(self.seed, self.name))
        for module in modules:
            if module in frozen:
                self.modules.setdefault(ALL, []).append(frozen[module])
                continue
            made = module.for_task(config, self)
            for scope, part in made.items():
                self.modules.setdefault(scope, []).append(part)
            rate = config.lr_scale(module.kind)
            self.groups += _joined([group for part in made.values() for group in part.parameter_groups()], rate)
        self.stacks = {code: self._stack(code) for code in dict.fromkeys((*self.texts, *self.replay_texts))}
        return self

    def _stack(self, language: str) -> ModuleStack:
        kept = self.previous.modules if self.previous and language not in self.texts else self.modules
        return ModuleStack((*self.shared_modules, *kept.get(language, ())))

    def _check_tower(self, modules: Sequence[type[TextModule]]) -> None:
        """Raise ConfigError unless what trains acts in the same tower, the base's or another, as what is there."""
        there = [
            module for several in (self.previous.modules if self.previous else {}).values() for module in several
        ]
        before, now = (sorted({m.kind for m in each if m.replaces_tower}) for each in (there, modules))
        if there and before != now:
            acting = f"in that of {' and '.join(before)}" if before else "in the base's own text tower"
            raise ConfigError(
                f"the pack's modules act {acting}, and those of this method in another",
                hint="learn the language with the method of the pack, or into a new folder (--out)",
            )

    def _frozen(self, module: type[TextModule], config: MethodSettings) -> TextModule | None:
        """The pack's embedding, where it trains in the first task only.

        Its tokenizer stays too: a new token would split earlier languages' words anew.
        """
        return self.previous_module(module.kind, ALL) if config.freezes(module.kind) else None

    # --- what modules look at ----------------------------------------

    def previous_module(self, kind: str, scope: str) -> TextModule | None:
        """The pack's module of this kind and scope, if there is one."""
        return self.previous.module(kind, scope) if self.previous else None

    @property
    def previous_tokenizer(self) -> Tokenizer:
        """The pack's tokenizer, or the base's."""
        return self.previous.tokenizer if self.previous else self.base.tokenizer

    @property
    def all_texts(self) -> list[str]:
        """The captions of all languages."""
        return [text for texts in self.texts.values() for text in texts]

    @property
    def seen_tokens(self) -> tuple[Tokens, ...]:
        """All texts that pass through the tower while the task is learnt."""
        return (*self.tokens.values(), *self.replay_tokens.values(), *self.target_tokens.values())

    # --- what the trainer looks at ----------------------------------------

    @property
    def languages(self) -> tuple[str, ...]:
        """The task's languages, in the order given."""
        return tuple(self.texts)

    @property
    def name(self) -> str:
        """``de`` or ``de+fr``."""
        return "+".join(self.texts)

    @property
    def shared_modules(self) -> tuple[TextModule, ...]:
        """The modules of scope "all", which later tasks go on with."""
        return tuple(self.modules.get(ALL, ()))

    @property
    def trainable(self) -> int:
        """How many weights of the modules train."""
        return sum(group.size for group in self.groups)

    @property
    def facts(self) -> dict[str, int]:
        """What a log tells of the modules: new tokens, trained weights, …, summed over languages."""
        facts: dict[str, int] = {}
        for module in (module for modules in self.modules.values() for module in modules):
            if any(weight.requires_grad for weight in module.parameters()):
                for name, value in module.facts().items():
                    facts[name] = facts.get(name, 0) + value
        return facts

    def finish(self, decay: float) -> PackState:
        """The pack with what was learnt.

        Args:
            decay: Π(1 − η·weight decay) over the task's steps.
        """
        modules = dict(self.previous.modules) if self.previous else {}
        for scope in (ALL, *self.languages):
            if trained := [module.finished(decay) for module in self.modules.get(scope, ())]:
                replaced = {module.kind for module in trained}
                kept = [module for module in modules.get(scope, ()) if module.kind not in replaced]
                modules[scope] = (*kept, *trained)
        base_languages = tuple(self.base.languages) if self.covers_base else ()
        known = self.previous.languages if self.previous else base_languages
        return PackState(tuple(dict.fromkeys((*known, *self.languages))), self.tokenizer, modules)


def _joined(groups: Sequence[ParameterGroup], rate: float) -> list[ParameterGroup]:
    """Groups of one name as one, learning at a multiple of the learning rate."""
    joined: dict[str, ParameterGroup] = {}
    for group in groups:
        if group.name in joined:
            joined[group.name].parameters.extend(group.parameters)
        else:
            joined[group.name] = replace(group, lr_scale=group.lr_scale * rate, parameters=[*group.parameters])
    return list(joined.values())


def _task_seed(seed: int, name: str) -> int:
    """Mix the run's seed with the task's name, so that a language's draws do not depend on its place in the order."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") >> 1
