"""From the score of a hit to the probability that it is what was asked for.

A query has some cosine with everything. What a score means follows from the library itself: against the scores that
the same query has with a sample of all vectors (the *background*), a match stands out to the right. So a score is
measured in robust deviations from the background's median, z. The best of many vectors stands out by chance, and of N
independent normal ones by about √(2 ln N); so

    p(match | z) = 1 / (1 + exp(−slope · (z − √(2 ln N) − middle)))

with two constants of the base (:class:`glotclip.models.calibration.Calibration`), which ``benchmarks/cutoff.py``
chose on one half of the queries and measured on the other. At the cutoff at most a tenth of the queries that have a
match are told to have none.

Shapes: n vectors of the background, out of N.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glotclip.models.calibration import CONTRASTIVE, Calibration

#: Vectors of the background; and the fewest with which anything can be said.
SAMPLE, FEWEST = 2048, 30
#: Hits less probable than this are no answer, unless the caller says otherwise.
CUTOFF = 0.2
_WORDS = ((0.9, "very likely"), (0.7, "likely"), (CUTOFF, "maybe"), (0.0, "unlikely"))
_SMALLEST = 1e-6
Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Background:
    """The scores that a query has with a library in general.

    Attributes:
        middle: their median.
        spread: their deviation, measured below the median, where no match is.
        count: how many vectors there are, N.
        calibration: what scores of the base mean.
    """

    middle: float
    spread: float
    count: int
    calibration: Calibration

    @classmethod
    def of(
        cls, scores: Numbers, count: int | None = None, calibration: Calibration = CONTRASTIVE
    ) -> Background | None:
        """Measure the background (n,), a sample of ``count`` vectors or all of them; None where there are too few."""
        if len(scores) < FEWEST:
            return None
        low, middle = np.quantile(np.asarray(scores, np.float64), [0.15865, 0.5])
        return cls(float(middle), max(float(middle - low), _SMALLEST), count or len(scores), calibration)

    def excess(self, score: float) -> float:
        """By how many deviations a score is above what the best of all vectors has by chance."""
        return (score - self.middle) / self.spread - math.sqrt(2 * math.log(self.count))

    def probability(self, score: float) -> float:
        """That a hit of this score is a match."""
        slope, middle = self.calibration.slope, self.calibration.middle
        return float(1 / (1 + np.exp(-np.clip(slope * (self.excess(score) - middle), -60, 60))))


def in_words(probability: float | None) -> str:
    """Say a probability in words."""
    if probability is None:
        return "not known"
    return next(word for least, word in _WORDS if probability >= least)
