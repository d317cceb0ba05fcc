"""Frames of a video by presentation timestamp: of video files through PyAV, of animated images through Pillow.

A video file is gone through twice: once for the timestamps alone, which needs no decoding, and once for the frames,
in order, since seeking to each of a dozen frames costs more than decoding a short clip. What the header claims of
duration and frame rate is never trusted. Animated images (WebP, GIF, PNG) are read with Pillow, since FFmpeg drops
their transparency, or them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from glotclip import image_formats
from glotclip.errors import VideoError, require

#: Suffixes of files that PyAV reads as videos.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".wmv", ".flv", ".3gp"),
    ".ogv",
)
_ANIMATED = (".gif", ".webp", ".apng", ".png")
_DEFAULT_GAP = 0.04  # seconds a frame lasts if nothing tells
_MOST = 0.9  # share of the packets that must say their time
_TOLERANCE, _TOLERANCE_SHARE = 0.5, 0.1  # seconds, and share, by which a header may be wrong unmentioned
_MICRO = 1_000_000  # container durations are in microseconds
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
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


class FrameReader(Protocol):
    """An opened video: when its frames are on display, and how to get some of them.

    Attributes:
        starts: when each frame comes on display, seconds, strictly ascending, at least one.
        end: when the last one goes.
        notes: what is wrong with the file.
        damaged: whether something could not be decoded so far.
    """

    starts: list[float]
    end: float
    notes: tuple[str, ...]
    damaged: bool

    def pick(self, chosen: Sequence[int]) -> Iterator[tuple[float, Image.Image]]:
        """Yield time and frame of the ascending indices; fewer, where frames cannot be decoded."""
        ...


def open_frames(path: Path) -> FrameReader:
    """Open a video file or an animated image, by its suffix.

    Raises:
        VideoError: if it cannot be opened or has no video stream.
        MissingExtraError: if PyAV is needed and not installed.
    """
    return AnimationReader(path) if path.suffix.lower() in _ANIMATED else VideoFileReader(path)


class VideoFileReader:
    """The first video stream of a file as a :class:`FrameReader`. Frames are upright RGB."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._av: Any = require("av", extra="video", purpose="reading videos")
        with self._opened() as (container, stream):
            self._timeline = _timeline(self._av, container, stream)
            #: What container and stream say of themselves, such as where and when they were recorded.
            self.tags: dict[str, str] = {**dict(stream.metadata), **dict(container.metadata)}
        if not self._timeline.stamps:
            raise VideoError(f"{path} holds no video frames", hint="leave it out, or fetch it again")
        self.starts = self._timeline.starts
        self.end = self._timeline.end
        self.notes = self._timeline.notes
        self.damaged = False

    @property
    def keys(self) -> list[int]:
        """The indices of the key frames, which can be decoded without any other."""
        known = set(self._timeline.keys)
        return [index for index, stamp in enumerate(self._timeline.stamps) if stamp in known]

    def pick_keys(self, chosen: Sequence[int]) -> Iterator[tuple[float, Image.Image]]:
        """Yield time and frame of key frames, ascending; nothing else is decoded, and what is broken left out."""
        wanted = {self._timeline.stamps[index] for index in chosen}
        with self._opened() as (container, stream):
            stream.codec_context.skip_frame = "NONKEY"
            for stamp, frame in self._decoded(container, stream):
                if stamp in wanted:
                    yield float(stamp * self._timeline.tick), _upright(frame)

    def pick(self, chosen: Sequence[int]) -> Iterator[tuple[float, Image.Image]]:
        """Yield time and frame of each index; decoding stops behind the last.

        In place of frames that cannot be decoded comes the next one that can, once for all of them.
        """
        wanted = [self._timeline.stamps[index] for index in chosen]
        place = 0
        with self._opened() as (container, stream):
            for stamp, frame in self._decoded(container, stream):
                start = place
                while place < len(wanted) and wanted[place] <= stamp:
                    place += 1
                exact = sum(each == stamp for each in wanted[start:place])
                if place > start:
                    image = _upright(frame)
                    yield from [(float(stamp * self._timeline.tick), image)] * max(exact, 1)
                if place == len(wanted):
                    return

    def _decoded(self, container: Any, stream: Any) -> Iterator[tuple[int, Any]]:
        """Yield all frames that can be decoded, in order of display, each with its stamp."""
        number = 0
        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except self._av.FFmpegError:  # the timeline has noted where the file breaks off
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except self._av.FFmpegError:
                self.damaged = True
                continue
            for frame in frames:
                if self._timeline.counted or frame.pts is not None:
                    yield number if self._timeline.counted else frame.pts, frame
                number += 1

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        """Yield container and video stream; whatever FFmpeg complains of becomes a :class:`VideoError`."""
        path, av = self._path, self._av
        try:
            # "file:" and the whitelist: a name with a colon is no protocol, and a playlist fetches nothing.
            options = {"protocol_whitelist": "file"}
            with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
                for stream in container.streams.video:
                    if not stream.disposition & type(stream.disposition).attached_pic:  # an album's cover
                        yield container, stream
                        return
            raise VideoError(f"{path} has no video stream", hint="leave it out: it holds sound or subtitles alone")
        except FileNotFoundError as error:
            raise VideoError(f"{path} does not exist", hint="check the path") from error
        except av.FFmpegError as error:
            raise VideoError(
                f"{path} is not a video that can be read ({error.strerror or error})",
                hint="fetch or convert it again",
            ) from error


@dataclass(frozen=True, slots=True)
class _Timeline:
    """When each frame is on display: ``stamps`` ascending, in units of ``tick`` seconds; ``end`` in seconds.

    ``counted``: the file tells no times, and stamps are the frames' numbers. ``keys``: the stamps of key frames, if
    stamps are times.
    """

    stamps: Sequence[int]
    tick: Fraction
    end: float
    counted: bool
    notes: tuple[str, ...]
    keys: Sequence[int] = ()

    @property
    def starts(self) -> list[float]:
        return [float(stamp * self.tick) for stamp in self.stamps]


def _timeline(av: Any, container: Any, stream: Any) -> _Timeline:
    """Read the timestamps of all frames from their packets; nothing is decoded."""
    lasting: dict[int, int] = {}  # stamp → duration, 0 where unknown
    packets, notes = 0, []
    keys: list[int] = []
    try:
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard:  # the end of the stream; what an edit list cuts off
                continue
            packets += 1
            if packet.pts is not None:
                lasting[packet.pts] = packet.duration or 0
                if packet.is_keyframe:
                    keys.append(packet.pts)
    except av.FFmpegError as error:
        notes.append(f"it breaks off ({error.strerror or error})")
    stamps, tick = sorted(lasting), Fraction(stream.time_base or Fraction(1, 1000))
    # AVI has a constant rate and no timestamps; what is shown as such is in decoding order.
    counted = container.format.name == "avi" or len(stamps) < _MOST * packets
    if counted:
        stamps, tick = list(range(packets)), 1 / Fraction(stream.average_rate or 25)
    if not stamps:
        return _Timeline((), tick, 0.0, counted, tuple(notes))
    gap = float((stamps[-1] - stamps[0]) * tick) / (len(stamps) - 1) if len(stamps) > 1 else _DEFAULT_GAP
    end = float(stamps[-1] * tick) + (float(tick * (1 if counted else lasting[stamps[-1]])) or gap)
    length = end - float(stamps[0] * tick)
    claimed = _claimed_duration(container, stream)
    if claimed is not None and abs(claimed - length) > max(_TOLERANCE, _TOLERANCE_SHARE * length):
        notes.append(f"its header says {claimed:.1f} s, its frames last {length:.1f} s")
    return _Timeline(stamps, tick, end, counted, tuple(notes), () if counted else sorted(keys))


def _claimed_duration(container: Any, stream: Any) -> float | None:
    """Return the duration in the header, seconds, if there is one for the video stream."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    if container.duration and len(container.streams) == 1:  # that of several is the longest one's
        return float(container.duration) / _MICRO
    return None


def _upright(frame: Any) -> Image.Image:
    """Return a decoded frame as RGB, turned as its display matrix says."""
    image: Image.Image = frame.to_image()
    turn = _TURNS.get(frame.rotation % 360)
    return image if turn is None else image.transpose(turn)


class AnimationReader:
    """An animated image as a :class:`FrameReader`; a still one has one frame. Frames are RGBA."""

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
    """Turn whatever Pillow raises for an unreadable image into :class:`VideoError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise VideoError(f"{path} does not exist", hint="check the path") from error
    except _DAMAGE as error:
        raise VideoError(f"{path} is not an image that can be read ({error})", hint="leave it out") from error


def _gaps(path: Path) -> list[int]:
    """Return how long each frame of an animated image is on display, milliseconds, 0 where it does not say."""
    if path.suffix.lower() == ".webp" and (gaps := webp_gaps(path)):
        return gaps
    with Image.open(path, formats=image_formats.decodable()) as image:
        gaps = []
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            gaps.append(int(image.info.get("duration", 0)))
    return gaps


def webp_gaps(path: Path) -> list[int]:
    """Return the same for a WebP file without decoding it, from its ``ANMF`` chunks; empty for a still image."""
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
