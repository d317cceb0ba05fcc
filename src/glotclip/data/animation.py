"""Frames of animated pictures (WebP, GIF, PNG), through Pillow: FFmpeg drops their transparency, or them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import accumulate
from pathlib import Path

from PIL import Image

from glotclip import image_formats
from glotclip.errors import VideoError

SUFFIXES = (".gif", ".webp", ".apng", ".png")
_BROWSER_GAP = 100  # milliseconds that browsers give a frame of duration 0
# What Pillow's decoders raise for damaged files depends on the format.
_DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    IndexError,
    TypeError,
    struct.error,
    Image.DecompressionBombError,
)


class AnimatedReel:
    """An animated picture as a :class:`glotclip.data.video.Reel`; a still one has one frame. Frames are RGBA."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _readable(path):
            lasting = [(each or _BROWSER_GAP) / 1000 for each in _gaps(path)]
        *self.starts, self.end = accumulate(lasting, initial=0.0)
        self.notes: tuple[str, ...] = ()
        self.damaged = False

    def pick(self, chosen: Sequence[int]) -> Iterator[tuple[float, Image.Image]]:
        """Yield time and frame of each index, up to the first that cannot be decoded."""
        with ExitStack() as stack:
            with _readable(self._path):
                image = stack.enter_context(Image.open(self._path, formats=image_formats.decodable()))
            for index in chosen:
                try:
                    image.seek(index)
                    frame = image.convert("RGBA")
                except _DAMAGE:
                    self.damaged = True
                    return
                yield self.starts[index], frame


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever Pillow raises for an unreadable picture into :class:`VideoError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise VideoError(f"{path} does not exist", hint="check the path") from error
    except _DAMAGE as error:
        raise VideoError(f"{path} is not a picture that can be read ({error})", hint="leave it out") from error


def _gaps(path: Path) -> list[int]:
    """Return how long each frame of an animated picture is on display, milliseconds, 0 where it does not say."""
    if path.suffix.lower() == ".webp" and (gaps := webp_gaps(path)):
        return gaps
    with Image.open(path, formats=image_formats.decodable()) as image:
        gaps = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            gaps.append(int(image.info.get("duration", 0)))
    return gaps


def webp_gaps(path: Path) -> list[int]:
    """Return the same for a WebP file without decoding it, from its ``ANMF`` chunks; empty for a still picture."""
    gaps: list[int] = []
    with path.open("rb") as stream:
        if stream.read(12)[8:] != b"WEBP":
            return []
        while len(header := stream.read(8)) == 8:
            name, size = header[:4], int.from_bytes(header[4:], "little")
            skip = size + size % 2
            if name == b"ANMF":
                head = stream.read(16)  # x, y, width, height, duration: 3 bytes each; flags
                gaps.append(int.from_bytes(head[12:15], "little"))
                skip -= len(head)
            stream.seek(skip, 1)
    return gaps
