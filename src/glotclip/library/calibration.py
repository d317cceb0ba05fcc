"""From the score of a hit to the probability that it is what was asked for.

A query has some cosine with everything. What a score means follows from the library itself: against the scores that
the same query has with a sample of all vectors (the *background*), a match stands out to the right. So a score is
measured in robust deviations from the background's median, z, and

    p(match | z) = 1 / (1 + exp(−SLOPE · (z − MIDDLE)))

with two constants that ``benchmarks/cutoff.py`` chose on one half of the queries and measured on the other.

Shapes: n vectors of the background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SLOPE, MIDDLE = 2.0, 4.0
#: Vectors of the background; and the fewest with which anything can be said.
SAMPLE, FEWEST = 2048, 30
#: Hits less probable than this are no answer, unless the caller says otherwise.
CUTOFF = 0.5
_WORDS = ((0.9, "very likely"), (0.7, "likely"), (0.5, "maybe"), (0.0, "unlikely"))
_SMALLEST = 1e-6
Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Background:
    """The scores that a query has with a library in general.

    Attributes:
        middle: their median.
        spread: their deviation, measured below the median, where no match is.
    """

    middle: float
    spread: float

    @classmethod
    def of(cls, scores: Numbers) -> Background | None:
        """Measure the background (n,); None where there are too few."""
        if len(scores) < FEWEST:
            return None
        low, middle = np.quantile(np.asarray(scores, np.float64), [0.15865, 0.5])
        return cls(float(middle), max(float(middle - low), _SMALLEST))

    def probability(self, score: float) -> float:
        """That a hit of this score is a match."""
        z = (score - self.middle) / self.spread
        return float(1 / (1 + np.exp(-np.clip(SLOPE * (z - MIDDLE), -60, 60))))


def in_words(probability: float | None) -> str:
    """Say a probability in words."""
    if probability is None:
        return "not known"
    return next(word for least, word in _WORDS if probability >= least)
