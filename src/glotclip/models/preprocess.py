"""Pictures to pixels, with Pillow and numpy alone. Shapes: H = W = size of the tower's input.

Any picture file may come: rotated by EXIF, transparent, with a palette, in CMYK or with 16 bits, animated (the
first frame counts), truncated, far too large, or not a picture at all. The last three raise :class:`ImageError`,
before time or memory is spent on them. Only the formats of :mod:`glotclip.image_formats` are opened, whatever a file
is called.
"""

from __future__ import annotations

import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from glotclip import image_formats
from glotclip.errors import ConfigError, ImageError

MAX_PIXELS = 150_000_000
LONGEST_STRIP = 8  # sides up to this ratio are scaled as a whole

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
WHITE = (255, 255, 255)

_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocess:
    """How an image tower wants its pictures; the defaults are CLIP's.

    ``shortest`` scales the shorter side to ``size`` and cuts the middle out (CLIP), ``squash`` scales both sides
    (SigLIP), ``pad`` scales the longer side and fills up with white.
    """

    size: int = 224
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    resize: Literal["shortest", "squash", "pad"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"

    def __post_init__(self) -> None:
        if self.size < 1 or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                f"impossible preprocessing {self}", hint="a size, three means, three positive deviations"
            )
        if self.resize not in ("shortest", "squash", "pad") or self.interpolation not in _FILTERS:
            raise ConfigError(
                f"unknown preprocessing {self}", hint="resize: shortest, squash, pad; bicubic or bilinear"
            )

    def load(self, picture: Path | str | Image.Image) -> NDArray[np.float32]:
        """Read one picture as float32 (3, H, W), normalised.

        Args:
            picture: a file, or an opened Pillow image (which is not changed).

        Raises:
            ImageError: missing, broken, truncated, too large, or not a picture.
        """
        name = "the picture" if isinstance(picture, Image.Image) else str(picture)
        with _readable(name):
            if isinstance(picture, Image.Image):
                _check_size(picture, name)
                image = on_white(ImageOps.exif_transpose(picture))
            else:
                image = self._decode(Path(picture))
            image = self._resized(image)
        pixels = np.asarray(image, dtype=np.float32)  # (H, W, 3)
        scaled = (pixels / np.float32(255) - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    def _decode(self, path: Path) -> Image.Image:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its other end for ever
            raise ImageError(f"{path} cannot be read: it is not a regular file", hint="give the file of an image")
        with Image.open(path, formats=image_formats.decodable()) as image:
            _check_size(image, str(path))
            if image.format == "JPEG":
                # JPEG can be decoded at 1/2, 1/4 or 1/8. Twice the needed size stays as good as all of it.
                image.draft(None, (2 * self.size, 2 * self.size))
            return on_white(ImageOps.exif_transpose(image))

    def _resized(self, image: Image.Image) -> Image.Image:
        size, resample = self.size, _FILTERS[self.interpolation]
        width, height = image.size
        if self.resize == "squash":
            return image.resize((size, size), resample)
        if self.resize == "pad":
            scale = size / max(width, height)
            inner = max(1, round(width * scale)), max(1, round(height * scale))
            canvas = Image.new("RGB", (size, size), WHITE)
            canvas.paste(image.resize(inner, resample), ((size - inner[0]) // 2, (size - inner[1]) // 2))
            return canvas
        short = min(width, height)
        scaled = int(size * width / short), int(size * height / short)
        left, top = (scaled[0] - size) // 2, (scaled[1] - size) // 2
        if max(scaled) <= LONGEST_STRIP * size:
            return image.resize(scaled, resample).crop((left, top, left + size, top + size))
        # A picture of 1 × 10,000 pixels would become enormous: resize only what the crop keeps. That is the same up
        # to the rounding of the box.
        x, y = width / scaled[0], height / scaled[1]
        right, bottom = min((left + size) * x, width), min((top + size) * y, height)
        return image.resize((size, size), resample, box=(left * x, top * y, right, bottom))


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises for an unreadable picture into :class:`ImageError`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on; our limit is MAX_PIXELS and an error.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
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
        raise ImageError(f"{name} is not a picture", hint="leave it out, or convert it to JPEG or PNG") from error
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
    """Bring a picture of any mode to 8-bit RGB; what is transparent becomes white."""
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
