"""Retrieval between images and texts, language by language, as one self-describing JSON.

``languages.<code>.text_to_image."r@1"`` of a result is a score. R@K, MRR and mean recall are in percent,
``median_rank`` counts from 1, all are rounded to four decimals. ``subsets`` of a language holds the same keys for
each subset (one without queries is left out); ``text_subsets`` names those that divide texts instead of images.
``ranking`` names the protocol; ``protocol`` says what is measured, and how ranks are counted where it is not the
default. ``duplicates`` counts the images that have exactly the feature of another: in the scores they count against
each other, as is usual in the field. Where there are any, a warning says so, and ``duplicates.merged.<code>`` holds
R@1 in both directions with identical images taken as one.

Shapes: N images of the benchmark, n images that were read, M captions of a language, E embedding.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glotclip import __version__
from glotclip.data.similarity import Floats, Ints, distinct_rows, unit_rows
from glotclip.errors import DataError, DuplicateWarning, LanguageError
from glotclip.evaluation import metrics
from glotclip.languages import normalise_all
from glotclip.scores import DEFAULT_PROTOCOL, DIRECTIONS, PROTOCOLS, REFERENCE, check_protocol

if TYPE_CHECKING:
    from glotclip.data.benchmark import Benchmark

FORMAT = 1
SEED = 0
"""Of the bootstrap: intervals of two models are paired."""


class TextEncoder(Protocol):
    """What evaluation needs of a model."""

    def encode_text(self, texts: Sequence[str], lang: str) -> Any:
        """Return features (M, E) of texts in one language: a numpy array, or a torch tensor on any device."""
        ...


@dataclass(frozen=True)
class _Gallery:
    """Indices of the benchmark's images that could be read (n,) and of the others, and normalised features (n, E)."""

    readable: Ints
    unreadable: Ints
    images: Floats


@dataclass(frozen=True)
class _Queries:
    """Ranks of one direction, and the benchmark's image index of each query."""

    ranks: Ints
    image: Ints

    def within(self, images: NDArray[np.bool_]) -> _Queries:
        """Those about some of the benchmark's images, given as a mask (N,)."""
        return self.chosen(images[self.image])

    def chosen(self, queries: NDArray[np.bool_]) -> _Queries:
        """Some of the queries, given as a mask over them."""
        return _Queries(self.ranks[queries], self.image[queries])


def evaluate(
    encoder: TextEncoder,
    benchmark: Benchmark,
    langs: Sequence[str] | None = None,
    *,
    image_features: Any,
    image_rows: ArrayLike | None = None,
    model: str = "",
    draws: int = 1000,
    protocol: str = DEFAULT_PROTOCOL,
) -> dict[str, Any]:
    """Score retrieval in both directions for every language, over the whole gallery and per subset of queries.

    The gallery of text→image is every readable image of the benchmark, that of image→text every caption of the
    language whose image is readable. A subset restricts the queries, never the gallery. Unreadable images leave the
    gallery and the queries, and are listed in the result. Features need not be normalised.

    Args:
        encoder: encodes the captions.
        benchmark: images, captions, subsets, protocol.
        langs: which languages, all of the benchmark by default.
        image_features: (n, E), array or tensor, for example ``Features.array`` of the feature cache.
        image_rows: (N,) the row of each image in ``image_features``, −1 for one that could not be read
            (``Features.rows``); by default row i is image i.
        model: the model's name for the record.
        draws: of the bootstrap intervals of R@1; 0 leaves them out.
        protocol: how ranks are counted: a name of :data:`glotclip.scores.PROTOCOLS`.

    Raises:
        ConfigError: for an unknown protocol ("did you mean").
        LanguageError: for a language the benchmark has no captions in.
        DataError: for features that are not finite or do not fit the benchmark.
    """
    check_protocol(protocol)
    gallery = _gallery(benchmark, _array(image_features), image_rows)
    distinct, same_as = distinct_rows(gallery.images)
    duplicates = _duplicates(benchmark.name, same_as)
    languages: dict[str, dict[str, Any]] = {}
    for code in _languages(benchmark, langs):
        texts, owner, asked = _texts(encoder, benchmark, code, gallery.readable)
        queries = _ranks(texts, owner, gallery, protocol)
        masks = benchmark.text_subsets.get(code, {})
        subsets = _subset_scores(queries, benchmark, draws) | _text_subset_scores(queries, owner, masks, asked, draws)
        languages[code] = {**_scores(queries, draws), "subsets": subsets}
        if duplicates["images"]:
            duplicates["merged"][code] = _merged(texts, distinct, same_as[owner])
    return {
        "format": FORMAT,
        "benchmark": benchmark.name,
        "protocol": _said(benchmark.protocol, protocol),
        "ranking": protocol,
        "model": model,
        "gallery": benchmark.gallery,
        "gallery_images": len(gallery.readable),
        "duplicates": duplicates,
        "unreadable": [str(benchmark.images[i]) for i in gallery.unreadable],
        "languages": languages,
        "average": _average(languages),
        "disparity": _disparity(languages),
        "text_subsets": list(
            dict.fromkeys(name for code in languages for name in benchmark.text_subsets.get(code, {}))
        ),
        "interval": {"draws": draws, "seed": SEED, "level": 95, "unit": "image"},
        "environment": environment(),
    }


def _said(benchmark: str, protocol: str) -> str:
    """The benchmark's protocol, and how ranks are counted where it is not the default."""
    ranking = "" if protocol == DEFAULT_PROTOCOL else f"protocol {protocol}, {PROTOCOLS[protocol]}"
    return "; ".join(part for part in (benchmark, ranking) if part)


def environment() -> dict[str, Any]:
    """Versions, machine, threads and date: what a reader needs to trust a figure or to repeat it."""
    torch = sys.modules.get("torch")
    return {
        "glotclip": __version__,
        "torch": importlib.metadata.version("torch"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        # A model that was loaded runs with torch's threads; without torch there is nothing to count but cores.
        "threads": int(torch.get_num_threads()) if torch is not None else (os.cpu_count() or 1),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


# --- what is compared ----------------------------------------------------------------------------------------------


def _languages(benchmark: Benchmark, langs: Sequence[str] | None) -> list[str]:
    codes = list(benchmark.captions) if langs is None else normalise_all(langs)
    for code in codes:
        if not benchmark.captions.get(code):
            raise LanguageError(
                f"benchmark {benchmark.name!r} has no captions in {code!r}",
                hint=f"it has: {', '.join(benchmark.captions) or 'none'}",
            )
    if not codes:
        raise LanguageError(f"no language of {benchmark.name!r} to evaluate", hint="name at least one language")
    return codes


def _array(features: Any) -> NDArray[Any]:
    """Features as numpy; a tensor may want gradients, lie on a GPU or be bfloat16, which numpy has not."""
    return np.asarray(features.detach().cpu().float() if hasattr(features, "detach") else features)


def _gallery(benchmark: Benchmark, features: NDArray[Any], image_rows: ArrayLike | None) -> _Gallery:
    """Pick the features of the readable images, and normalise them."""
    size, count = len(benchmark.images), len(features)
    if image_rows is None and count != size:
        raise DataError(
            f"{count} image features for the {size} images of {benchmark.name!r}",
            hint="give image_rows, the feature row of each image, if some could not be read",
        )
    rows = np.arange(count) if image_rows is None else np.asarray(image_rows, dtype=np.int64)
    if rows.shape != (size,) or (size and (rows.min() < -1 or rows.max() >= count)):
        raise DataError(
            f"image_rows does not fit {size} images and {count} features",
            hint="give one row number for each image, or -1",
        )
    readable = np.flatnonzero(rows >= 0)
    if readable.size == 0:
        raise DataError(f"no image of {benchmark.name!r} could be read", hint="check the paths of the images")
    images = unit_rows(features[rows[readable]], what=f"images of {benchmark.name}")
    return _Gallery(readable, np.flatnonzero(rows < 0), images)


def _texts(encoder: TextEncoder, benchmark: Benchmark, code: str, readable: Ints) -> tuple[Floats, Ints, Ints]:
    """Encode the captions of one language whose image is readable.

    Returns:
        (M, E), the place of each one's image (M,), and which of the language's captions they are (M,).
    """
    place = np.full(len(benchmark.images), -1)
    place[readable] = np.arange(len(readable))
    asked = [n for n, caption in enumerate(benchmark.captions[code]) if place[caption.image] >= 0]
    captions = [benchmark.captions[code][n] for n in asked]
    if not captions:
        raise DataError(
            f"no image with a caption in {code!r} could be read", hint=f"check the images of {benchmark.name!r}"
        )
    encoded = _array(encoder.encode_text([caption.text for caption in captions], code))
    texts = unit_rows(encoded, what=f"texts in {code!r}")
    if len(texts) != len(captions):
        raise DataError(
            f"the encoder gave {len(texts)} features for {len(captions)} texts in {code!r}",
            hint="encode_text must return one row for each text",
        )
    return texts, place[[caption.image for caption in captions]], np.array(asked)


# --- scores --------------------------------------------------------------------------------------------------------


def _ranks(texts: Floats, owner: Ints, gallery: _Gallery, protocol: str) -> list[_Queries]:
    """Rank both directions, in the order of ``DIRECTIONS``."""
    images, readable = gallery.images, gallery.readable
    forwards = metrics.text_to_image_ranks(texts, images, owner)
    backwards = metrics.image_to_text_ranks(texts, images, owner, by_group=protocol == "mla")
    return [_Queries(forwards, readable[owner]), _Queries(backwards, readable[np.unique(owner)])]


def _scores(directions: Sequence[_Queries], draws: int) -> dict[str, Any]:
    scores: dict[str, Any] = {}
    for direction, queries in zip(DIRECTIONS, directions, strict=True):
        entry: dict[str, Any] = {f"r@{k}": _round(metrics.recall_at(queries.ranks, k)) for k in metrics.RECALLS}
        entry["median_rank"] = _round(metrics.median_rank(queries.ranks))
        entry["mrr"] = _round(metrics.mean_reciprocal_rank(queries.ranks))
        entry["n_queries"] = int(queries.ranks.size)
        if draws:
            hits = 100.0 * (queries.ranks < 1)
            bounds = metrics.bootstrap_interval(hits, queries.image, draws=draws, seed=SEED)
            entry["ci95"] = {"r@1": [_round(bound) for bound in bounds]}
        scores[direction] = entry
    scores["mean_recall"] = _round(metrics.mean_recall(*(queries.ranks for queries in directions)))
    return scores


def _subset_scores(directions: Sequence[_Queries], benchmark: Benchmark, draws: int) -> dict[str, Any]:
    """Scores of the queries of each subset that has some in both directions."""
    subsets = {
        name: [queries.within(np.asarray(mask, dtype=bool)) for queries in directions]
        for name, mask in benchmark.subsets.items()
    }
    return {name: _scores(both, draws) for name, both in subsets.items() if all(each.ranks.size for each in both)}


def _text_subset_scores(
    directions: Sequence[_Queries], owner: Ints, masks: Mapping[str, NDArray[np.bool_]], asked: Ints, draws: int
) -> dict[str, Any]:
    """Scores of the texts of each subset, and of the images that no text outside it describes.

    Args:
        directions: all queries, text → image and image → text.
        owner: (M,) the image of each text that was asked.
        masks: the subsets, over all captions of the language.
        asked: (M,) which of those were asked.
        draws: of the bootstrap.
    """
    forwards, backwards = directions
    _, described = np.unique(owner, return_inverse=True)
    scores = {}
    for name, mask in masks.items():
        chosen = mask[asked]
        outside = np.bincount(described, weights=~chosen)
        both = [forwards.chosen(chosen), backwards.chosen(outside == 0)]
        if all(each.ranks.size for each in both):
            scores[name] = _scores(both, draws)
    return scores


def _duplicates(name: str, same_as: Ints) -> dict[str, Any]:
    """Count identical images, given for each which distinct one it is, and warn of them."""
    times = np.bincount(same_as)
    images, groups = int(times[times > 1].sum()), int((times > 1).sum())
    if images:
        warnings.warn(
            f"{images:,} of the {len(same_as):,} images of {name} have exactly the same feature as another, and "
            "count against each other; `duplicates` in the result holds R@1 with identical images taken as one",
            DuplicateWarning,
            stacklevel=3,
        )
    return {"images": images, "groups": groups, "merged": {}}


def _merged(texts: Floats, distinct: Floats, owner: Ints) -> dict[str, float]:
    """R@1 in both directions with identical images taken as one, whose captions are those of all."""
    both = metrics.text_to_image_ranks(texts, distinct, owner), metrics.image_to_text_ranks(texts, distinct, owner)
    return {f"{d}.r@1": _round(metrics.recall_at(ranks, 1)) for d, ranks in zip(DIRECTIONS, both, strict=True)}


def _average(languages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Average every score over the languages, and over those that have the subset for each subset."""
    by_subset: dict[str, list[Mapping[str, Any]]] = {}
    for scores in languages.values():
        for name, part in scores["subsets"].items():
            by_subset.setdefault(name, []).append(part)
    return {
        **_mean_scores(list(languages.values())),
        "subsets": {name: _mean_scores(entries) for name, entries in by_subset.items()},
    }


def _mean_scores(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keys = [*(f"r@{k}" for k in metrics.RECALLS), "mrr"]
    result: dict[str, Any] = {
        direction: {key: _round(float(np.mean([entry[direction][key] for entry in entries]))) for key in keys}
        for direction in DIRECTIONS
    }
    return {**result, "mean_recall": _round(float(np.mean([entry["mean_recall"] for entry in entries])))}


def _disparity(languages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Disparity measures and the gap to English, of R@1 in each direction and of the mean recall."""
    tables = {f"{d}.r@1": {code: scores[d]["r@1"] for code, scores in languages.items()} for d in DIRECTIONS}
    tables["mean_recall"] = {code: scores["mean_recall"] for code, scores in languages.items()}
    result: dict[str, Any] = {"reference": REFERENCE}
    for name, table in tables.items():
        entry: dict[str, Any] = {key: _round(value) for key, value in metrics.disparity(table).items()}
        if REFERENCE in table:
            entry["gaps"] = {code: _round(gap) for code, gap in metrics.gaps(table).items()}
        result[name] = entry
    return result


def _round(value: float) -> float:
    return round(value, 4)
