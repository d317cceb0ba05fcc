"""Neighbouring frames that look alike are one scene."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glotclip.library.scenes import merge_scenes


def test_a_scene_begins_where_the_picture_changes() -> None:
    a, b = np.eye(4, dtype=np.float32)[:2]
    near = np.array([0.98, 0, 0.199, 0], np.float32)
    times, vectors = merge_scenes([0.0, 1.0, 2.0, 3.0], np.stack([a, near / np.linalg.norm(near), b, a]))
    assert times == [0.0, 2.0, 3.0]  # what comes again later is a scene of its own
    np.testing.assert_allclose(vectors[1:], np.stack([b, a]), atol=1e-6)
    assert 0.98 < vectors[0] @ a < 1


def test_a_picture_stays_what_it_is() -> None:
    one = np.array([[0.6, 0.8]], np.float32)
    times, vectors = merge_scenes([None], one)
    assert times == [None]
    assert vectors is one


@given(st.integers(2, 40), st.integers(0, 100))
def test_scenes_are_ordered_normalised_and_no_more_than_frames(count: int, seed: int) -> None:
    frames = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    times, vectors = merge_scenes([float(each) for each in range(count)], frames)
    assert times[0] == 0.0
    assert times == sorted(set(times))  # type: ignore[type-var]
    assert len(times) == len(vectors) <= count
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
