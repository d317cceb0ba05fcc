"""Frames of a video, picked by presentation timestamp, and the one feature they are pooled into.

Files are read by :mod:`glotclip.data.frame_readers`. At most as many frames are held as are asked for, each as
``convert`` leaves it: a long video takes no more memory than a short one.

Shapes: k ≤ n frames picked, E embedding.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from glotclip.data.frame_readers import VIDEO_SUFFIXES, VideoFileReader, open_frames
from glotclip.data.similarity import normalised
from glotclip.errors import ConfigError, VideoError

Mode = Literal["uniform", "fps"]
Floats = npt.NDArray[np.float32]
Frame = TypeVar("Frame")
SUFFIXES = (*VIDEO_SUFFIXES, ".gif", ".webp", ".apng")
_SAME = 1e-6  # seconds: two times this close are one


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
            raise ConfigError(f"unknown mode {self.mode!r} of picking frames", hint="use 'uniform' or 'fps'")
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
        frames: images, or what ``convert`` made of them; never none.
        times: when each is first on display, seconds after the video's first frame.
        duration: seconds from the first frame to the end of the last, as the frames say.
        notes: what is wrong with the file, in sentences; empty for a sound one.
    """

    frames: tuple[Frame, ...]
    times: tuple[float, ...]
    duration: float
    notes: tuple[str, ...] = ()


def sample(path: str | Path, sampling: Sampling, convert: Callable[[Image.Image], Frame]) -> SampledFrames[Frame]:
    """Pick frames of a video, each converted at once, so that no large frame is kept.

    A file that is damaged behind its beginning gives the frames that could be decoded, and a note.

    Args:
        path: the file.
        sampling: which frames; a video with fewer gives each of its frames once.
        convert: takes an upright Pillow image of full size, RGB (animated images: RGBA).

    Raises:
        VideoError: if the file cannot be opened, has no video stream, or no frame of it can be decoded.
        MissingExtraError: if PyAV is not installed.
    """
    path = Path(path)
    if path.exists() and not path.is_file():  # opening a pipe would wait for its other end for ever
        raise VideoError(f"{path} is not a regular file", hint="give the file of a video")
    reader = open_frames(path)
    chosen = choose(reader.starts, reader.end, sampling)
    picked = [(time, convert(image)) for time, image in reader.pick(chosen)]
    if not picked:
        raise VideoError(f"{path} has no frame that can be decoded", hint="fetch or convert it again")
    notes = reader.notes
    if reader.damaged or len(picked) < len(chosen):
        notes = (*notes, f"it is damaged: {len(picked)} of {len(chosen)} frames could be picked")
    first = reader.starts[0]
    times = tuple(time - first for time, _ in picked)
    return SampledFrames(tuple(frame for _, frame in picked), times, reader.end - first, notes)


def sample_scenes(
    reader: VideoFileReader,
    convert: Callable[[Image.Image], Frame],
    *,
    most: int = 96,
    gap: float = 10.0,
    every: float = 4.0,
) -> list[tuple[float, Frame]]:
    """Take frames from all over a video, cheaply: key frames, which encoders put at changes of scene.

    Where key frames are more than ``gap`` seconds apart, or cannot be decoded, frames at equal distances are decoded.

    Args:
        reader: the opened file.
        convert: as in :func:`sample`.
        most: how many frames at most; of more key frames every n-th is taken.
        gap: seconds.
        every: seconds between frames where key frames do not do.

    Returns:
        Seconds after the first frame, and the frame; at least one.

    Raises:
        VideoError: if no frame can be decoded.
    """
    first, keys = reader.starts[0], reader.keys
    times = [reader.starts[index] for index in keys]
    picked: list[tuple[float, Frame]] = []
    if keys and max(b - a for a, b in zip([first, *times], [*times, reader.end], strict=True)) <= gap:
        chosen = [keys[place] for place in np.unique(np.linspace(0, len(keys) - 1, min(len(keys), most)).astype(int))]
        picked = [(time - first, convert(image)) for time, image in reader.pick_keys(chosen)]
    if not picked:
        frames = max(1, min(most, math.ceil((reader.end - first) / every)))
        indices = choose(reader.starts, reader.end, Sampling(frames))
        picked = [(time - first, convert(image)) for time, image in reader.pick(indices)]
    if not picked:
        raise VideoError("no frame of the video can be decoded", hint="fetch or convert it again")
    return picked


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
    mean = normalised(np.asarray(features, np.float32)).mean(axis=0)
    return normalised(mean)


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
    encoded = [encode(np.stack(frames[start : start + batch])) for start in range(0, len(frames), batch)]
    ends = np.cumsum([len(clip) for clip in clips])
    return np.stack([pool(own) for own in np.split(np.concatenate(encoded), ends[:-1])])
