"""Methods: a name, its settings, and the ingredients they stand for. The registry is the last thing here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glotclip.errors import ConfigError
from glotclip.methods import settings as s
from glotclip.methods.acquirer import AcquirerIngredient
from glotclip.methods.adapter import AdapterIngredient
from glotclip.methods.coda_prompt import CodaPromptIngredient
from glotclip.methods.compacter import CompacterIngredient
from glotclip.methods.dual_prompt import DualPromptIngredient
from glotclip.methods.lexicon import Lexicon, LexiconIngredient
from glotclip.methods.lora import LoraIngredient
from glotclip.methods.multilingual import FirstTaskOnly, MultilingualIngredient, MultilingualTable
from glotclip.methods.prefix import PrefixIngredient
from glotclip.methods.prompt import HardPromptIngredient, SoftPromptIngredient
from glotclip.methods.settings import MethodSettings
from glotclip.methods.task import Ingredient, Paced
from glotclip.methods.tuning import NormsIngredient, TableIngredient, TowerIngredient


@dataclass(frozen=True)
class Method:
    """A way to teach a language.

    Args:
        name: what the command line calls it.
        summary: one line on what it does.
        settings: its settings class.
        ingredients: what it adds to the tower under given settings.
        shorthands: names accepted among the settings, and the several settings each stands for.
        defaults: what differs from the general defaults, of the loop's settings above all.
    """

    name: str
    summary: str
    settings: type[MethodSettings]
    ingredients: Callable[[Any], Sequence[Ingredient]]
    shorthands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def setting_names(self) -> set[str]:
        """Every name that may appear in a recipe for this method."""
        return {*self.settings.model_fields, *self.shorthands}

    def expanded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write shorthands out; a setting that is named itself wins over a shorthand beside it."""
        spelt = {name: values[short] for short, names in self.shorthands.items() if short in values for name in names}
        return {**spelt, **{name: value for name, value in values.items() if name not in self.shorthands}}


def _lexicon(settings: s.LexiconSettings) -> list[Ingredient]:
    shared = settings.isolation == "shared"
    return [
        LexiconIngredient(
            shared=shared,
            vocabulary=settings.vocabulary,
            splitting=settings.splitting,
            teir_init=settings.teir_init,
            # Damping protects what others use. A table of one language's own protects nobody.
            teir_gradient=settings.teir_gradient and shared,
            teir_decay=settings.teir_decay and shared,
            teir_damps=settings.teir_damps,
            teir_strength=settings.teir_strength,
            init_std=settings.init_std,
        )
    ]


def _embedding(settings: s.ModuleSettings) -> list[Ingredient]:
    """How a language's tokens enter the tower, and the norms, which any module may have beside it."""
    chosen: list[Ingredient] = []
    kind = Lexicon.kind
    if settings.embedding == "lexicon":
        chosen = _lexicon(settings)
    elif settings.embedding == "multilingual":
        kind = MultilingualTable.kind
        chosen = [
            MultilingualIngredient(settings.bert, settings.vocabulary, settings.bert_trains, settings.bert_trim)
        ]
    if settings.isolation == "shared" and settings.embedding_trains == "first":
        chosen = [FirstTaskOnly(each, kind) for each in chosen]
    chosen = [Paced(each, settings.embedding_rate) for each in chosen]
    if settings.norms:
        chosen.append(NormsIngredient(shared=settings.modules == "shared"))
    return chosen


def _module(make: Callable[[Any, bool], Sequence[Ingredient]]) -> Callable[[Any], list[Ingredient]]:
    """The ingredients of a method of modules: its embedding, and what ``make(settings, shared)`` gives."""
    return lambda settings: [*_embedding(settings), *make(settings, settings.modules == "shared")]


def _acquirers(settings: s.AcquirerSettings, shared: bool) -> list[Ingredient]:
    return [] if settings.skip else [AcquirerIngredient(shared, settings.bottleneck, settings.near_identity)]


TEIR = {"teir": ("teir_init", "teir_gradient", "teir_decay")}
# PECT (§3): the picture's contrast in full, a fixed temperature; its batches, rate and epochs are recipes.
PECT = {"cross_modal": 1.0, "temperature": 0.01, "learn_temperature": False, "weight_decay": 0.0, "norms": True}
# Both losses at once: above MLA's two stages at equal steps (benchmarks/results/compare_mla.md); the pictures' weight
# is chosen by benchmarks/acquirer_defaults.py. The paper's own are recipes/mla_paper.yaml.
ACQUIRER = {"cross_modal": 0.1, "learn_temperature": False}
POOL = {"isolation": "shared", "english": "taught"}
METHODS = {
    method.name: method
    for method in (
        Method("lexicon", "rows of the token table, new and old (CLL-CLIP, TEIR)", s.LexiconSettings, _lexicon, TEIR),
        Method(
            "acquirer",
            "a bottleneck after every block (MLA)",
            s.AcquirerSettings,
            _module(_acquirers),
            TEIR,
            ACQUIRER,
        ),
        Method(
            "lora",
            "low-rank deltas on linear maps (PECT)",
            s.LoraSettings,
            _module(lambda c, shared: [LoraIngredient(shared, c.targets, c.rank, c.alpha)]),
            TEIR,
            PECT,
        ),
        Method(
            "adapter",
            "two bottlenecks inside every block (PECT)",
            s.AdapterSettings,
            _module(lambda c, shared: [AdapterIngredient(shared, c.bottleneck, c.adapter_std, c.activation)]),
            TEIR,
            PECT,
        ),
        Method(
            "compacter",
            "two bottlenecks of Kronecker products (PECT)",
            s.CompacterSettings,
            _module(
                lambda c, shared: [
                    CompacterIngredient(shared, c.reduction, c.terms, c.factor_rank, c.activation, c.start)
                ]
            ),
            TEIR,
            PECT,
        ),
        Method(
            "soft-prompt",
            "trained vectors before every text (PECT)",
            s.PromptSettings,
            _module(lambda c, shared: [SoftPromptIngredient(shared, c.length, c.prompt)]),
            TEIR,
            {**PECT, "norms": False},
        ),
        Method(
            "hard-prompt",
            "fixed words before every text (PECT)",
            s.HardPromptSettings,
            _module(lambda c, shared: [HardPromptIngredient(shared, c.prompt)]),
            TEIR,
            {**PECT, "norms": False},
        ),
        Method(
            "prefix",
            "trained keys and values in every block (P-tuning v2)",
            s.PrefixSettings,
            _module(lambda c, shared: [PrefixIngredient(shared, c.length)]),
            TEIR,
            {**PECT, "norms": False},
        ),
        Method(
            "dual-prompt",
            "prompts chosen by the text, one a task (DualPrompt)",
            s.DualPromptSettings,
            _module(lambda c, shared: [DualPromptIngredient(general=c.general, expert=c.expert, pull=c.pull)]),
            TEIR,
            POOL,
        ),
        Method(
            "coda-prompt",
            "prompts mixed by the text of each task's components (CODA-Prompt)",
            s.CodaPromptSettings,
            _module(lambda c, shared: [CodaPromptIngredient(components=c.components, length=c.length)]),
            TEIR,
            POOL,
        ),
        Method("norms", "layer norms alone", s.ModuleSettings, _module(lambda c, shared: []), TEIR, PECT),
        Method(
            "full",
            "every weight of the text tower: the upper bound, and a whole tower a pack",
            s.ModuleSettings,
            _module(
                lambda c, shared: [TowerIngredient(shared), *([TableIngredient(shared)] * (c.embedding == "base"))]
            ),
            TEIR,
            {**PECT, "norms": False},
        ),
    )
}


def method_named(name: str) -> Method:
    """Look a method up by name; an unknown one is a :class:`ConfigError` that lists them."""
    try:
        return METHODS[name]
    except KeyError:
        raise ConfigError(f"unknown method {name!r}", hint=f"methods: {', '.join(sorted(METHODS))}") from None
