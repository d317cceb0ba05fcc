"""Retrieval evaluation on benchmarks small enough to work out, with encoders that look their features up."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glotclip.data.benchmark import Benchmark
from glotclip.data.schema import Caption
from glotclip.errors import ConfigError, DataError, DuplicateWarning, LanguageError
from glotclip.evaluation import report
from glotclip.evaluation.retrieval import evaluate

IMAGES = np.eye(3, dtype=np.float32)


@dataclass
class Lookup:
    """A text encoder that knows the feature of each text by heart."""

    features: Mapping[tuple[str, str], Sequence[float]]

    def encode_text(self, texts: Sequence[str], lang: str) -> NDArray[np.floating]:
        return np.array([self.features[lang, text] for text in texts])


class AsTensor(Lookup):
    """The same, as a model gives it: bfloat16 and part of a graph."""

    def encode_text(self, texts: Sequence[str], lang: str) -> Any:
        return torch.tensor(super().encode_text(texts, lang), dtype=torch.bfloat16, requires_grad=True)


ENCODER = {
    ("en", "dog"): [2, 1, 0],  # not of length one: evaluation normalises
    ("en", "hound"): [0, 1, 0],
    ("en", "cat"): [0, 1, 0],
    ("en", "sun"): [0, 0, 1],
    ("de", "Hund"): [0, 1, 0],
    ("de", "Katze"): [0, 0, 1],
}


def benchmark() -> Benchmark:
    return Benchmark(
        name="three",
        images=(Path("dog.png"), Path("cat.png"), Path("sun.png")),
        captions={
            "en": [Caption("dog", 0), Caption("hound", 0), Caption("cat", 1), Caption("sun", 2)],
            "de": [Caption("Hund", 0), Caption("Katze", 1)],
        },
        subsets={"animals": np.array([True, True, False]), "stars": np.array([False, False, True])},
        protocol="three pictures",
    )


def test_scores_worked_out_by_hand() -> None:
    result = evaluate(Lookup(ENCODER), benchmark(), image_features=5 * IMAGES, model="lookup")
    english = result["languages"]["en"]
    # dog → 1st; hound: the cat is ahead and the sun ties → rank 2; cat and sun → 1st.
    assert english["text_to_image"]["r@1"] == 75.0
    assert english["text_to_image"]["r@5"] == 100.0
    assert english["text_to_image"]["mrr"] == pytest.approx(100 * (1 + 1 / 3 + 1 + 1) / 4, abs=1e-4)
    assert english["text_to_image"]["median_rank"] == 1.0
    assert english["text_to_image"]["n_queries"] == 4
    # The cat's caption ties with "hound", which counts against the model.
    assert english["image_to_text"]["r@1"] == pytest.approx(200 / 3, abs=1e-4)
    assert english["mean_recall"] == pytest.approx((75 + 100 + 100 + 200 / 3 + 100 + 100) / 6, abs=1e-4)
    german = result["languages"]["de"]
    assert german["text_to_image"]["r@1"] == 0.0
    assert german["image_to_text"]["n_queries"] == 2  # the sun has no German caption
    assert result["average"]["text_to_image"]["r@1"] == 37.5
    assert result["disparity"]["text_to_image.r@1"] == {
        "standard_deviation": 37.5,
        "range": 75.0,
        "mean_absolute_gap": 75.0,
        "worst_gap": 75.0,
        "gaps": {"de": 75.0},
    }


def test_a_subset_restricts_the_queries_and_not_the_gallery() -> None:
    result = evaluate(Lookup(ENCODER), benchmark(), image_features=IMAGES)
    animals = result["languages"]["en"]["subsets"]["animals"]
    assert animals["text_to_image"]["n_queries"] == 3
    assert animals["text_to_image"]["r@1"] == pytest.approx(200 / 3, abs=1e-4)
    # hound: the sun, which is no animal, still stands in the gallery and ties.
    assert animals["text_to_image"]["mrr"] == pytest.approx(100 * (1 + 1 / 3 + 1) / 3, abs=1e-4)
    assert animals["image_to_text"]["n_queries"] == 2
    assert list(result["languages"]["de"]["subsets"]) == ["animals"]  # no German query about stars
    assert result["average"]["subsets"]["stars"]["text_to_image"]["r@1"] == 100.0


def test_unreadable_images_leave_gallery_and_queries_and_are_listed() -> None:
    result = evaluate(Lookup(ENCODER), benchmark(), image_features=IMAGES[[2, 0]], image_rows=[1, -1, 0])
    assert result["unreadable"] == ["cat.png"]
    assert result["gallery_images"] == 2
    english = result["languages"]["en"]
    assert english["text_to_image"]["n_queries"] == 3
    assert english["text_to_image"]["r@1"] == pytest.approx(200 / 3, abs=1e-4)  # hound ties with the sun
    assert english["subsets"]["stars"]["text_to_image"]["r@1"] == 100.0
    assert english["subsets"]["animals"]["image_to_text"]["n_queries"] == 1


def test_a_subset_of_texts_counts_images_with_no_text_outside_it() -> None:
    masks = {"known": np.array([True, False, True, True]), "none": np.zeros(4, dtype=np.bool_)}
    divided = replace(benchmark(), text_subsets={"en": masks})
    result = evaluate(Lookup(ENCODER), divided, image_features=IMAGES)
    known = result["languages"]["en"]["subsets"]["known"]
    assert known["text_to_image"]["n_queries"] == 3  # all but the hound come first
    assert known["text_to_image"]["r@1"] == 100.0
    assert known["image_to_text"]["n_queries"] == 2  # the dog is a hound too
    assert "none" not in result["languages"]["en"]["subsets"]
    assert list(result["languages"]["de"]["subsets"]) == ["animals"]
    assert result["text_subsets"] == ["known", "none"]
    part = evaluate(Lookup(ENCODER), divided, image_features=IMAGES[[2, 0]], image_rows=[1, -1, 0])
    assert part["languages"]["en"]["subsets"]["known"]["text_to_image"]["n_queries"] == 2  # the cat cannot be read


def captioned() -> tuple[Benchmark, Lookup]:
    """Six pictures; picture 0 has five captions, which the others' pictures are all closer to than to their own."""
    many = {("en", f"zero {i}"): [1.0, 0.2, 0, 0, 0, 0] for i in range(5)}
    own = {("en", f"text {i}"): [0.9 * (place == i) + 0.05 for place in range(6)] for i in range(1, 6)}
    encoder = Lookup({**many, **own})
    captions = [Caption(text, 0 if text.startswith("zero") else int(text[-1])) for _, text in encoder.features]
    images = tuple(Path(f"{i}.png") for i in range(6))
    return Benchmark("six", images, {"en": captions}, protocol="six pictures"), encoder


def test_mlas_protocol_counts_a_pictures_captions_as_one() -> None:
    many, encoder = captioned()
    turned = np.eye(6, dtype=np.float32)
    turned[1] = [0.9, 0.1, 0, 0, 0, 0]  # picture 1 looks like picture 0
    each, as_one = (evaluate(encoder, many, image_features=turned, protocol=name) for name in ("karpathy", "mla"))
    both = [result["languages"]["en"] for result in (each, as_one)]
    assert both[0]["text_to_image"] == both[1]["text_to_image"]
    alone, grouped = (scores["image_to_text"] for scores in both)
    assert alone["r@1"] == grouped["r@1"] == pytest.approx(500 / 6, abs=1e-4)
    assert (alone["r@5"], grouped["r@5"]) == (pytest.approx(500 / 6, abs=1e-4), 100.0)
    assert both[0]["mean_recall"] < both[1]["mean_recall"]
    assert each == {**as_one, "protocol": "six pictures", "ranking": "karpathy"} | {
        key: each[key] for key in ("languages", "average", "disparity", "environment")
    }


def test_the_protocol_is_named_in_the_result() -> None:
    default = evaluate(Lookup(ENCODER), benchmark(), image_features=IMAGES)
    assert (default["ranking"], default["protocol"]) == ("karpathy", "three pictures")
    other = evaluate(Lookup(ENCODER), benchmark(), image_features=IMAGES, protocol="mla")
    assert other["ranking"] == "mla"
    assert other["protocol"].startswith("three pictures; protocol mla, image → text: ")


def test_an_unknown_protocol_is_refused_with_a_guess() -> None:
    with pytest.raises(ConfigError, match="unknown protocol 'karpaty'") as caught:
        evaluate(Lookup(ENCODER), benchmark(), image_features=IMAGES, protocol="karpaty")
    assert "did you mean 'karpathy'" in caught.value.hint


def test_tensors_of_any_kind_are_taken() -> None:
    plain = evaluate(Lookup(ENCODER), benchmark(), image_features=IMAGES)
    tensors = evaluate(AsTensor(ENCODER), benchmark(), image_features=torch.tensor(IMAGES, dtype=torch.bfloat16))
    assert tensors["languages"] == plain["languages"]


def test_the_result_is_plain_json_and_says_how_it_was_made() -> None:
    result = evaluate(Lookup(ENCODER), benchmark(), ["de"], image_features=IMAGES, model="m")
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert (result["format"], result["benchmark"], result["model"]) == (1, "three", "m")
    assert result["protocol"] == "three pictures"
    assert {"glotclip", "torch", "python", "date", "threads"} <= set(result["environment"])


def test_intervals_hold_the_score_repeat_and_can_be_left_out() -> None:
    rng = np.random.default_rng(0)
    texts = [f"t{i}" for i in range(60)]
    features = rng.standard_normal((30, 8))
    near = np.repeat(features, 2, axis=0) + 0.8 * rng.standard_normal((60, 8))
    encoder = Lookup({("en", text): list(row) for text, row in zip(texts, near, strict=True)})
    many = Benchmark(
        "noisy", tuple(Path(f"{i}.png") for i in range(30)), {"en": [Caption(t, i // 2) for i, t in enumerate(texts)]}
    )
    entry = evaluate(encoder, many, image_features=features)["languages"]["en"]["text_to_image"]
    low, high = entry["ci95"]["r@1"]
    assert 0 < low < entry["r@1"] < high < 100
    again = evaluate(encoder, many, image_features=features)["languages"]["en"]["text_to_image"]
    assert again == entry
    short = evaluate(encoder, many, image_features=features, draws=0)
    assert "ci95" not in short["languages"]["en"]["text_to_image"]


def test_codes_are_normalised_and_unknown_ones_named() -> None:
    assert list(evaluate(Lookup(ENCODER), benchmark(), ["DE"], image_features=IMAGES)["languages"]) == ["de"]
    with pytest.raises(LanguageError, match=r"no captions in 'fr'\n.*it has: en, de"):
        evaluate(Lookup(ENCODER), benchmark(), ["fr"], image_features=IMAGES)
    with pytest.raises(LanguageError, match="no language"):
        evaluate(Lookup(ENCODER), benchmark(), [], image_features=IMAGES)


@pytest.mark.parametrize(
    ("features", "rows", "message"),
    [
        (IMAGES[:2], None, "2 image features for the 3 images"),
        (IMAGES, [0, 1], "does not fit 3 images"),
        (IMAGES, [0, 1, 3], "does not fit 3 images"),
        (IMAGES, [0, 1, -2], "does not fit 3 images"),
        (IMAGES, [-1, -1, -1], "no image of 'three' could be read"),
        (IMAGES, [-1, -1, 0], "no image with a caption in 'de'"),
        (IMAGES * np.nan, None, "images of three: 3 of 3 rows are not finite"),
        (IMAGES[:, :2] + 1, None, "3 dimensions, the gallery has 2"),
    ],
)
def test_features_that_do_not_fit_are_an_error(features: Any, rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(Lookup(ENCODER), benchmark(), image_features=features, image_rows=rows)


def test_an_encoder_that_loses_texts_is_an_error() -> None:
    class Lossy(Lookup):
        def encode_text(self, texts: Sequence[str], lang: str) -> NDArray[np.floating]:
            return super().encode_text(texts[1:], lang)

    one = replace(benchmark(), subsets={})
    with pytest.raises(DataError, match="gave 3 features for 4 texts in 'en'"):
        evaluate(Lossy(ENCODER), one, image_features=IMAGES)


def test_identical_images_are_warned_of_and_scored_as_one_beside_the_usual_score() -> None:
    """The second dog is the same picture: the usual R@1 counts it as wrong, and so does the result that says so."""
    twice = replace(
        benchmark(),
        images=(Path("dog.png"), Path("cat.png"), Path("sun.png"), Path("same-dog.png")),
        captions={"en": [Caption("dog", 0), Caption("cat", 1), Caption("sun", 2)]},
        subsets={},
    )
    features = np.concatenate([IMAGES, 3 * IMAGES[:1]])  # equal once normalised
    with pytest.warns(DuplicateWarning, match="2 of the 4 images of three have exactly the same feature"):
        result = evaluate(Lookup(ENCODER), twice, image_features=features, draws=0)
    assert result["languages"]["en"]["text_to_image"]["r@1"] == pytest.approx(66.6667)
    assert result["duplicates"] == {
        "images": 2,
        "groups": 1,
        "merged": {"en": {"text_to_image.r@1": 100.0, "image_to_text.r@1": 100.0}},
    }
    (section,) = report.from_run(results={"three": result}).sections
    assert "2 of the images are identical to another (1 groups)" in section.text
    assert "en 100.0 and 100.0" in section.text


def test_captions_of_identical_images_are_right_for_each_of_them_once_merged() -> None:
    twice = replace(
        benchmark(),
        images=(Path("dog.png"), Path("same-dog.png"), Path("sun.png")),
        captions={"en": [Caption("dog", 0), Caption("hound", 1), Caption("sun", 2)]},
        subsets={},
    )
    features = IMAGES[[0, 0, 2]]
    with pytest.warns(DuplicateWarning):
        result = evaluate(Lookup(ENCODER), twice, image_features=features, draws=0)
    assert result["languages"]["en"]["image_to_text"]["r@1"] == pytest.approx(
        66.6667
    )  # dog's caption is nearer to both
    assert result["duplicates"]["merged"]["en"]["image_to_text.r@1"] == 100


def test_without_identical_images_there_is_nothing_to_say() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = evaluate(Lookup(ENCODER), benchmark(), image_features=IMAGES, draws=0)
    assert result["duplicates"] == {"images": 0, "groups": 0, "merged": {}}
    assert "identical" not in report.from_run(results={"three": result}).sections[0].text
