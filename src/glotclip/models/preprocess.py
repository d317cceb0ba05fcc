"""Images to pixels, with Pillow and numpy alone. Shapes: H = W = size of the tower's input.

Any image file may come: rotated by EXIF, transparent, with a palette, in CMYK or with 16 bits, animated (the
first frame counts). What cannot be used raises :class:`ImageError`; see :mod:`glotclip.models.image_files`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glotclip.errors import ConfigError
from glotclip.fingerprint import record_of
from glotclip.models.image_files import WHITE, check_size, opened, readable, upright

LONGEST_STRIP = 8  # sides up to this ratio are scaled as a whole

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

Resize = Literal["shortest", "squash", "pad", "none", "patches"]
Interpolation = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]


@dataclass(frozen=True)
class Preprocess:
    """How an image tower wants its images; the defaults are CLIP's.

    ``shortest`` scales the shorter side and cuts the middle out (CLIP), ``squash`` scales both sides (SigLIP),
    ``pad`` scales the longer side to ``size`` and fills up with white, ``none`` only cuts the middle out. ``scaled``
    is the (height, width) that is scaled to before the cut, where that is not ``size``; what is smaller than the
    cut gets a black border. ``patches`` keeps the aspect ratio and gives at most that many patches of ``size`` pixels
    (SigLIP 2's NaFlex).
    """

    size: int = 224
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    resize: Resize = "shortest"
    interpolation: Interpolation = "bicubic"
    scaled: tuple[int, int] | None = None
    patches: int | None = None

    def __post_init__(self) -> None:
        if self.size < 1 or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                f"impossible preprocessing {self}", hint="a size, three means, three positive deviations"
            )
        if self.resize not in get_args(Resize) or self.interpolation not in get_args(Interpolation):
            raise ConfigError(
                f"unknown preprocessing {self}",
                hint=f"resize: {', '.join(get_args(Resize))}; interpolation: {', '.join(get_args(Interpolation))}",
            )
        if self.scaled is not None and (
            self.resize not in ("shortest", "squash")
            or len(self.scaled) != 2
            or min(self.scaled) < 1
            or (self.resize == "shortest" and self.scaled[0] != self.scaled[1])
        ):
            raise ConfigError(
                f"impossible preprocessing {self}",
                hint="scaled is (height, width) for squash and the shorter side, twice, for shortest",
            )
        if (self.patches is not None) != (self.resize == "patches") or (self.patches or 1) < 1:
            raise ConfigError(f"impossible preprocessing {self}", hint="resize=patches goes with a number of patches")

    def record(self) -> dict[str, Any]:
        """These settings as JSON, from which they can be built again."""
        return record_of(self, later=("scaled", "patches"))

    def load(self, image: Path | str | Image.Image) -> NDArray[np.float32]:
        """Read one image as float32 (3, H, W), normalised.

        With ``resize="patches"`` it is float32 (patches + 1, 3 · size²): a row that begins with the height and width
        in patches, a row for each patch (pixel by pixel, its three channels together), and rows of zeros.

        Args:
            image: a file, or an opened Pillow image (which is not changed).

        Raises:
            ImageError: missing, broken, truncated, too large, or not an image.
        """
        name = "the image" if isinstance(image, Image.Image) else str(image)
        with readable(name):
            if isinstance(image, Image.Image):
                check_size(image, name)
                decoded = upright(image)
            else:
                with opened(Path(image)) as file:
                    decoded = upright(file, self.enough)
            pixels = np.asarray(self._resized(decoded), dtype=np.float32)  # (H, W, 3)
        scaled = (pixels / np.float32(255) - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        if self.patches is not None:
            return _in_patches(scaled.astype(np.float32, copy=False), self.size, self.patches)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    @property
    def enough(self) -> int:
        """The shorter side in pixels beyond which a larger picture gives nothing more; 0 if all of it counts."""
        return 0 if self.resize in ("none", "patches") else 2 * max((self.size, *(self.scaled or ())))

    def _resized(self, image: Image.Image) -> Image.Image:
        size, resample = self.size, Image.Resampling[self.interpolation.upper()]
        width, height = image.size
        if self.resize == "none":
            return _middle(image, size)
        if self.patches is not None:
            return image.resize(_fitted(width, height, size, self.patches), resample)
        if self.resize == "squash":
            down, across = self.scaled or (size, size)
            return _middle(image.resize((across, down), resample), size)
        if self.resize == "pad":
            scale = size / max(width, height)
            inner = max(1, round(width * scale)), max(1, round(height * scale))
            canvas = Image.new("RGB", (size, size), WHITE)
            canvas.paste(image.resize(inner, resample), ((size - inner[0]) // 2, (size - inner[1]) // 2))
            return canvas
        side = self.scaled[0] if self.scaled else size
        short = min(width, height)
        scaled = int(side * width / short), int(side * height / short)
        if max(scaled) <= LONGEST_STRIP * side:
            return _middle(image.resize(scaled, resample), size)
        # An image of 1 × 10,000 pixels would become enormous: resize only what the crop keeps. That is the same up
        # to the rounding of the box.
        kept = min(size, scaled[0]), min(size, scaled[1])
        left, top = (scaled[0] - kept[0]) // 2, (scaled[1] - kept[1]) // 2
        x, y = width / scaled[0], height / scaled[1]
        right, bottom = min((left + kept[0]) * x, width), min((top + kept[1]) * y, height)
        return _middle(image.resize(kept, resample, box=(left * x, top * y, right, bottom)), size)


def _middle(image: Image.Image, size: int) -> Image.Image:
    """Cut the middle ``size`` × ``size`` out of an RGB image; a smaller one gets a black border."""
    width, height = image.size
    if (width, height) == (size, size):
        return image
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))


def _fitted(width: int, height: int, patch: int, most: int) -> tuple[int, int]:
    """The largest size in whole patches, at most so many, that keeps the aspect ratio: transformers' own search."""

    def whole(scale: float, side: int) -> int:
        return max(patch, math.ceil(side * scale / patch) * patch)

    low, high, exact = 1e-6, 100.0, 1e-5
    while high - low >= exact:
        scale = (low + high) / 2
        if (whole(scale, height) / patch) * (whole(scale, width) / patch) <= most:
            low = scale
        else:
            high = scale
    return whole(low, width), whole(low, height)


def _in_patches(pixels: NDArray[np.float32], patch: int, most: int) -> NDArray[np.float32]:
    """Lay an image (H, W, 3) out as rows of patches behind a row with its height and width in patches."""
    down, across = pixels.shape[0] // patch, pixels.shape[1] // patch
    rows = np.zeros((most + 1, 3 * patch * patch), np.float32)
    rows[0, :2] = down, across
    grid = pixels.reshape(down, patch, across, patch, 3).transpose(0, 2, 1, 3, 4)
    rows[1 : 1 + down * across] = grid.reshape(down * across, -1)
    return rows
