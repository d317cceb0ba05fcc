from __future__ import annotations

import struct
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glotclip.data.frame_readers import webp_gaps
from glotclip.data.video import Mode, SampledFrames, Sampling, sample
from glotclip.errors import VideoError

if TYPE_CHECKING:
    from tests.conftest import Film

SHADES = [place * 10 for place in range(24)]  # two seconds at 12 frames a second


def sample_frames(
    path: str | Path, n: int = 12, mode: Mode = "uniform", fps: float = 1
) -> SampledFrames[Image.Image]:
    return sample(path, Sampling(n, mode, fps), lambda frame: frame)


def shades(sampled: SampledFrames[Image.Image]) -> list[int]:
    """Which frame each picked one is: tens of grey, as lossy as the codec."""
    return [round(int(np.asarray(frame.convert("L"))[32, 32]) / 10) for frame in sampled.frames]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx-vp9"),
        ("a.ts", "libx264"),
        ("a.avi", "mpeg4"),
        ("b.avi", "libx264"),  # AVI tells no times, and these frames are stored out of order
    ],
)
def test_every_container_gives_the_frames_on_display(tmp_path: Path, film: Film, name: str, codec: str) -> None:
    path = film(tmp_path / name, SHADES, codec=codec)
    found = sample_frames(path, 4)  # mid-points 0.25, 0.75, 1.25, 1.75 s
    assert shades(found) == [3, 9, 15, 21]
    assert found.times == pytest.approx([0.25, 0.75, 1.25, 1.75], abs=0.002)
    assert found.duration == pytest.approx(2, abs=0.01)
    assert found.notes == ()
    assert found.frames[0].size == (64, 64) and found.frames[0].mode == "RGB"
    assert shades(sample_frames(path, 12, "fps", 2)) == [0, 6, 12, 18]
    assert shades(sample_frames(path, 3, "fps", 6)) == [0, 10, 22]  # 12 times thinned to the 1st, 6th and 12th


def test_a_stream_without_any_timestamps_is_counted(tmp_path: Path, film: Film) -> None:
    assert shades(sample_frames(film(tmp_path / "a.h264", SHADES), 4)) == [3, 9, 15, 21]


def test_a_late_start_counts_as_the_beginning(tmp_path: Path, film: Film) -> None:
    path = film(tmp_path / "a.mkv", SHADES, times=[5000 + place * 1000 // 12 for place in range(24)])
    found = sample_frames(path, 12, "fps")
    assert shades(found) == [0, 12]
    assert found.times == pytest.approx([0, 1])
    assert found.duration == pytest.approx(2, abs=0.02)


def test_a_wrong_duration_in_the_header_is_said_and_does_no_harm(tmp_path: Path, film: Film) -> None:
    path = film(tmp_path / "a.mkv", SHADES)
    content = path.read_bytes()
    place = content.index(b"\x44\x89\x88") + 3  # Matroska's Duration, a float of 8 bytes, in milliseconds
    assert struct.unpack(">d", content[place : place + 8])[0] == pytest.approx(2000, abs=5)
    path.write_bytes(content[:place] + struct.pack(">d", 3_600_000.0) + content[place + 8 :])
    found = sample_frames(path, 4)
    assert shades(found) == [3, 9, 15, 21]
    assert found.notes == ("its header says 3600.0 s, its frames last 2.0 s",)


def test_no_duration_in_the_header_is_fine(tmp_path: Path, film: Film) -> None:
    path = film(tmp_path / "a.mkv", SHADES, options={"live": "1"})
    assert b"\x44\x89\x88" not in path.read_bytes()
    found = sample_frames(path, 4)
    assert (shades(found), found.notes) == ([3, 9, 15, 21], ())


def test_a_file_that_breaks_off_gives_what_is_there(tmp_path: Path, film: Film) -> None:
    path = film(tmp_path / "a.mkv", SHADES * 2)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    found = sample_frames(path, 4)
    assert len(found.frames) == 4 and found.duration < 3.5
    assert "its header says 4.0 s" in found.notes[0]


def test_damage_behind_the_beginning_is_noted(tmp_path: Path, film: Film) -> None:
    import av

    path = film(tmp_path / "a.webm", SHADES, codec="libvpx-vp9")
    with av.open(str(path)) as container:
        packets = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for place, size in packets[12:]:
        content[place + 4 : place + 4 + size] = bytes(size)  # behind track number, time and flags
    path.write_bytes(content)
    found = sample_frames(path, 4)
    assert shades(found) == [3, 9]
    assert found.notes == ("it is damaged: 2 of 4 frames could be picked",)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_undone(tmp_path: Path, film: Film, degrees: int) -> None:
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        pixels = np.zeros((32, 64, 3), np.uint8)
        pixels[:, :32] = 255  # the left half is white
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    # The matrix in the track's header: a phone held upright stores the image lying, and how to turn it clockwise.
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    content = path.read_bytes()
    place = content.index(b"tkhd") + 4 + 40
    path.write_bytes(content[:place] + matrix + content[place + 36 :])
    (image,) = sample_frames(path).frames
    grey = np.asarray(image.convert("L"))
    if degrees == 180:
        assert image.size == (64, 32) and grey[:, 40:].min() > 200 and grey[:, :24].max() < 50
    else:
        assert image.size == (32, 64)
        white, black = (grey[:24], grey[40:]) if degrees == 90 else (grey[40:], grey[:24])
        assert white.min() > 200 and black.max() < 50


def test_what_is_no_video_says_so(tmp_path: Path, film: Film) -> None:
    with pytest.raises(VideoError, match="does not exist"):
        sample_frames(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("not a video" * 100)
    with pytest.raises(VideoError, match="not a video"):
        sample_frames(tmp_path / "text.mp4")
    (tmp_path / "empty.webp").touch()
    with pytest.raises(VideoError, match="is not an image"):
        sample_frames(tmp_path / "empty.webp")
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    with pytest.raises(VideoError, match="no video stream"):
        sample_frames(tmp_path / "sound.wav")
    whole = film(tmp_path / "a.mp4", SHADES)
    whole.write_bytes(whole.read_bytes()[:600])  # its index was at the end
    with pytest.raises(VideoError, match="not a video"):
        sample_frames(whole)


def test_a_name_is_never_a_protocol(tmp_path: Path, film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "plain.mp4", SHADES)
    path.rename(tmp_path / "concat:a?b.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(sample_frames("concat:a?b.mp4", 3).frames) == 3


@pytest.mark.parametrize("suffix", [".webp", ".gif", ".png"])
def test_animated_images_are_videos(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGBA", (64, 64), (shade, shade, shade, 255)) for shade in (0, 50, 100, 150, 200)]
    gaps = [100, 100, 100, 100, 600]
    path = tmp_path / f"a{suffix}"
    lossless: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=gaps, loop=0, **lossless)
    found = sample_frames(path, 4)
    assert found.duration == pytest.approx(1)
    assert shades(found) == [5, 15, 20, 20]
    if suffix == ".webp":
        assert webp_gaps(path) == gaps
        assert found.frames[0].mode == "RGBA"  # the base's preprocessing says what lies behind


def test_a_still_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (90, 90, 90)).save(tmp_path / "a.webp", lossless=True)
    assert webp_gaps(tmp_path / "a.webp") == []
    assert shades(sample_frames(tmp_path / "a.webp")) == [9]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, film: Film) -> list[Path]:
    folder = tmp_path_factory.mktemp("whole")
    animated = folder / "a.gif"
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (0, 100, 200)]
    frames[0].save(animated, save_all=True, append_images=frames[1:], duration=80)
    shorter = SHADES[:8]
    return [
        film(folder / "a.mp4", shorter),
        film(folder / "a.mkv", shorter),
        film(folder / "a.avi", shorter, codec="mpeg4"),
        animated,
    ]


@given(st.data())
def test_no_damage_does_more_than_lose_frames(whole: list[Path], data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(whole))
    content = bytearray(source.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(content) // 4, len(content)))
    damaged = source.with_stem("damaged")
    damaged.write_bytes(content[:cut])
    try:
        found = sample_frames(damaged, 4)
    except VideoError as error:
        assert str(damaged) in error.message
    else:
        assert 1 <= len(found.frames) <= 4 and len(found.times) == len(found.frames)
