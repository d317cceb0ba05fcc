"""Scoring a polyglot again and again while it grows, without encoding again what cannot have changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from glotclip.evaluation import retrieval
from glotclip.fingerprint import fingerprint

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark
    from glotclip.data.features import Features
    from glotclip.methods.module import TextModule
    from glotclip.packs.polyglot import Polyglot


class Scorer:
    """Scores languages of one base on one benchmark.

    A language's scores are a function of its tokenizer and of the modules in its stack. Both are hashed, and scores
    are remembered by that: a language whose stack a later task left alone is not encoded again.

    Args:
        benchmark: what is scored on.
        features: of its images or videos.
        encoder: turns a polyglot into what encodes its texts.
        draws: bootstrap draws of the intervals of the final scores; 0 leaves them out.
        final: the languages whose presence makes scores the final ones.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        features: Features,
        encoder: Callable[[Polyglot], retrieval.TextEncoder],
        *,
        draws: int = 0,
        final: Collection[str] = (),
    ) -> None:
        self.benchmark = benchmark
        self.features = features
        self._encoder = encoder
        self._draws, self._final = draws, frozenset(final)
        self._known: dict[tuple[object, ...], dict[str, Any]] = {}

    def is_final(self, codes: Collection[str]) -> bool:
        """Whether a polyglot of these languages has learnt all that it shall."""
        return self._final <= set(codes)

    def forget(self) -> None:
        """Encode everything again from now on."""
        self._known.clear()

    def __call__(self, polyglot: Polyglot, codes: Sequence[str]) -> dict[str, Any]:
        """Scores by language, of those that the benchmark has captions in."""
        draws = self._draws if self.is_final(codes) else 0
        digests: dict[int, str] = {}
        keys = {
            code: (draws, code, *encoder_identity(polyglot, code, digests))
            for code in codes
            if code in self.benchmark.captions
        }
        fresh = [code for code, key in keys.items() if key not in self._known]
        if fresh:
            result = retrieval.evaluate(
                self._encoder(polyglot),
                self.benchmark,
                fresh,
                image_features=self.features.array,
                image_rows=self.features.rows,
                draws=draws,
            )
            self._known.update({keys[code]: result["languages"][code] for code in fresh})
        return {code: copy.deepcopy(self._known[key]) for code, key in keys.items()}


def encoder_identity(polyglot: Polyglot, code: str, digests: dict[int, str]) -> tuple[str, ...]:
    """What decides a language's features beside the base: its text form, its tokenizer and the modules of its stack.

    Args:
        polyglot: the model.
        code: one of its languages.
        digests: those of modules seen before, by ``id``: languages of one polyglot share modules.
    """
    pack = polyglot.pack_of(code)
    if pack is None:
        return ()

    def digest(module: TextModule) -> str:
        if id(module) not in digests:
            facts = {"kind": module.kind, "description": repr(module.description())}
            digests[id(module)] = fingerprint(module.tensors(), **facts)
        return digests[id(module)]

    state = pack.state
    modules = [module for scope in ("all", code) for module in state.modules.get(scope, ())]
    return (pack.text_form(code).name, state.tokenizer.identity, *map(digest, modules))
