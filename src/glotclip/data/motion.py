"""A small set of videos that needs no download of its own: emoji in motion, named in many languages.

Two sources. Where npm's ``@lobehub/fluent-emoji-anim-1`` to ``-4`` (Microsoft's Fluent Emoji, animated WebP, MIT) lie
unpacked, those are taken. Otherwise clips are made on the spot from an artist's pictures: each moves, turns or
zooms over a coloured ground, how depending on nothing but the concept, and is encoded once into the cache.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from glotclip.data import emoji, pictures
from glotclip.data.animation import webp_gaps
from glotclip.data.benchmark import Benchmark
from glotclip.data.schema import Caption, Corpus, Row, SkippedItem
from glotclip.data.video import Sampling
from glotclip.errors import DataError, StorageError, require
from glotclip.languages import normalise_all
from glotclip.storage import cache_folder, cache_root, writing

NAME = "emoji-video"
FLUENT = "fluent"
FLUENT_LICENCE = "Fluent Emoji: MIT"
COUNT = 200  # concepts; all 1,644 would take minutes to encode and to score
SIZE, RATE, FRAMES = 128, 8, 16  # pixels, frames a second, frames
SAMPLING = Sampling(8)  # of a clip of two seconds
_VERSION = "1"  # raise it when the same picture would give another clip
_LOCK_SECONDS = 600.0
_MARGIN = 0.06  # of the frame, kept free on all sides
_FLUENT_FOLDERS = ("fluent-emoji-anim-*", "@lobehub/fluent-emoji-anim-*", "lobehub-fluent-emoji-anim-*")
Progress = Callable[[int, int], None]


def concepts() -> list[str]:
    """Return all concepts in a fixed order in which each beginning is a fair sample."""
    return sorted(emoji.concepts(), key=lambda concept: hashlib.sha256(concept.encode()).digest())


@dataclass(frozen=True, slots=True)
class Motion:
    """How one concept's picture moves.

    Attributes:
        path: ``across``, ``down``, ``round`` or ``still``.
        backwards: whether the path is gone the other way.
        zoom: the picture's side at the beginning and the end, as a share of the frame's.
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
        """Return where the picture is at a time in [0, 1].

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


def draw(picture: Image.Image, motion: Motion) -> Iterator[Image.Image]:
    """Yield the frames of a clip, RGB, ``SIZE`` × ``SIZE``."""
    picture = picture.convert("RGBA")
    shares = np.linspace(0, 1, SIZE)[:, None, None]  # top to bottom
    top, bottom = (np.array(colour, np.float64) for colour in motion.ground)
    ground = np.broadcast_to(np.rint((1 - shares) * top + shares * bottom), (SIZE, SIZE, 3)).astype(np.uint8)
    for index in range(FRAMES):
        x, y, side, angle = motion.place(index / (FRAMES - 1))
        pixels = round(side * SIZE)
        turned = picture.resize((pixels, pixels), Image.Resampling.LANCZOS).rotate(
            angle, Image.Resampling.BICUBIC, expand=True
        )
        room = max(0.0, (1 - 2 * _MARGIN) * SIZE - pixels) / 2
        left = round(SIZE / 2 + x * room - turned.width / 2)
        upper = round(SIZE / 2 + y * room - turned.height / 2)
        frame = Image.fromarray(ground).convert("RGBA")
        layer = Image.new("RGBA", frame.size)
        layer.paste(turned, (left, upper))
        yield Image.alpha_composite(frame, layer).convert("RGB")


def clips(
    vendor: str, wanted: Iterable[str], *, folder: Path | None = None, progress: Progress | None = None
) -> dict[str, Path]:
    """Return a clip of every concept that ``vendor`` has drawn, encoding those not yet in the cache.

    Args:
        vendor: whose pictures move; as for :func:`glotclip.data.pictures.find`.
        wanted: ids of concepts.
        folder: where vendor folders lie.
        progress: called with (done, total) over the clips that are new.

    Raises:
        DataError: if the vendor's pictures are not found.
        MissingExtraError: if PyAV is not installed and a clip is new.
    """
    found = pictures.find(vendor, wanted, folder=folder)
    names = {concept: f"{pictures.plain_id(concept)}-{_digest(path)}.mp4" for concept, path in found.items()}
    made = {concept: cache_root() / "clips" / vendor / name for concept, name in names.items()}
    if all(os.path.isfile(path) for path in made.values()):  # noqa: PTH113 -- Path.is_file raises without permission
        return made
    place = cache_folder("clips", vendor)
    made = {concept: place / name for concept, name in names.items()}
    av: Any = require("av", extra="video", purpose="encoding emoji in motion")
    import filelock

    try:
        with filelock.FileLock(place / "lock", timeout=_LOCK_SECONDS):
            todo = [concept for concept, path in made.items() if not path.is_file()]
            # Encoding and waiting for the disk to confirm each file overlap.
            with ThreadPoolExecutor(max_workers=4) as pool:
                running = pool.map(
                    lambda concept: _encode(av, found[concept], Motion.of(concept), made[concept]), todo
                )
                for done, _ in enumerate(running, start=1):
                    if progress:
                        progress(done, len(todo))
    except filelock.Timeout as error:
        raise StorageError(
            f"another process has been encoding into {place} for {_LOCK_SECONDS:.0f} s",
            hint="wait for it to end, or set GLOTCLIP_CACHE to another folder",
        ) from error
    return made


def _digest(picture: Path) -> str:
    return hashlib.sha256(_VERSION.encode() + picture.read_bytes()).hexdigest()[:12]


def _encode(av: Any, picture: Path, motion: Motion, target: Path) -> None:
    try:
        av.codec.Codec("libx264", "w")
        codec, options = "libx264", {"crf": "18", "preset": "veryfast", "threads": "1"}
    except (av.codec.codec.UnknownCodecError, ValueError):
        codec, options = "mpeg4", {"qscale": "3", "threads": "1"}  # every FFmpeg has it
    with Image.open(picture) as opened, writing(target) as aside, av.open(str(aside), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for frame in draw(opened, motion):
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())


def fluent(wanted: Iterable[str], folder: Path | None = None) -> dict[str, Path]:
    """Return Microsoft's animation of each concept that has one; empty where its packages are not found.

    Looks in ``folder`` if it is given, else in each folder of ``$GLOTCLIP_EMOJI_VENDORS`` and in glotclip's cache,
    for ``[@lobehub/]fluent-emoji-anim-N/[package/]assets``. About half of the files do not move; they are left out.
    """
    named = os.environ.get("GLOTCLIP_EMOJI_VENDORS", "")
    bases = [folder] if folder else [*map(Path, filter(None, named.split(os.pathsep))), cache_root() / "data"]
    packages = [each for base in bases for name in _FLUENT_FOLDERS for each in sorted(base.glob(name))]
    files: dict[str, Path] = {}
    for package in (*packages, *bases):
        for place in (package / "assets", package / "package" / "assets"):
            for path in sorted(place.glob("*.webp")) if place.is_dir() else []:
                files.setdefault(pictures.plain_id(path.stem), path)
    found = {concept: files[pictures.plain_id(concept)] for concept in wanted if pictures.plain_id(concept) in files}
    return {concept: path for concept, path in found.items() if len(webp_gaps(path)) > 1}


def load(langs: Iterable[str], *, cldr: Path | None = None, progress: Progress | None = None) -> Corpus:
    """Return one row a concept and language: its name, its English name, a clip, its split.

    The clips are of pictures by the artists that are trained on, alternating as in :func:`glotclip.data.emoji.load`.

    Args:
        langs: BCP-47 codes.
        cldr: the folder of CLDR's annotations.
        progress: called with (done, total) while clips are encoded, which happens once.
    """
    chosen = concepts()[:COUNT]
    vendors = emoji.TRAINING_VENDORS
    made = [clips(vendor, chosen, progress=progress) for vendor in vendors]
    english = emoji.texts("en", cldr)
    rows: list[Row] = []
    bad: list[SkippedItem] = []
    for lang_place, code in enumerate(normalise_all(langs)):
        named = emoji.texts(code, cldr)
        for place, concept in enumerate(chosen):
            video = made[(place + lang_place) % len(made)].get(concept)
            if concept not in named or video is None:
                what = "name" if concept not in named else "picture"
                bad.append(SkippedItem(f"{NAME} {concept}", None, f"it has no {what} for {code}"))
                continue
            name = english[concept].name if concept in english and code != "en" else None
            split = emoji.concepts()[concept]
            rows.append(Row(named[concept].name, code, None, video, english=name, split=split, group=concept))
    return Corpus(NAME, tuple(rows), tuple(bad), licence=emoji.licence(vendors, cldr), sampling=SAMPLING)


def benchmark(
    langs: Sequence[str],
    *,
    vendor: str = "auto",
    cldr: Path | None = None,
    folder: Path | None = None,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Benchmark:
    """Return the retrieval task: gallery = 200 concepts in motion, queries = their names.

    Args:
        langs: BCP-47 codes.
        vendor: ``fluent``: Microsoft's animations; or whose pictures are set in motion. ``auto``: the first that is
            found of Fluent, Google's pictures (never trained on) and twemoji's (trained on as pictures).
        cldr: the folder of CLDR's annotations.
        folder: where vendors' folders lie.
        sampling: which frames stand for a video; by default :data:`SAMPLING`.
        progress: called with (done, total) while clips are encoded, which happens once.

    Raises:
        DataError: if the vendor is not found.
        LanguageError: if a language has no names.
    """
    codes = normalise_all(langs)
    animated = fluent(concepts(), folder) if vendor in (FLUENT, "auto") else {}
    if vendor == FLUENT and not animated:
        raise DataError(
            "no animations of Fluent Emoji found",
            hint="unpack npm's @lobehub/fluent-emoji-anim-1 (and -2, -3, -4) and name the folder around it in "
            "$GLOTCLIP_EMOJI_VENDORS",
        )
    if vendor == "auto":
        still = emoji.HELD_OUT if pictures.vendor_folder(emoji.HELD_OUT, folder) else emoji.TRAINING_VENDORS[0]
        vendor = FLUENT if animated else still
    if vendor == FLUENT:
        gallery = list(animated)[:COUNT]
        files, licence = animated, f"{emoji.licence((), cldr)}; {FLUENT_LICENCE}"
    else:
        files = clips(vendor, concepts()[:COUNT], folder=folder, progress=progress)
        gallery, licence = list(files), emoji.licence((vendor,), cldr)
    captions = {
        code: [Caption(named[concept].name, place) for place, concept in enumerate(gallery) if concept in named]
        for code, named in ((code, emoji.texts(code, cldr)) for code in codes)
    }
    splits = np.array([emoji.concepts()[concept] for concept in gallery])
    picks = sampling or SAMPLING
    return Benchmark(
        name=f"{NAME}-{vendor}",
        images=tuple(files[concept] for concept in gallery),
        captions=captions,
        subsets={"seen": splits == "train", "unseen": splits == "test"},
        protocol=_protocol(vendor, len(gallery), picks),
        licence=licence,
        sampling=picks,
    )


def _protocol(vendor: str, size: int, sampling: Sampling) -> str:
    if vendor == FLUENT:
        source = "Microsoft's animated Fluent Emoji, never trained on"
    else:
        trained = "also trained on" if vendor in emoji.TRAINING_VENDORS else "never trained on"
        source = f"pictures by {vendor} ({trained}) set in motion"
    return (
        f"gallery: {size} videos of emoji, {source}; a video is the mean of its frames: {sampling}; queries: the "
        "concepts' names; subsets by the concept's split: seen = train, unseen = test"
    )
