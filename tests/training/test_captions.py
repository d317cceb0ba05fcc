"""From rows to features: pictures and videos side by side, text alone, and what could not be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@given(st.integers(1, 40), st.integers(0, 60), st.booleans())
def test_features_are_made_of_what_batches_can_have(base: DualEncoder, count: int, seen: int, mixed: bool) -> None:
    """Rows that begin with their English need it as text; features only as many captions as steps can see."""
    rows = tuple(
        Row(f"wort {place}", "de", english=f"word {place}" if place % 4 else None, part="ab"[place % 2])
        for place in range(count)
    )
    corpus = Corpus("words", rows, weights={"a": 3.0, "b": 1.0} if mixed else {})
    cache = FeatureCache(base.fingerprint, None)
    if not any(row.english for row in rows):
        with pytest.raises(DataError, match="a text to align with"):
            collect(corpus, "de", base, cache, with_images=False, with_english=True, seen=seen)
        return
    found = collect(corpus, "de", base, cache, with_images=False, with_english=True, seen=seen)
    assert found.english == tuple(row.english for row in rows if row.english)
    encoded = int((found.target_features.rows >= 0).sum())
    assert encoded <= min(len(found), seen + 1 if mixed else seen) or seen >= count
    if not mixed:
        assert encoded == min(len(found), seen) or (seen >= count and encoded == len(found))
    assert len(found.of_batches) == (encoded or len(found))
    whole = collect(corpus, "de", base, cache, with_images=False)
    assert whole.identity() != found.identity() and not whole.english
