"""The practical rival of every multilingual model: translate the query into English, then ask the English model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from glotclip.translate.engine import Engine

ENGLISH = "en"


@dataclass(frozen=True)
class TranslatedQueries:
    """Encodes texts of any language as the English that an engine makes of them.

    It is what evaluation needs of a model (:class:`glotclip.evaluation.retrieval.TextEncoder`).

    Attributes:
        engine: translates into English, best behind a cache.
        encode_english: English texts (M) → features (M, E).
    """

    engine: Engine
    encode_english: Callable[[Sequence[str]], Any]

    def encode_text(self, texts: Sequence[str], lang: str) -> Any:
        """Return features (M, E); English texts, of any region, are encoded as they are."""
        if lang.split("-")[0] != ENGLISH:
            texts = self.engine.translate(texts, lang, ENGLISH)
        return self.encode_english(texts)

    def protocol(self, protocol: str) -> str:
        """Return a benchmark's protocol with the translation said in it."""
        said = (
            f"texts not in English are translated into it by {self.engine.name} {self.engine.version} and encoded so"
        )
        return f"{protocol}; {said}" if protocol else said
