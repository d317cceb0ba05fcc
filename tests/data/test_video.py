from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glotclip.data.video import SampledFrames, Sampling, choose, pool, sample
from glotclip.errors import ConfigError

if TYPE_CHECKING:
    from tests.conftest import Film

SHADES = [place * 10 for place in range(24)]  # two seconds at 12 frames a second


def shades(sampled: SampledFrames[Image.Image]) -> list[int]:
    """Which frame each picked one is: tens of grey, as lossy as the codec."""
    return [round(int(np.asarray(frame.convert("L"))[32, 32]) / 10) for frame in sampled.frames]


def test_a_varying_rate_is_weighted_by_time(tmp_path: Path, film: Film) -> None:
    times = [0, 100, 200, 300, 400, 1900]  # the fifth is on display for 1.5 of 2 seconds
    path = film(tmp_path / "a.mkv", [0, 50, 100, 150, 200, 250], times=times)
    found = sample(path, Sampling(5), lambda frame: frame)
    assert shades(found)[0] in (5, 10) and shades(found)[1:] == [20, 20, 20, 20]
    assert len(found.frames) == len(found.times) == 5
    assert shades(sample(path, Sampling(), lambda frame: frame)) == [
        0,
        5,
        10,
        15,
        20,
        25,
    ]  # fewer frames than places: each once


def test_frames_are_converted_one_by_one(tmp_path: Path, film: Film) -> None:
    path = film(tmp_path / "a.mp4", SHADES)
    found = sample(path, Sampling(3), lambda frame: frame.getpixel((0, 0)))
    assert [type(value) for value in found.frames] == [tuple] * 3


def test_impossible_sampling_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown mode"):
        Sampling(mode="random")  # type: ignore[arg-type]
    for wrong in (Sampling, lambda **_: Sampling(fps=0), lambda **_: Sampling(fps=float("nan"))):
        with pytest.raises(ConfigError, match="cannot pick"):
            wrong(frames=0)


gaps = st.lists(st.floats(0.001, 5), min_size=1, max_size=40)


@given(gaps, st.integers(1, 15), st.sampled_from(["uniform", "fps"]), st.floats(0.1, 30))
def test_what_is_chosen_is_in_order_and_never_too_much(lasting: list[float], n: int, mode: str, fps: float) -> None:
    starts = [3.0 + sum(lasting[:place]) for place in range(len(lasting))]
    end = 3.0 + sum(lasting)
    chosen = choose(starts, end, Sampling(n, mode, fps))  # type: ignore[arg-type]
    assert 1 <= len(chosen) <= n
    assert chosen == sorted(chosen)
    assert chosen[0] >= 0 and chosen[-1] < len(starts)
    if mode == "uniform":
        assert len(chosen) == min(n, len(starts))
    else:
        assert chosen[0] == 0


def test_pooling_is_the_mean_of_directions() -> None:
    frames = np.array([[3, 0, 0], [0, 0.5, 0]], np.float32)
    np.testing.assert_allclose(pool(frames), np.array([1, 1, 0]) / np.sqrt(2), rtol=1e-6)
    np.testing.assert_allclose(pool(frames[:1]), [1, 0, 0])
    assert pool(frames).dtype == np.float32
