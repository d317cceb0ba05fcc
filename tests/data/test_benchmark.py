from pathlib import Path

import numpy as np
import pytest

from glotclip.data.benchmark import Benchmark, from_corpus
from glotclip.data.schema import Caption, Corpus, Row, SkippedItem
from glotclip.data.video import Sampling
from glotclip.errors import DataError


def test_captions_of_one_image_share_its_place() -> None:
    one, two = Path("/1.jpg"), Path("/2.jpg")
    rows = (
        Row("a dog", "en", one, split="test"),
        Row("ein Hund", "de", one, split="test"),
        Row("ein Rüde", "de", one, split="test"),
        Row("a cat", "en", two, split="test"),
        Row("a train row", "en", Path("/3.jpg")),
        Row("ohne Bild", "de", split="test"),
    )
    earlier = SkippedItem("f", 1, "empty")
    benchmark = from_corpus(Corpus("pets", rows, (earlier,), "CC0"))
    assert benchmark.images == (one, two)
    assert benchmark.captions["de"] == [Caption("ein Hund", 0), Caption("ein Rüde", 0)]
    assert benchmark.captions["en"] == [Caption("a dog", 0), Caption("a cat", 1)]
    assert benchmark.languages == ["en", "de"]
    assert benchmark.skipped[0] == earlier
    assert "no image for the de caption 'ohne Bild'" in benchmark.skipped[1].reason
    assert benchmark.licence == "CC0"
    assert "split test" in benchmark.protocol


def test_a_group_has_one_image_and_a_image_one_place() -> None:
    rows = (
        Row("un chien", "fr", group="dog"),  # its group's image comes later
        Row("a dog", "en", Path("/1.jpg"), group="dog"),
        Row("a dog again", "en", Path("/2.jpg"), group="dog"),
        Row("an animal", "en", Path("/1.jpg"), group="animal"),
    )
    benchmark = from_corpus(Corpus("pets", rows), split=None)
    assert benchmark.images == (Path("/1.jpg"),)
    assert {caption.image for captions in benchmark.captions.values() for caption in captions} == {0}
    assert len(benchmark.captions["en"]) == 3
    assert len(benchmark.captions["fr"]) == 1
    assert "1 further images" in benchmark.protocol


def test_without_images_there_is_no_benchmark() -> None:
    with pytest.raises(DataError, match="no image"):
        from_corpus(Corpus("texts", (Row("a", "en", split="test"),)))
    with pytest.raises(DataError, match="unknown split"):
        from_corpus(Corpus("texts", ()), split="tset")


def test_an_inconsistent_benchmark_is_refused() -> None:
    with pytest.raises(DataError, match="outside"):
        Benchmark("b", (Path("/1.jpg"),), {"en": [Caption("a", 1)]})
    with pytest.raises(DataError, match="not a mask"):
        Benchmark("b", (Path("/1.jpg"),), {}, {"seen": np.ones(2, bool)})
    with pytest.raises(DataError, match="subset 'known' is not a mask over its en captions"):
        Benchmark("b", (Path("/1.jpg"),), {"en": [Caption("a", 0)]}, text_subsets={"en": {"known": np.ones(2, bool)}})


def test_without_images_videos_are_the_gallery() -> None:
    rows = (
        Row("a dog runs", "en", video=Path("/1.mp4"), split="test"),
        Row("ein Hund", "de", video=Path("/1.mp4"), split="test"),
        Row("a cat", "en", video=Path("/2.mp4"), split="test"),
        Row("a thought", "en", split="test"),
    )
    benchmark = from_corpus(Corpus("clips", rows), sampling=Sampling(4, "fps"))
    assert benchmark.images == (Path("/1.mp4"), Path("/2.mp4"))
    assert benchmark.sampling == Sampling(4, "fps") and benchmark.medium == "video"
    assert benchmark.captions["en"] == [Caption("a dog runs", 0), Caption("a cat", 1)]
    assert "2 videos" in benchmark.protocol and "1 frame a second, at most 4" in benchmark.protocol
    assert benchmark.skipped[0].reason == "no video for the en caption 'a thought'"
    assert from_corpus(Corpus("clips", rows)).sampling == Sampling()
    with_image = (*rows, Row("a dog", "en", Path("/1.jpg"), split="test"))
    of_images = from_corpus(Corpus("both", with_image))
    assert of_images.images == (Path("/1.jpg"),) and of_images.sampling is None
