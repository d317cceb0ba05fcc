"""From rows to features: pictures and videos side by side, text alone, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from glotclip.data.features import FeatureCache
from glotclip.data.schema import Corpus, Row
from glotclip.data.video import Sampling
from glotclip.errors import DataError
from glotclip.packs.polyglot import Polyglot
from glotclip.training.captions import collect

if TYPE_CHECKING:
    from tests.conftest import Film

    from glotclip.models.dual_encoder import DualEncoder

SHADES = [(place * 10, 60, 60) for place in range(24)]


def test_videos_and_pictures_side_by_side(
    base: DualEncoder, film: Film, draw: Callable[[Path, str, str], None], tmp_path: Path
) -> None:
    clip, picture, broken = film(tmp_path / "a.mp4", SHADES), tmp_path / "a.png", tmp_path / "broken.mp4"
    draw(picture, "red", "circle")
    broken.write_text("no video")
    rows = (
        Row("ein Film", "de", video=clip, english="a film"),
        Row("ein Kreis", "de", image=picture),
        Row("noch ein Film", "de", video=clip),
        Row("ein kaputter", "de", video=broken, english="a broken one"),
        Row("ein Bild aus dem Film", "de", image=picture, video=clip),
        Row("ohne alles", "de"),
    )
    cache = FeatureCache(base.fingerprint, tmp_path / "cache")
    said: set[str] = set()
    found = collect(
        Corpus("mixed", rows), "de", base, cache, with_images=True, progress=lambda what, *_: said.add(what)
    )
    assert found.texts == tuple(row.text for row in rows[:5])
    assert (found.images.rows >= 0).tolist() == [True, True, True, False, True]
    assert [Path(bad.where) for bad in found.skipped] == [broken]
    assert {"videos", "images"} <= said
    polyglot = Polyglot(base)
    expected = {0: polyglot.encode_video(clip), 1: polyglot.encode_image(picture), 4: polyglot.encode_image(picture)}
    for place, feature in expected.items():
        given = found.images.array[found.images.rows[place]]
        np.testing.assert_allclose(given / np.linalg.norm(given), feature[0].numpy(), atol=1e-5)
    assert found.images.rows[0] == found.images.rows[2]
    assert found.groups[0] == found.groups[2] and len(set(found.groups.tolist())) == 3


def test_videos_alone(base: DualEncoder, film: Film, tmp_path: Path) -> None:
    clips = [film(tmp_path / f"{number}.mkv", SHADES[number:] * 2) for number in range(3)]
    clips[1].write_bytes(clips[1].read_bytes()[: clips[1].stat().st_size * 6 // 10])
    rows = [Row(f"clip {number}", "en", video=clip) for number, clip in enumerate(clips)]
    cache = FeatureCache(base.fingerprint, tmp_path / "cache")
    found = collect(Corpus("clips", tuple(rows)), "en", base, cache, with_images=True, with_target_features=False)
    assert (found.images.rows >= 0).all() and len(found) == 3
    assert [(Path(bad.where), bad.reason.split(",")[0]) for bad in found.skipped] == [
        (clips[1], f"its header says {46 / 12:.1f} s")
    ]


def test_the_corpus_says_which_frames(base: DualEncoder, film: Film, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4", SHADES)
    rows = (Row("a clip", "en", video=clip),)
    cache = FeatureCache(base.fingerprint, tmp_path / "cache")
    corpus = Corpus("clips", rows, sampling=Sampling(1, "fps"))
    found = collect(corpus, "en", base, cache, with_images=True, with_target_features=False)
    expected = Polyglot(base).encode_video(clip, frames=1, mode="fps").numpy()
    np.testing.assert_allclose(found.images.take(), expected, atol=1e-5)


def test_text_alone_opens_no_video(base: DualEncoder, tmp_path: Path) -> None:
    rows = (Row("ein Film", "de", video=tmp_path / "none.mp4", english="a film"),)
    cache = FeatureCache(base.fingerprint, tmp_path / "cache")
    found = collect(Corpus("texts", rows), "de", base, cache, with_images=False)
    assert found.skipped == () and len(found) == 1
    with pytest.raises(DataError, match="no training captions"):
        collect(Corpus("texts", rows), "de", base, cache, with_images=True, with_target_features=False)
