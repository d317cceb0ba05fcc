"""A picture's look in 64 bits, by which near-duplicates are found: re-saved, scaled, slightly brightened."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

NEAR = 8  # bits by which the hashes of near-duplicates may differ


def dhash(image: Image.Image) -> int:
    """Return the difference hash of an upright picture as a signed number of 64 bits.

    Each bit says whether a cell of a 9 × 8 grid is darker than its right neighbour (Krawetz, 2013).
    """
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def distances(one: int, others: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return in how many bits each of ``others`` (N,) differs from ``one``."""
    # Without a sign: of a negative number numpy counts the bits of its absolute value.
    return np.bitwise_count((others ^ np.int64(one)).view(np.uint64)).astype(np.int64)
