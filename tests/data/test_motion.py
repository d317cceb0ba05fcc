"""Emoji in motion: clips from pictures, Fluent's animations, and the benchmark made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glotclip.data import emoji, motion, pictures
from glotclip.data.dataset import EmojiVideoDataset, open_dataset
from glotclip.data.motion import Motion
from glotclip.data.video import sample_frames
from glotclip.errors import DataError


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three concepts instead of 200."""
    monkeypatch.setattr(motion, "COUNT", 3)
    return motion.concepts()[:3]


def test_the_order_is_fixed_and_fair() -> None:
    order = motion.concepts()
    assert sorted(order) == sorted(emoji.concepts())
    assert order[:3] == ["2650", "1f982", "1f642"]  # figures are only comparable while this holds
    splits = [emoji.concepts()[concept] for concept in order[: motion.COUNT]]
    assert 0.6 < splits.count("train") / motion.COUNT < 0.8 and splits.count("test") > 25


@given(st.sampled_from(sorted(emoji.concepts())), st.floats(0, 1))
def test_a_motion_is_a_concepts_own_and_stays_in_the_frame(concept: str, time: float) -> None:
    motion_of = Motion.of(concept)
    assert motion_of == Motion.of(concept)
    x, y, side, angle = motion_of.place(time)
    assert max(abs(x), abs(y)) <= 1 + 1e-9 and 0.3 < side < 0.9 and abs(angle) <= 25
    assert all(190 <= value <= 255 for colour in motion_of.ground for value in colour)


def test_concepts_move_differently() -> None:
    assert len({(m.path, m.backwards, m.zoom, m.swing) for m in map(Motion.of, emoji.concepts())}) > 60


def test_the_picture_is_in_every_frame_and_moves() -> None:
    red = Image.new("RGBA", (72, 72), (255, 0, 0, 255))
    still = Motion("across", False, (0.5, 0.5), 0.0, ((200, 220, 240), (240, 220, 200)))
    frames = [np.asarray(frame, np.int16) for frame in motion.draw(red, still)]
    assert len(frames) == motion.FRAMES and frames[0].shape == (motion.SIZE, motion.SIZE, 3)
    centres = []
    for frame in frames:
        where = np.argwhere((frame[:, :, 0] > 240) & (frame[:, :, 1] < 20))
        assert len(where) == 64 * 64  # nothing is cut off
        centres.append(where.mean(0)[1])
    assert centres == sorted(centres) and centres[-1] - centres[0] > 40
    assert tuple(frames[0][0, 127]) == (200, 220, 240) and tuple(frames[0][127, 127]) == (240, 220, 200)


def test_clips_are_encoded_once(few: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    made = motion.clips("twemoji", few, progress=lambda *step: seen.append(step))
    assert list(made) == few and seen == [(1, 3), (2, 3), (3, 3)]
    content = {path: path.read_bytes() for path in made.values()}
    assert len(set(content.values())) == 3
    found = sample_frames(made[few[0]], motion.FRAMES)
    assert len(found.frames) == 16 and found.notes == ()
    assert found.duration == pytest.approx(2)
    drawn = list(motion.draw(Image.open(pictures.find("twemoji", few)[few[0]]), Motion.of(few[0])))
    for made_frame, drawn_frame in zip(found.frames, drawn, strict=True):
        error = np.asarray(made_frame, np.int16) - np.asarray(drawn_frame, np.int16)
        assert np.abs(error).mean() < 6  # the codec halves the colours' resolution
    made[few[1]].unlink()
    assert motion.clips("twemoji", few) == made
    assert made[few[1]].read_bytes() == content[made[few[1]]]  # the same bytes at every encoding

    def never(*_: object) -> None:
        raise AssertionError("known already")

    monkeypatch.setattr(motion, "_encode", never)
    assert motion.clips("twemoji", few) == made


@pytest.mark.slow
def test_the_benchmark_and_the_corpus(few: list[str]) -> None:
    dataset = open_dataset("emoji-video")
    assert isinstance(dataset, EmojiVideoDataset) and {"en", "de"} <= set(dataset.languages())
    found = dataset.benchmark(["en", "de"])
    assert found.name == "emoji-video-twemoji" and found.medium == "video"
    assert len(found.images) == 3 and found.sampling == motion.SAMPLING
    assert [each.text for each in found.captions["en"]] == [emoji.texts("en")[concept].name for concept in few]
    assert "also trained on" in found.protocol and "twemoji" in found.licence
    corpus = dataset.corpus(["en", "de"])
    assert len(corpus) == 6 and not corpus.skipped
    assert all(row.video is not None and row.video.is_file() and row.image is None for row in corpus.rows)
    assert {row.split for row in corpus.rows} == {emoji.concepts()[concept] for concept in few}
    by_lang = {(row.group, row.lang): row for row in corpus.rows}
    assert by_lang[few[0], "de"].english == by_lang[few[0], "en"].text
    assert by_lang[few[0], "de"].video != by_lang[few[0], "en"].video  # another artist's


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    [
        "fluent-emoji-anim-1/assets",
        "@lobehub/fluent-emoji-anim-2/assets",
        "fluent-emoji-anim-3/package/assets",
        "assets",
        "package/assets",
    ],
)
def test_fluents_animations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    assets = tmp_path / place
    assets.mkdir(parents=True)
    frames = [Image.new("RGBA", (32, 32), (shade, 0, 0, 255)) for shade in (50, 150, 250)]
    moving, still = "1f3c4-200d-2642-fe0f", "1f369"
    frames[0].save(assets / f"{moving}.webp", save_all=True, append_images=frames[1:], duration=42)
    frames[0].save(assets / f"{still}.webp")
    (assets / ".gitkeep").touch()
    monkeypatch.setenv("GLOTCLIP_EMOJI_VENDORS", str(tmp_path))
    assert motion.fluent([still, moving, "1f600"]) == {moving: assets / f"{moving}.webp"}
    for name in ("emoji-video", "emoji-video:fluent"):
        found = open_dataset(name).benchmark(["en"])
        assert found.name == "emoji-video-fluent" and found.images == (assets / f"{moving}.webp",)
        assert "never trained on" in found.protocol and "MIT" in found.licence


def test_animations_that_are_not_there() -> None:
    assert motion.fluent(motion.concepts()) == {}
    with pytest.raises(DataError, match="no animations"):
        motion.benchmark(["en"], vendor="fluent")
    with pytest.raises(DataError, match=r"did you mean 'emoji-video'"):
        open_dataset("emoji-vide")
