"""The vectors of a video: one for each scene, so that a hit can say the second.

Shapes: k frames, s ≤ k scenes, E embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glotclip.library.encoder import Floats

#: Cosine from which a frame belongs to the scene before it.
ALIKE = 0.9


def merge_scenes(
    times: Sequence[float | None], vectors: Floats, alike: float = ALIKE
) -> tuple[list[float | None], Floats]:
    """Merge neighbouring frames that look alike into scenes.

    A frame joins the scene before it while its cosine with the scene's mean is at least ``alike``.

    Args:
        times: second of each frame (k), or None for a picture.
        vectors: normalised (k, E).
        alike: cosine.

    Returns:
        When each scene begins (s), and its normalised mean (s, E).
    """
    if len(vectors) <= 1:
        return list(times), vectors
    starts: list[float | None] = []
    sums: list[Floats] = []
    for moment, vector in zip(times, vectors, strict=True):
        if sums and float(vector @ sums[-1]) >= alike * float(np.linalg.norm(sums[-1])):
            sums[-1] = sums[-1] + vector
        else:
            starts.append(moment)
            sums.append(np.asarray(vector, np.float32))
    means = np.stack(sums)
    return starts, np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)
