"""Frames of video files, through PyAV, by presentation timestamp.

A file is gone through twice: once for the timestamps alone, which needs no decoding, and once for the frames, in
order, since seeking to each of a dozen frames costs more than decoding a short clip. What the header claims of
duration and frame rate is never trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL import Image

from glotclip.errors import VideoError, require

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".wmv", ".flv", ".3gp"),
    ".ogv",
)
_DEFAULT_GAP = 0.04  # seconds a frame lasts if nothing tells
_MOST = 0.9  # share of the packets that must say their time
_TOLERANCE, _TOLERANCE_SHARE = 0.5, 0.1  # seconds, and share, by which a header may be wrong unmentioned
_MICRO = 1_000_000  # container durations are in microseconds
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


class StreamReel:
    """The first video stream of a file as a :class:`glotclip.data.video.Reel`. Frames are upright RGB."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._av: Any = require("av", extra="video", purpose="reading videos")
        with self._opened() as (container, stream):
            self._timeline = _timeline(self._av, container, stream)
        if not self._timeline.stamps:
            raise VideoError(f"{path} holds no video frames", hint="leave it out, or fetch it again")
        self.starts = self._timeline.starts
        self.end = self._timeline.end
        self.notes = self._timeline.notes
        self.damaged = False

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

    ``counted``: the file tells no times, and stamps are the frames' numbers.
    """

    stamps: Sequence[int]
    tick: Fraction
    end: float
    counted: bool
    notes: tuple[str, ...]

    @property
    def starts(self) -> list[float]:
        return [float(stamp * self.tick) for stamp in self.stamps]


def _timeline(av: Any, container: Any, stream: Any) -> _Timeline:
    """Read the timestamps of all frames from their packets; nothing is decoded."""
    lasting: dict[int, int] = {}  # stamp → duration, 0 where unknown
    packets, notes = 0, []
    try:
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard:  # the end of the stream; what an edit list cuts off
                continue
            packets += 1
            if packet.pts is not None:
                lasting[packet.pts] = packet.duration or 0
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
    return _Timeline(stamps, tick, end, counted, tuple(notes))


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
