"""Methods: a name, its settings, and the ingredients they stand for. The registry is the last thing here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from glotclip.errors import ConfigError
from glotclip.methods.lesson import Ingredient
from glotclip.methods.lexicon import Damps, LexiconIngredient
from glotclip.methods.objective import ObjectiveSettings

Isolation = Literal["shared", "per-language"]


class MethodSettings(ObjectiveSettings):
    """Settings every method has: who shares weights, and (inherited) which losses pull."""

    isolation: Isolation = Field(
        "per-language",
        description="'shared': all languages change the same weights (the papers' setting, forgets); "
        "'per-language': a language cannot touch any other",
    )


class LexiconSettings(MethodSettings):
    """CLL-CLIP: rows of the token table, with TEIR's three pieces."""

    vocabulary: int = Field(10_000, ge=0, description="size of the byte-level BPE learnt per task; 0 adds no tokens")
    splitting: Literal["clip", "marks"] = Field(
        "marks", description="'marks' keeps combining marks with their letters; 'clip' splits at them, as CLIP does"
    )
    teir_init: bool = Field(True, description="draw new rows from the distribution of the table's entries")
    teir_gradient: bool = Field(
        True, description="shared only: divide a row's gradient by the number of languages that use it"
    )
    teir_decay: bool = Field(True, description="divide a row's weight decay likewise, and spare rows not in use")
    teir_damps: Damps = Field(
        "gradient",
        description="what teir_gradient divides: 'gradient', the paper's, which Adam undoes down to ε; "
        "'rate', the row's learning rate, which holds whatever the scale",
    )
    teir_strength: float = Field(
        1.0,
        gt=0,
        description="weight s of an earlier use of a row in its factor 1 / (1 + s·(uses − 1)); 1: the paper",
    )
    init_std: float = Field(0.02, ge=0, description="standard deviation of new rows without teir_init")


@dataclass(frozen=True)
class Method:
    """A way to teach a language.

    Args:
        name: what the command line calls it.
        summary: one line on what it does.
        settings: its settings class.
        ingredients: what it adds to the tower under given settings.
        shorthands: names accepted among the settings, and the several settings each stands for.
        covers_base: whether a shared pack also becomes the path of the base's own languages.
    """

    name: str
    summary: str
    settings: type[MethodSettings]
    ingredients: Callable[[Any], Sequence[Ingredient]]
    shorthands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    covers_base: bool = False

    def setting_names(self) -> set[str]:
        """Every name that may appear in a recipe for this method."""
        return {*self.settings.model_fields, *self.shorthands}

    def expanded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Write shorthands out; a setting that is named itself wins over a shorthand beside it."""
        spelt = {name: values[short] for short, names in self.shorthands.items() if short in values for name in names}
        return {**spelt, **{name: value for name, value in values.items() if name not in self.shorthands}}


def _lexicon(settings: LexiconSettings) -> list[Ingredient]:
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


METHODS = {
    method.name: method
    for method in (
        Method(
            "lexicon",
            "new and updated rows of the token table (CLL-CLIP, with TEIR)",
            LexiconSettings,
            _lexicon,
            shorthands={"teir": ("teir_init", "teir_gradient", "teir_decay")},
            covers_base=True,
        ),
    )
}


def method_named(name: str) -> Method:
    """Look a method up by name; an unknown one is a :class:`ConfigError` that lists them."""
    try:
        return METHODS[name]
    except KeyError:
        raise ConfigError(f"unknown method {name!r}", hint=f"methods: {', '.join(sorted(METHODS))}") from None
