"""Images to pixels, with Pillow and numpy alone. Shapes: H = W = size of the tower's input.

Any image file may come: rotated by EXIF, transparent, with a palette, in CMYK or with 16 bits, animated (the
first frame counts), truncated, far too large, or not an image at all. The last three raise :class:`ImageError`,
before time or memory is spent on them. Only the formats of :mod:`glotclip.image_formats` are opened, whatever a file
is called.
"""

from __future__ import annotations

import math
import stat
import struct
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from glotclip import image_formats
from glotclip.errors import ConfigError, ImageError
from glotclip.fingerprint import record_of

MAX_PIXELS = 150_000_000
LONGEST_STRIP = 8  # sides up to this ratio are scaled as a whole

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
WHITE = (255, 255, 255)

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
        with _readable(name):
            if isinstance(image, Image.Image):
                _check_size(image, name)
                decoded = on_white(ImageOps.exif_transpose(image))
            else:
                decoded = self._decode(Path(image))
            pixels = np.asarray(self._resized(decoded), dtype=np.float32)  # (H, W, 3)
        scaled = (pixels / np.float32(255) - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        if self.patches is not None:
            return _in_patches(scaled.astype(np.float32, copy=False), self.size, self.patches)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    def _decode(self, path: Path) -> Image.Image:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its other end for ever
            raise ImageError(f"{path} cannot be read: it is not a regular file", hint="give the file of an image")
        with Image.open(path, formats=image_formats.decodable()) as image:
            _check_size(image, str(path))
            if image.format == "JPEG" and self.resize not in ("none", "patches"):
                # JPEG can be decoded at 1/2, 1/4 or 1/8. Twice the needed size stays as good as all of it.
                needed = 2 * max((self.size, *(self.scaled or ())))
                image.draft(None, (needed, needed))
            return on_white(ImageOps.exif_transpose(image))

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


class _Bombs:
    """Pillow's warning of large images, from 89 megapixels on: our limit is MAX_PIXELS, and an error.

    The warnings' filters belong to the process. Were every thread to set them and set them back, the last to leave
    could leave behind what another had set. So the first sets them, and the last sets them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    @contextmanager
    def ignored(self) -> Iterator[None]:
        """Ignore the warning in any thread that is inside."""
        if getattr(sys.flags, "context_aware_warnings", False):  # Python 3.14 can keep filters apart by thread
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                yield
            return
        with self._lock:
            if not self._inside:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._filters.__exit__(None, None, None)


_BOMBS = _Bombs()


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


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises for an unreadable image into :class:`ImageError`."""
    try:
        with _BOMBS.ignored():
            yield
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist", hint="check the path") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ImageError(f"{name} cannot be read: {error.strerror}", hint="check path and permissions") from error
    except Image.DecompressionBombError as error:
        raise _too_large(name, "more than 179 million") from error
    except UnidentifiedImageError as error:
        if _is_heif(name) and not image_formats.has_heif():
            raise ImageError(f"{name} is a HEIC image, which needs pi-heif", hint=image_formats.HEIF_HINT) from error
        raise ImageError(f"{name} is not an image", hint="leave it out, or convert it to JPEG or PNG") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error) as error:
        # What Pillow's decoders raise for damaged files depends on the format.
        raise ImageError(f"{name} is damaged: {error}", hint="fetch or export the file again") from error


def _is_heif(name: str) -> bool:
    try:
        with Path(name).open("rb") as stream:
            return image_formats.is_heif(stream.read(image_formats.HEAD))
    except (OSError, ValueError):
        return False


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"{name} has no pixels", hint="leave it out")
    if width * height > MAX_PIXELS:
        raise _too_large(name, f"{width} × {height}")


def _too_large(name: str, size: str) -> ImageError:
    return ImageError(
        f"{name} has {size} pixels, more than the limit of {MAX_PIXELS // 1_000_000} megapixels",
        hint="make a smaller copy of it",
    )


def on_white(image: Image.Image) -> Image.Image:
    """Bring an image of any mode to 8-bit RGB; what is transparent becomes white."""
    if image.mode.startswith(("I", "F")):
        image = _to_8_bit(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layered = image.convert("RGBA")
        canvas = Image.new("RGBA", layered.size, (*WHITE, 255))
        canvas.alpha_composite(layered)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Bring 16-bit and floating-point grey to 8 bits; Pillow's own conversion would clip at 255."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    top = values.max(initial=0)
    if image.mode.startswith("F") and top <= 1:
        values = values * 255
    elif top > 255 or image.mode.startswith("I;16"):
        values = values / 257
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
