"""The settings that methods share: how a language's tokens enter the tower, and who shares what.

A module's own settings are its ``Config``, in the module's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from glotclip.methods.lexicon import LexiconConfig
from glotclip.methods.multilingual import MultilingualConfig
from glotclip.methods.objective import Isolation

# PECT (§3): the contrast with images in full, a fixed temperature, the layer norms beside; its batches, learning rate
# and epochs are recipes.
PECT: Mapping[str, Any] = {
    "cross_modal": 1.0, "temperature": 0.01, "learn_temperature": False, "weight_decay": 0.0, "norms": True,
}  # fmt: skip
PECT_WITHOUT_NORMS: Mapping[str, Any] = {**PECT, "norms": False}


class ModuleSettings(LexiconConfig, MultilingualConfig):
    """What every method but the lexicon has beside the settings of its own module."""

    embedding: Literal["lexicon", "multilingual", "base"] = Field(
        "lexicon",
        description="'lexicon': rows of the token table train too; 'multilingual': a table of its own with a "
        "projection (MLA); 'base': the base's vocabulary and rows, unchanged",
    )
    embedding_trains: Literal["always", "first"] = Field(
        "always",
        description="shared only: 'first' leaves the shared table alone after a pack's first task, so that a "
        "language added later changes no other",
    )
    embedding_rate: float = Field(
        1.0, gt=0, description="learning rate of the embedding's weights, as a multiple of lr"
    )
    modules: Isolation = Field(
        "per-language", description="'shared': one set of modules for all languages of a shared pack"
    )
    norms: bool = Field(False, description="train the layer norms of every block as well (PECT)")
    english: Literal["native", "taught"] = Field(
        "native", description="shared only: 'native' leaves the base's own languages to the base alone (MLA)"
    )

    @model_validator(mode="after")
    def _sharing(self) -> ModuleSettings:
        if self.isolation == "per-language" and self.modules == "shared":
            raise ValueError("modules=shared needs isolation=shared")
        return self

    @property
    def covers_base(self) -> bool:
        """Where English shall be taught as well."""
        return self.english == "taught"

    @property
    def beside(self) -> tuple[str, ...]:
        """The modules beside the method's own, by name: its embedding, and the layer norms."""
        return (*((self.embedding,) if self.embedding != "base" else ()), *(("norms",) if self.norms else ()))

    def lr_scale(self, kind: str) -> float:
        """The embedding learns at a multiple of ``lr``."""
        return self.embedding_rate if kind == self.embedding else 1.0

    def freezes(self, kind: str) -> bool:
        """The shared embedding, where only the first task is to train it."""
        return kind == self.embedding and self.isolation == "shared" and self.embedding_trains == "first"
