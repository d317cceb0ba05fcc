"""Frames of a video, picked by presentation timestamp, and the one feature they are pooled into.

A file is gone through twice: once for the timestamps alone, which needs no decoding, and once for the frames, in
order, since seeking to each of a dozen frames costs more than decoding a short clip. What the header claims of
duration and frame rate is never trusted. At most ``frames`` frames are held, each as ``convert`` leaves it.

Animated pictures (WebP, GIF, PNG) are videos too; Pillow reads them, because FFmpeg drops their transparency.

Shapes: k ≤ n frames picked, E embedding.
"""

from __future__ import annotations

import bisect
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from glotclip.errors import ConfigError, VideoError, require

Mode = Literal["uniform", "fps"]
Floats = npt.NDArray[np.float32]
Frame = TypeVar("Frame")
SUFFIXES = (
    *(
        ".mp4",
        ".m4v",
        ".mov",
        ".webm",
        ".mkv",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
    ),
    *(".gif", ".webp", ".apng"),
)
ANIMATED = (".gif", ".webp", ".apng", ".png")
_SAME = 1e-6  # seconds: two times this close are one
_DEFAULT_GAP = 0.04  # seconds a frame lasts if nothing tells
_MOST = 0.9  # share of the packets that must say their time
_TOLERANCE, _TOLERANCE_SHARE = 0.5, 0.1  # seconds, and share, by which a header may be wrong unmentioned
_MICRO = 1_000_000  # container durations are in microseconds
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
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
_BROWSER_GAP = 100  # milliseconds that browsers give an animated picture's frame of duration 0


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which frames stand for a video.

    Attributes:
        frames: how many at most, n.
        mode: ``uniform``: those on display at the mid-points of n equal segments; ``fps``: those on display at
            0, 1/fps, 2/fps, … seconds, thinned to n evenly if there are more (CLIP4Clip, MLA: 1 fps, 12 frames).
        fps: frames a second in mode ``fps``.
    """

    frames: int = 12
    mode: Mode = "uniform"
    fps: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in ("uniform", "fps"):
            raise ConfigError(f"unknown way {self.mode!r} to pick frames", hint="use 'uniform' or 'fps'")
        if self.frames < 1 or not (math.isfinite(self.fps) and self.fps > 0):
            raise ConfigError(
                f"cannot pick {self.frames} frames at {self.fps} a second", hint="both must be positive"
            )

    def __str__(self) -> str:
        if self.mode == "fps":
            return f"{self.fps:g} frame{'' if self.fps == 1 else 's'} a second, at most {self.frames}"
        return f"{self.frames} frames at the mid-points of equal segments"


@dataclass(frozen=True, slots=True)
class SampledFrames(Generic[Frame]):
    """The k frames picked, in order.

    Attributes:
        frames: pictures, or what ``convert`` made of them; never none.
        times: when each is first on display, seconds after the video's first frame.
        duration: seconds from the first frame to the end of the last, as the frames say.
        notes: what was odd about the file, in sentences; empty for a sound one.
    """

    frames: tuple[Frame, ...]
    times: tuple[float, ...]
    duration: float
    notes: tuple[str, ...] = ()


def sample_frames(
    path: str | Path, n: int = 12, mode: Mode = "uniform", fps: float = 1.0
) -> SampledFrames[Image.Image]:
    """Pick frames of a video as upright RGB (animated pictures: RGBA) Pillow images of full size.

    Args:
        path: the file.
        n: how many frames at most; a video with fewer gives each of its frames once.
        mode: ``uniform`` or ``fps``, see :class:`Sampling`.
        fps: frames a second in mode ``fps``.

    Raises:
        ConfigError: for an impossible sampling.
        VideoError: if the file cannot be opened, has no video stream, or no frame of it can be decoded.
        MissingExtraError: if PyAV is not installed.
    """
    return sample(path, Sampling(n, mode, fps), lambda frame: frame)


def sample(path: str | Path, sampling: Sampling, convert: Callable[[Image.Image], Frame]) -> SampledFrames[Frame]:
    """Pick frames as :func:`sample_frames` does, each converted at once, so that no large frame is kept.

    A file that is damaged behind its beginning gives the frames that could be decoded, and a note.
    """
    path = Path(path)
    if path.suffix.lower() in ANIMATED:
        return _sample_animated(path, sampling, convert)
    return _sample_stream(path, sampling, convert)


def choose(starts: Sequence[float], end: float, sampling: Sampling) -> list[int]:
    """Return the indices of the frames that stand for a video, ascending.

    A frame on display at several of the sampling times is there as often, so that in a video of varying frame
    rate the mean over frames is one over time. With no more frames than places, ``uniform`` takes each once.

    Args:
        starts: when each frame comes on display, seconds, strictly ascending, at least one.
        end: when the last one goes, after ``starts[-1]``.
        sampling: how many and where.
    """
    first, length = starts[0], end - starts[0]
    if sampling.mode == "uniform":
        if len(starts) <= sampling.frames:
            return list(range(len(starts)))
        times = [first + (place + 0.5) * length / sampling.frames for place in range(sampling.frames)]
    else:
        count = max(1, math.ceil((length - _SAME) * sampling.fps))
        # The same as listing every time and thinning the list, without the list.
        ticks = np.linspace(0, count - 1, min(count, sampling.frames), dtype=np.int64)
        times = [first + int(tick) / sampling.fps for tick in ticks]
    return [max(0, bisect.bisect_right(starts, time + _SAME) - 1) for time in times]


def pool(features: Floats) -> Floats:
    """Return the video's feature (E,): the normalised mean of the normalised frame features (k, E).

    v = normalise(Σ_t f_t / k), f_t = normalise(f(frame_t)): CLIP4Clip's parameter-free "meanP", as in MLA. Absent
    frames are no rows, which is what its mask does.
    """
    mean = _normalised(np.asarray(features, np.float32)).mean(axis=0)
    return _normalised(mean)


def pool_clips(clips: Sequence[Sequence[Floats]], encode: Callable[[Floats], Floats], *, batch: int = 64) -> Floats:
    """Encode the frames of several videos in full batches, and pool each video's.

    Args:
        clips: pixels float32 (3, H, W) of the frames of each video, at least one a video.
        encode: pixels (b, 3, H, W), b ≤ ``batch`` → features (b, E).
        batch: how many frames are encoded at once.

    Returns:
        float32 (len(clips), E), normalised.
    """
    frames = [frame for clip in clips for frame in clip]
    parts = [encode(np.stack(frames[start : start + batch])) for start in range(0, len(frames), batch)]
    ends = np.cumsum([len(clip) for clip in clips])
    return np.stack([pool(part) for part in np.split(np.concatenate(parts), ends[:-1])])


def _normalised(features: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(features, axis=-1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, np.float32(1e-12)), np.float32)


def _sample_stream(path: Path, sampling: Sampling, convert: Callable[[Image.Image], Frame]) -> SampledFrames[Frame]:
    """Pick frames of a file that FFmpeg reads."""
    av: Any = require("av", extra="video", purpose="reading videos")
    try:
        with _opened(av, path) as container:
            timeline = _timeline(av, container, _video_stream(container, path))
        if not timeline.stamps:
            raise VideoError(f"{path} holds no video frames", hint="leave it out, or fetch it again")
        starts = timeline.starts
        wanted = [timeline.stamps[index] for index in choose(starts, timeline.end, sampling)]
        lost = _Losses()
        with _opened(av, path) as container:
            decoded = _decoded(av, container, _video_stream(container, path), timeline.counted, lost)
            picked = [(stamp, convert(_upright(frame))) for stamp, frame in _picked(decoded, wanted)]
    except FileNotFoundError as error:
        raise VideoError(f"{path} does not exist", hint="check the path") from error
    except av.FFmpegError as error:
        raise VideoError(
            f"{path} is not a video that can be read ({error.strerror or error})", hint="fetch or convert it again"
        ) from error
    if not picked:
        raise VideoError(f"{path} has no frame that can be decoded", hint="fetch or convert it again")
    notes = list(timeline.notes)
    if lost.count or len(picked) < len(wanted):
        notes.append(f"it is damaged: {len(picked)} of {len(wanted)} frames could be picked")
    times = tuple(float(stamp * timeline.tick) - starts[0] for stamp, _ in picked)
    return SampledFrames(tuple(frame for _, frame in picked), times, timeline.end - starts[0], tuple(notes))


def _opened(av: Any, path: Path) -> Any:
    # "file:" and the whitelist: a name with a colon is no protocol, and a playlist fetches nothing.
    return av.open(f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="replace")


def _video_stream(container: Any, path: Path) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & type(stream.disposition).attached_pic:  # an album's cover
            return stream
    raise VideoError(f"{path} has no video stream", hint="leave it out: it holds sound or subtitles alone")


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


@dataclass(slots=True)
class _Losses:
    """How many packets could not be decoded."""

    count: int = 0


def _decoded(av: Any, container: Any, stream: Any, counted: bool, lost: _Losses) -> Iterator[tuple[int, Any]]:
    """Yield all frames that can be decoded, in order of display, each with its stamp."""
    number = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the timeline has noted where the file breaks off
            lost.count += 1
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            lost.count += 1
            continue
        for frame in frames:
            if counted or frame.pts is not None:
                yield number if counted else frame.pts, frame
            number += 1


def _picked(decoded: Iterator[tuple[int, Any]], wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Yield the wanted frames, one as often as it is wanted; stops decoding behind the last.

    In place of frames that are lost comes the next one that is not, once for all of them.
    """
    place = 0
    for stamp, frame in decoded:
        start = place
        while place < len(wanted) and wanted[place] <= stamp:
            place += 1
        exact = sum(each == stamp for each in wanted[start:place])
        for _ in range(max(exact, int(place > start))):
            yield stamp, frame
        if place == len(wanted):
            return


def _upright(frame: Any) -> Image.Image:
    """Return a decoded frame as RGB, turned as its display matrix says."""
    image: Image.Image = frame.to_image()
    turn = _TURNS.get(frame.rotation % 360)
    return image if turn is None else image.transpose(turn)


def _sample_animated(path: Path, sampling: Sampling, convert: Callable[[Image.Image], Frame]) -> SampledFrames[Frame]:
    """Pick frames of an animated picture; a still one is a video of one frame."""
    with _readable(path):
        lasting = [(each or _BROWSER_GAP) / 1000 for each in _animation_gaps(path)]
    *starts, end = accumulate(lasting, initial=0.0)
    chosen = choose(starts, end, sampling)
    frames = tuple(convert(image) for image in _animated_frames(path, chosen))
    if not frames:
        raise VideoError(f"{path} has no frame that can be decoded", hint="fetch or convert it again")
    whole = len(frames) == len(chosen)
    notes = () if whole else (f"it is damaged: {len(frames)} of {len(chosen)} frames could be picked",)
    return SampledFrames(frames, tuple(starts[index] for index in chosen[: len(frames)]), end, notes)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever Pillow raises for an unreadable picture into :class:`VideoError`."""
    try:
        yield
    except FileNotFoundError as error:
        raise VideoError(f"{path} does not exist", hint="check the path") from error
    except _DAMAGE as error:
        raise VideoError(f"{path} is not a picture that can be read ({error})", hint="leave it out") from error


def _animated_frames(path: Path, chosen: Sequence[int]) -> Iterator[Image.Image]:
    """Yield frames up to the first that cannot be decoded."""
    with ExitStack() as stack:
        with _readable(path):
            image = stack.enter_context(Image.open(path))
        for index in chosen:
            try:
                image.seek(index)
                frame = image.convert("RGBA")
            except _DAMAGE:
                return
            yield frame


def _animation_gaps(path: Path) -> list[int]:
    """Return how long each frame of an animated picture is on display, milliseconds, 0 where it does not say."""
    if path.suffix.lower() == ".webp" and (gaps := webp_gaps(path)):
        return gaps
    with Image.open(path) as image:
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
