"""The exact search, with a model so small that its answers can be seen: the mean colour of an image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from glotclip.data.listing import list_folder
from glotclip.errors import ConfigError, DataError
from glotclip.gallery.rank import rank
from glotclip.models.preprocess import Preprocess
from glotclip.packs.polyglot import Polyglot

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "grey": (128, 128, 128)}
WORDS = {"en": {name: name for name in COLOURS}, "de": {"rot": "red", "grün": "green", "blau": "blue"}}


class ColourBase:
    fingerprint = "mean-colour"
    preprocess = Preprocess(size=8, mean=(0, 0, 0), std=(1, 1, 1))


class ColourModel(Polyglot):
    """Texts name a colour; an image's feature is its mean colour."""

    def __init__(self) -> None:
        self.base = ColourBase()  # type: ignore[assignment]
        self.encoded = 0

    def encode_text(self, texts: Sequence[str], lang: str | Sequence[str] = "en", **_: object) -> torch.Tensor:
        langs = [lang] * len(texts) if isinstance(lang, str) else lang
        colours = [COLOURS[WORDS[code][text]] for text, code in zip(texts, langs, strict=True)]
        return F.normalize(torch.tensor(colours).float(), dim=-1)

    def image_features(self, pixels: NDArray[np.float32], precision: str = "fp32") -> NDArray[np.float32]:
        self.encoded += len(pixels)
        means: NDArray[np.float32] = pixels.mean(axis=(2, 3))
        return means


def paint(path: Path, colour: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 7), colour).save(path)
    return path


def images_in(folder: Path) -> list[Path]:
    return list_folder(folder).images


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    for name in ("red", "green", "blue"):
        paint(folder / "2024" / f"{name}.png", COLOURS[name])
    paint(folder / "grey.JPG", COLOURS["grey"])
    paint(folder / ".thumbnails" / "red.png", COLOURS["red"])
    paint(folder / ".hidden.png", COLOURS["red"])
    (folder / "notes.txt").write_text("red")
    return folder


def test_each_query_is_answered_in_its_language(album: Path, tmp_path: Path) -> None:
    found = rank(ColourModel(), images_in(album), ["rot", "blue"], ["de", "en"], top=2, cache=tmp_path / "cache")
    assert [[hit.path.stem for hit in hits] for hits in found.hits] == [["red", "grey"], ["blue", "grey"]]
    assert found.hits[0][0].score == pytest.approx(1.0)
    assert found.hits[0][1].score == pytest.approx(1 / np.sqrt(3), abs=1e-3)
    assert (found.searched, found.skipped) == (4, ())


def test_a_second_query_encodes_nothing(album: Path, tmp_path: Path) -> None:
    model = ColourModel()
    for _ in range(2):
        rank(model, images_in(album), ["red"], ["en"], cache=tmp_path / "cache")
    assert model.encoded == 4


def test_unreadable_images_are_listed_and_the_rest_searched(album: Path, tmp_path: Path) -> None:
    (album / "broken.png").write_bytes(b"not a picture")
    found = rank(ColourModel(), images_in(album), ["green"], ["en"], top=9, cache=tmp_path / "cache")
    assert found.searched == 4
    assert [Path(item.where).name for item in found.skipped] == ["broken.png"]
    assert "not an image" in found.skipped[0].reason
    assert found.hits[0][0].path.name == "green.png"
    assert len(found.hits[0]) == 4


def test_equal_scores_keep_the_order_of_the_images(tmp_path: Path) -> None:
    paths = [paint(tmp_path / "same" / f"{n}.png", COLOURS["red"]) for n in range(6)]
    found = rank(ColourModel(), paths, ["red"], ["en"], top=6, cache=tmp_path / "cache")
    assert [hit.path for hit in found.hits[0]] == paths


def test_an_album_of_broken_pictures_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    with pytest.raises(DataError, match="none of 1 images"):
        rank(ColourModel(), [broken], ["red"], ["en"], cache=tmp_path / "cache")


@pytest.mark.parametrize(("query", "top"), [("red", 0), ("  ", 5)])
def test_senseless_questions_are_refused(album: Path, tmp_path: Path, query: str, top: int) -> None:
    with pytest.raises(ConfigError):
        rank(ColourModel(), images_in(album), [query], ["en"], top=top, cache=tmp_path / "cache")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(colours=st.lists(st.tuples(*[st.integers(1, 255)] * 3), min_size=1, max_size=8, unique=True))
def test_the_best_are_those_of_a_full_sort(
    tmp_path_factory: pytest.TempPathFactory, colours: list[tuple[int, int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("painted")
    paths = [paint(folder / f"{n}.png", colour) for n, colour in enumerate(colours)]
    found = rank(ColourModel(), paths, ["blue"], ["en"], top=3, cache=folder / "cache")
    blueness = [blue / np.linalg.norm(colour) for colour in colours for blue in (colour[2],)]
    expected = sorted(blueness, reverse=True)[:3]
    np.testing.assert_allclose([hit.score for hit in found.hits[0]], expected, atol=1e-5)


def test_of_several_languages_the_one_that_points_at_something_decides(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WORDS["en"], "rot", "grey")  # to an English ear it says nothing in particular
    asked: list[str | dict[str, float]] = [{"en": 0.6, "de": 0.4}, {"de": 1.0}, "en"]
    coloured = [path for path in images_in(album) if path.stem != "grey"]
    found = rank(ColourModel(), coloured, ["rot", "rot", "rot"], asked, top=2, cache=tmp_path / "cache")
    fused, german, english = found.hits
    assert [hits[0].path.stem for hits in (fused, german, english)] == ["red", "red", coloured[0].stem]
    assert fused[0].score == german[0].score  # the cosine in the language that decided
