"""One ranking from the rankings of several languages, for a query whose language is not sure.

A text read in the wrong language is similar to nothing in particular, and in the right one to few images much more
than to the rest. The mean of the features blurs that; the mixture of the distributions over the images keeps it:

    p(image | text) = Σ_l p(l | text) · softmax(SCALE · cos_l)(image)

Shapes: L languages, N images.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Factor of the cosines; chosen on validation concepts by ``benchmarks/language_guess.py --choose``.
SCALE = 10.0


def mixture(cosines: npt.ArrayLike, weights: npt.ArrayLike, scale: float = SCALE) -> npt.NDArray[np.float64]:
    """The contribution of each language to each image's probability, float64 (L, N); its sum over L ranks the images.

    Args:
        cosines: of the text, read in each language, with the images (L, N).
        weights: the probability of each language (L,).
        scale: factor of the cosines; small blurs, large lets the surest language decide.
    """
    scores = scale * np.asarray(cosines, dtype=np.float64)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    mixed: npt.NDArray[np.float64] = shares * np.asarray(weights, dtype=np.float64)[:, None]
    return mixed
