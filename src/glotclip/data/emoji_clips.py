"""A small set of videos that needs no download of its own: emoji in motion, named in many languages.

Two sources. Where npm's ``@lobehub/fluent-emoji-anim-1`` to ``-4`` (Microsoft's Fluent Emoji, animated WebP, MIT) lie
unpacked, those are taken. Otherwise clips are made on the spot from an artist's images: each moves, turns or
zooms over a coloured ground, how depending on nothing but the concept, and is encoded once into the cache.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from glotclip.data import emoji, emoji_images
from glotclip.data.frame_readers import webp_gaps
from glotclip.data.video import Sampling
from glotclip.errors import require

FLUENT = "fluent"
COUNT = 200  # concepts; all 1,644 would take minutes to encode and to score
SIZE, RATE, FRAMES = 128, 8, 16  # pixels, frames a second, frames
SAMPLING = Sampling(8)  # of a clip of two seconds
_VERSION = "1"  # raise it when the same image would give another clip
_MARGIN = 0.06  # of the frame, kept free on all sides
_FLUENT_FOLDERS = ("fluent-emoji-anim-*", "@lobehub/fluent-emoji-anim-*", "lobehub-fluent-emoji-anim-*")


def concepts() -> list[str]:
    """Return all concepts in a fixed order in which each beginning is a fair sample."""
    return sorted(emoji.concepts(), key=lambda concept: hashlib.sha256(concept.encode()).digest())


@dataclass(frozen=True, slots=True)
class Motion:
    """How one concept's image moves.

    Attributes:
        path: ``across``, ``down``, ``round`` or ``still``.
        backwards: whether the path is gone the other way.
        zoom: the image's side at the beginning and the end, as a share of the frame's.
        swing: the largest angle it is turned by, degrees.
        ground: the ground's colours at the top and the bottom.
    """

    path: str
    backwards: bool
    zoom: tuple[float, float]
    swing: float
    ground: tuple[tuple[int, int, int], tuple[int, int, int]]

    @classmethod
    def of(cls, concept: str) -> Motion:
        """Return a concept's motion, the same at all times."""
        digits = hashlib.sha256(f"motion {concept}".encode()).digest()
        zoom = ((0.5, 0.5), (0.4, 0.8), (0.8, 0.45), (0.65, 0.65))[digits[1] % 4]
        colours = [tuple(190 + digit % 66 for digit in digits[start : start + 3]) for start in (8, 11)]
        top, bottom = ((red, green, blue) for red, green, blue in colours)
        path = ("across", "down", "round", "still")[digits[0] % 4]
        return cls(path, bool(digits[2] % 2), zoom, (0.0, 10.0, 25.0)[digits[3] % 3], (top, bottom))

    def place(self, time: float) -> tuple[float, float, float, float]:
        """Return where the image is at a time in [0, 1].

        Centre x and y (−1 to 1 over the free room), side (as a share of the frame's) and angle (degrees).
        """
        along = 1 - time if self.backwards else time
        x, y = {
            "across": (2 * along - 1, 0.3 * math.sin(2 * math.pi * along)),
            "down": (0.0, 2 * along - 1),
            "round": (math.cos(2 * math.pi * along), math.sin(2 * math.pi * along)),
            "still": (0.0, 0.0),
        }[self.path]
        side = self.zoom[0] + (self.zoom[1] - self.zoom[0]) * time
        return x, y, side, self.swing * math.sin(2 * math.pi * time)


def draw(image: Image.Image, motion: Motion) -> Iterator[Image.Image]:
    """Yield the frames of a clip, RGB, ``SIZE`` × ``SIZE``."""
    image = image.convert("RGBA")
    shares = np.linspace(0, 1, SIZE)[:, None, None]  # top to bottom
    top, bottom = (np.array(colour, np.float64) for colour in motion.ground)
    ground = np.broadcast_to(np.rint((1 - shares) * top + shares * bottom), (SIZE, SIZE, 3)).astype(np.uint8)
    for index in range(FRAMES):
        x, y, side, angle = motion.place(index / (FRAMES - 1))
        pixels = round(side * SIZE)
        turned = image.resize((pixels, pixels), Image.Resampling.LANCZOS).rotate(
            angle, Image.Resampling.BICUBIC, expand=True
        )
        room = max(0.0, (1 - 2 * _MARGIN) * SIZE - pixels) / 2
        left = round(SIZE / 2 + x * room - turned.width / 2)
        upper = round(SIZE / 2 + y * room - turned.height / 2)
        frame = Image.fromarray(ground).convert("RGBA")
        layer = Image.new("RGBA", frame.size)
        layer.paste(turned, (left, upper))
        yield Image.alpha_composite(frame, layer).convert("RGB")


def clips(vendor: str, wanted: Iterable[str]) -> dict[str, Path]:
    """Return a clip of every concept that ``vendor`` has drawn, encoding those not yet in the cache.

    Args:
        vendor: whose images move; as for :func:`glotclip.data.emoji_images.find`.
        wanted: ids of concepts.

    Raises:
        DataError: if the vendor's images are not found.
        MissingExtraError: if PyAV is not installed and a clip is new.
    """
    found = emoji_images.find(vendor, wanted)
    names = {concept: f"{emoji_images.plain_id(concept)}-{_digest(path)}.mp4" for concept, path in found.items()}

    def encode(concept: str, target: Path) -> None:
        _encode(found[concept], Motion.of(concept), target)

    # Encoding and waiting for the disk to confirm each file overlap.
    return emoji_images.make_once(("clips", vendor), names, encode, workers=4)


def _digest(image: Path) -> str:
    return hashlib.sha256(_VERSION.encode() + image.read_bytes()).hexdigest()[:12]


def _encode(image: Path, motion: Motion, target: Path) -> None:
    av: Any = require("av", extra="video", purpose="encoding emoji in motion")
    try:
        av.codec.Codec("libx264", "w")
        codec, options = "libx264", {"crf": "18", "preset": "veryfast", "threads": "1"}
    except (av.codec.codec.UnknownCodecError, ValueError):
        codec, options = "mpeg4", {"qscale": "3", "threads": "1"}  # every FFmpeg has it
    with Image.open(image) as opened, av.open(str(target), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for frame in draw(opened, motion):
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())


def fluent(wanted: Iterable[str]) -> dict[str, Path]:
    """Return Microsoft's animation of each concept that has one; empty where its packages are not found.

    Looks in each of :func:`glotclip.data.emoji_images.vendor_bases` for
    ``[@lobehub/]fluent-emoji-anim-N/[package/]assets``. About half of the files do not move; they are left out.
    """
    bases = emoji_images.vendor_bases()
    packages = [each for base in bases for name in _FLUENT_FOLDERS for each in sorted(base.glob(name))]
    files: dict[str, Path] = {}
    for package in (*packages, *bases):
        for place in (package / "assets", package / "package" / "assets"):
            for path in sorted(place.glob("*.webp")) if place.is_dir() else []:
                files.setdefault(emoji_images.plain_id(path.stem), path)
    found = {concept: files.get(emoji_images.plain_id(concept)) for concept in wanted}
    return {concept: path for concept, path in found.items() if path is not None and len(webp_gaps(path)) > 1}
