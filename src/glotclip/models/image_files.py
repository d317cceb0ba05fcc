"""Opening image files of any kind and origin with Pillow; nothing here loads torch.

Only the formats of :mod:`glotclip.image_formats` are opened, whatever a file is called. What is broken, far too large
or no image at all raises :class:`ImageError`, before time or memory is spent on it.
"""

from __future__ import annotations

import stat
import struct
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from glotclip import image_formats
from glotclip.errors import ImageError

MAX_PIXELS = 150_000_000
WHITE = (255, 255, 255)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file, to be decoded inside.

    Raises:
        ImageError: missing, broken, truncated, too large, or not an image; also for what Pillow raises inside.
    """
    with readable(str(path)):
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for its other end for ever
            raise ImageError(f"{path} cannot be read: it is not a regular file", hint="give the file of an image")
        if path.suffix.lower() in image_formats.RAW_SUFFIXES and image_formats.has_raw():
            image = _developed(path)
        else:
            image = Image.open(path, formats=image_formats.decodable())
        with image:
            check_size(image, str(path))
            yield image


def upright(image: Image.Image, enough: int = 0) -> Image.Image:
    """Decode an opened image as 8-bit RGB, turned as its EXIF data says; what is transparent becomes white.

    Args:
        image: what :func:`opened` gave, or any other image, which is not changed.
        enough: if not 0, a shorter side of so many pixels is as good as all of them.
    """
    if enough and image.format == "JPEG":
        image.draft(None, (enough, enough))  # JPEG can be decoded at 1/2, 1/4 or 1/8
    return on_white(ImageOps.exif_transpose(image))


def _developed(path: Path) -> Image.Image:
    """The preview that a camera put into its raw file, or the developed picture where there is none."""
    import io

    rawpy = image_formats.raw_module()
    try:
        with rawpy.imread(str(path)) as raw:
            try:
                preview = raw.extract_thumb()
            except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
                return Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))
            if preview.format != rawpy.ThumbFormat.JPEG:
                return _turned(Image.fromarray(preview.data), raw.sizes.flip)
            image: Image.Image = Image.open(io.BytesIO(preview.data), formats=("JPEG",))
            if image.getexif().get(_ORIENTATION, 1) == 1 and raw.sizes.flip:
                return _turned(image, raw.sizes.flip)
            return image
    except rawpy.LibRawError as error:
        raise ImageError(f"{path} is no raw picture that can be read ({error})", hint="export it as JPEG") from error


_ORIENTATION = 0x0112
_FLIPS = {3: Image.Transpose.ROTATE_180, 5: Image.Transpose.ROTATE_90, 6: Image.Transpose.ROTATE_270}


def _turned(image: Image.Image, flip: int) -> Image.Image:
    """Turn a picture as LibRaw says that it lies."""
    turned = image.transpose(_FLIPS[flip]) if flip in _FLIPS else image
    turned.info = image.info
    return turned


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


@contextmanager
def readable(name: str) -> Iterator[None]:
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


def check_size(image: Image.Image, name: str) -> None:
    """Raise :class:`ImageError` for an image with no pixels or too many."""
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
