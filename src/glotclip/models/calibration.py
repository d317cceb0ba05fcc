"""What the scores of a base mean: how far a match stands out from what a text has in common with any image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Calibration:
    """Two constants of a base, from which a library makes probabilities (:mod:`glotclip.library.calibration`).

    ``benchmarks/cutoff.py --choose`` chooses them.

    Attributes:
        slope: of the logistic function, per deviation.
        middle: deviations above the best of chance at which a match is as probable as none.
    """

    slope: float
    middle: float


#: Of a contrastive base, measured on emoji-clip: matches hardly stand out, so that little is left out. A base has
#: these unless its ``glotclip.json`` says otherwise.
CONTRASTIVE = Calibration(1.5, -0.3)
