"""A file of a library as the encoder takes it, with what is known of it; run in several threads at once.

Shapes: k pictures of a file: one, or the frames of a video.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from glotclip.data.frame_readers import VideoFileReader
from glotclip.data.video import sample_scenes
from glotclip.library import metadata
from glotclip.library.encoder import Floats, Preprocessor
from glotclip.library.hashes import dhash
from glotclip.library.metadata import Metadata

IMAGE, VIDEO = "image", "video"
_HUGE = 40_000_000  # pixels from which pictures are decoded one at a time
_HUGE_TURN = threading.Lock()
#: Seconds that the moving part of a live photo lasts at most; Apple's last 3.
LIVE_SECONDS = 6.0
LIVE_STILLS = frozenset({".heic", ".heif", ".jpg", ".jpeg"})
LIVE_MOTIONS = frozenset({".mov", ".mp4"})


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file's content, ready to be encoded.

    Attributes:
        kind: image or video.
        pixels: k pictures as the encoder's ``preprocess`` left them.
        times: the second of each in a video, None for a picture.
        metadata: when, where and with what it was taken.
        width: pixels, upright.
        height: pixels, upright.
        duration: seconds, of a video.
        dhash: of the picture, or a video's first frame.
        vectors: normalised (k, E), where the content was encoded before; there are no pixels then.
    """

    kind: str
    pixels: Sequence[Floats]
    times: Sequence[float | None]
    metadata: Metadata
    width: int
    height: int
    duration: float | None
    dhash: int
    vectors: Floats | None = None


def decode_image(path: Path, encoder: Preprocessor) -> Decoded:
    """Decode a picture.

    Raises:
        ImageError: if it cannot be read.
    """
    from glotclip.models.image_files import opened, upright

    with opened(path) as image:
        known = metadata.of_image(image)
        width, height = image.size
        huge = width * height > _HUGE and image.format != "JPEG"
        with _HUGE_TURN if huge else nullcontext():  # decoded, a picture at the limit has 450 MB
            picture = upright(image, encoder.decode_size)
            if (picture.width > picture.height) != (width > height):  # EXIF turned it
                width, height = height, width
            pixels = encoder.preprocess(picture)
            look = dhash(picture)
    return Decoded(IMAGE, [pixels], [None], known, width, height, None, look)


def decode_video(path: Path, encoder: Preprocessor) -> Decoded:
    """Take frames from all over a video.

    Raises:
        VideoError: if it cannot be read.
        MissingExtraError: if PyAV is not installed.
    """
    reader = VideoFileReader(path)
    looks: list[int] = []

    def convert(image: Image.Image) -> tuple[Floats, tuple[int, int]]:
        if not looks:
            looks.append(dhash(image))
        return encoder.preprocess(image), image.size

    frames = sample_scenes(reader, convert)
    _, (_, (width, height)) = frames[0]
    return Decoded(
        VIDEO, [pixels for _, (pixels, _) in frames], [time for time, _ in frames], metadata.of_video(reader.tags),
        width, height, round(reader.end - reader.starts[0], 3), looks[0],
    )  # fmt: skip


def is_motion(path: Path) -> bool:
    """Whether a video that has the name of a still is short enough to be the moving part of a live photo.

    Raises:
        VideoError: if it cannot be read.
    """
    reader = VideoFileReader(path)
    return reader.end - reader.starts[0] <= LIVE_SECONDS


def dated(found: Decoded, name: str, mtime_ns: int) -> Decoded:
    """Add a date from the file's name or its modification time, where the content has none."""
    return replace(found, metadata=found.metadata.dated(name, mtime_ns))
