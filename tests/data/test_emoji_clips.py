"""Emoji in motion: clips from images, Fluent's animations, and the benchmark made of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glotclip.data import emoji, emoji_clips, emoji_images
from glotclip.data.emoji_clips import Motion
from glotclip.data.video import Sampling, sample


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three concepts instead of 200."""
    monkeypatch.setattr(emoji_clips, "COUNT", 3)
    return emoji_clips.concepts()[:3]


def test_the_order_is_fixed_and_fair() -> None:
    order = emoji_clips.concepts()
    assert sorted(order) == sorted(emoji.concepts())
    assert order[:3] == ["2650", "1f982", "1f642"]  # figures are only comparable while this holds
    splits = [emoji.concepts()[concept] for concept in order[: emoji_clips.COUNT]]
    assert 0.6 < splits.count("train") / emoji_clips.COUNT < 0.8 and splits.count("test") > 25


@given(st.sampled_from(sorted(emoji.concepts())), st.floats(0, 1))
def test_a_motion_is_a_concepts_own_and_stays_in_the_frame(concept: str, time: float) -> None:
    motion_of = Motion.of(concept)
    assert motion_of == Motion.of(concept)
    x, y, side, angle = motion_of.place(time)
    assert max(abs(x), abs(y)) <= 1 + 1e-9 and 0.3 < side < 0.9 and abs(angle) <= 25
    assert all(190 <= value <= 255 for colour in motion_of.ground for value in colour)


def test_concepts_move_differently() -> None:
    assert len({(m.path, m.backwards, m.zoom, m.swing) for m in map(Motion.of, emoji.concepts())}) > 60


def test_the_image_is_in_every_frame_and_moves() -> None:
    red = Image.new("RGBA", (72, 72), (255, 0, 0, 255))
    still = Motion("across", False, (0.5, 0.5), 0.0, ((200, 220, 240), (240, 220, 200)))
    frames = [np.asarray(frame, np.int16) for frame in emoji_clips.draw(red, still)]
    assert len(frames) == emoji_clips.FRAMES and frames[0].shape == (emoji_clips.SIZE, emoji_clips.SIZE, 3)
    centres = []
    for frame in frames:
        where = np.argwhere((frame[:, :, 0] > 240) & (frame[:, :, 1] < 20))
        assert len(where) == 64 * 64  # nothing is cut off
        centres.append(where.mean(0)[1])
    assert centres == sorted(centres) and centres[-1] - centres[0] > 40
    assert tuple(frames[0][0, 127]) == (200, 220, 240) and tuple(frames[0][127, 127]) == (240, 220, 200)


def test_clips_are_encoded_once(few: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    made = emoji_clips.clips("twemoji", few)
    assert list(made) == few
    content = {path: path.read_bytes() for path in made.values()}
    assert len(set(content.values())) == 3
    found = sample(made[few[0]], Sampling(emoji_clips.FRAMES), lambda frame: frame)
    assert len(found.frames) == 16 and found.notes == ()
    assert found.duration == pytest.approx(2)
    drawn = list(emoji_clips.draw(Image.open(emoji_images.find("twemoji", few)[few[0]]), Motion.of(few[0])))
    for made_frame, drawn_frame in zip(found.frames, drawn, strict=True):
        error = np.asarray(made_frame, np.int16) - np.asarray(drawn_frame, np.int16)
        assert np.abs(error).mean() < 6  # the codec halves the colours' resolution
    made[few[1]].unlink()
    assert emoji_clips.clips("twemoji", few) == made
    assert made[few[1]].read_bytes() == content[made[few[1]]]  # the same bytes at every encoding

    def never(*_: object) -> None:
        raise AssertionError("known already")

    monkeypatch.setattr(emoji_clips, "_encode", never)
    assert emoji_clips.clips("twemoji", few) == made
