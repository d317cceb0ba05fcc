"""Answering queries over one model's vectors of a library.

Shapes: L readings of a query in its possible languages, T terms of a query, n vectors of the background, E embedding.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from glotclip.errors import ConfigError
from glotclip.languages import check_installed
from glotclip.library import calibration, records
from glotclip.library.answer import Answer, Hit
from glotclip.library.calibration import Background
from glotclip.library.catalogue import Catalogue
from glotclip.library.encoder import Encoder, Floats, LanguageGuess
from glotclip.library.filters import Filters, items_among
from glotclip.library.hashes import NEAR, distances
from glotclip.library.query import Picture, Term
from glotclip.library.ranking import FIRST, ranked
from glotclip.library.records import Model, Numbers
from glotclip.library.stores import engine_of
from glotclip.library.stores.protocol import VectorStore

AUTO = "auto"
#: Cosine from which items whose hashes are near are one.
SAME = 0.95
DEEPEST = 10_000  # hits that can be listed
_PASSED_OVER = 1000  # hidden rows at most that are passed over when they are met; of more, all others are named
#: Where this process ranks, more threads than processors only take the interpreter's lock from one another.
_TURNS = threading.BoundedSemaphore(os.cpu_count() or 1)


@dataclass(frozen=True)
class View:
    """What a model shows of a library at one moment; it never changes.

    Attributes:
        generation: of the catalogue.
        rows: of vectors of items that are shown, ascending.
        items: the item of each row.
        moments: the second of each row in a video, else NaN.
        sample: vectors of the background (n, E).
        shown: how many items the library shows.
        others: rows of the store that are not among them, such as those of hidden items.
    """

    generation: int
    rows: Numbers
    items: Numbers
    moments: Floats
    sample: Floats
    shown: int
    others: int

    @classmethod
    def of(cls, catalogue: Catalogue, store: VectorStore, model: Model) -> View:
        """Read what is there now."""
        generation = catalogue.generation
        found = catalogue.rows(
            "SELECT row, item, t FROM vec JOIN item ON item.id = item WHERE model = ? AND state = ? ORDER BY row",
            (model.id, records.SHOWN),
        )
        rows = np.asarray([row for row, _, _ in found], np.int64)
        stored = store.rows()
        present = np.isin(rows, stored, assume_unique=True)  # all, unless a store lost some
        rows, found = rows[present], [each for each, there in zip(found, present, strict=True) if there]
        places = np.unique(np.linspace(0, max(0, len(rows) - 1), min(len(rows), calibration.SAMPLE)).astype(np.int64))
        sample = store.get(rows[places]) if len(rows) else np.zeros((0, model.dim), np.float32)
        shown = catalogue.value("SELECT count(*) FROM item WHERE state = ?", (records.SHOWN,))
        return cls(
            generation,
            rows,
            np.asarray([item for _, item, _ in found], np.int64),
            np.asarray([np.nan if moment is None else moment for _, _, moment in found], np.float32),
            sample,
            int(shown),
            len(stored) - len(rows),
        )

    def vector(self, store: VectorStore, item: int) -> Floats:
        """The normalised mean of an item's vectors (E,).

        Raises:
            ConfigError: if the library shows no such item.
        """
        rows = self.rows[self.items == item]
        if not len(rows):
            raise ConfigError(f"the library shows no item {item}", hint="take the number from an answer")
        mean = store.get(rows).mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)

    def places(self, rows: Sequence[int]) -> Numbers:
        """Where rows are in :attr:`rows`, −1 for those that are not there."""
        found = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        return np.where(self.rows[found] == rows, found, -1)


@dataclass(frozen=True, slots=True)
class Question:
    """A query as vectors: one for each reading, with their weights, and the background of each."""

    vectors: Floats
    weights: tuple[float, ...]
    backgrounds: tuple[Background | None, ...]
    lang: str | None
    guess: LanguageGuess | None
    shares: Mapping[str, float]


def ask(
    encoder: Encoder | None, model: Model, view: View, store: VectorStore, terms: Sequence[Term], lang: str | None
) -> Question:
    """Encode a query, with an encoder of the model unless it consists of items alone.

    Several terms are added so that each has an equal say: a term's vector is divided by the deviation of its scores
    with the background, since cosines with pictures spread more widely for pictures than for texts.

    Raises:
        LanguageError: if the language is not installed.
        ImageError: if a picture of the query cannot be read.
        ConfigError: if the library shows no item of the query's number.
    """
    texts = [str(term.content) for term in terms if term.is_text]
    guess: LanguageGuess | None = None
    code, shares = "", {"": 1.0}
    pictures = np.zeros((0, 0), np.float32)
    if encoder is not None:
        if texts and lang in (None, "", AUTO):
            guess = encoder.guess([" ".join(texts)])[0]
            code, shares = guess.lang, guess.plausible
        elif texts and lang:
            code = check_installed(lang, encoder.languages)
            shares = {code: 1.0}
        pictures = _pictures(encoder, [term.content for term in terms if term.is_picture])
    readings = []
    for each in shares:
        encoded = encoder.encode_texts(texts, [each] * len(texts)) if encoder and texts else pictures[:0]
        parts, words, images = [], iter(encoded), iter(pictures)
        for term in terms:
            if isinstance(term.content, int):
                vector = view.vector(store, term.content)
            else:
                vector = next(words) if term.is_text else next(images)
            background = Background.of(view.sample @ vector) if len(terms) > 1 else None
            parts.append(term.weight * vector / (background.spread if background else 1.0))
        readings.append(np.sum(parts, axis=0))
    vectors = np.stack(readings).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    calibrated = model.calibration if encoder is None else encoder.calibration
    backgrounds = tuple(Background.of(view.sample @ vector, len(view.rows), calibrated) for vector in vectors)
    told = {} if not texts else dict(shares)
    return Question(vectors, tuple(shares.values()), backgrounds, code or None, guess, told)


def _pictures(encoder: Encoder, contents: Sequence[Picture | int]) -> Floats:
    if not contents:
        return np.zeros((0, encoder.dim), np.float32)
    from glotclip.models.image_files import check_size, opened, readable, upright

    pixels = []
    for content in contents:
        if isinstance(content, Image.Image):
            with readable("the image"):
                check_size(content, "the image")
                pixels.append(encoder.preprocess(upright(content)))
        elif not isinstance(content, int):
            with opened(Path(content)) as image:
                pixels.append(encoder.preprocess(upright(image, encoder.decode_size)))
    return encoder.encode_images(pixels)


@dataclass(slots=True)
class _Group:
    """A hit and the items folded into it."""

    item: int
    row: int
    score: float
    probability: float | None
    dhash: int
    vector: Floats
    duplicates: list[int]


def answer(
    catalogue: Catalogue,
    store: VectorStore,
    model: Model,
    view: View,
    question: Question,
    filters: Filters,
    *,
    limit: int,
    offset: int,
    min_score: float | None,
    min_probability: float | None,
    fold: bool,
    without: Sequence[int] = (),
) -> Answer:
    """Rank, cut, fold and page.

    Raises:
        ConfigError: if the page makes no sense.
    """
    check_page(limit, offset)
    among: Numbers | None = None
    items = view.items
    if filters.given:
        passing = np.isin(view.items, items_among(catalogue, filters))
        among, items = view.rows[passing], view.items[passing]
    elif view.others > _PASSED_OVER:  # what is hidden has vectors, too
        among = view.rows
    known = all(each is not None for each in question.backgrounds)
    cutoff = (calibration.CUTOFF if min_probability is None else min_probability) if known else None
    groups: list[_Group] = []
    complete = True
    with _TURNS if engine_of(store.url) == "file" else contextlib.nullcontext():
        if len(items):
            groups, complete = _folded(
                catalogue, store, view, question, among, cutoff, min_score, fold, offset + limit, without
            )
    page = groups[offset : offset + limit]
    indexed = len(np.unique(view.items))
    return Answer(
        _hits(catalogue, view, page), offset, len(groups) > offset + limit, len(groups) if complete else None,
        len(np.unique(items)), cutoff, model.name, question.lang, question.guess, question.shares,
        view.shown - indexed,
    )  # fmt: skip


def check_page(limit: int, offset: int) -> None:
    """Raise :class:`ConfigError` for a page that cannot be."""
    if limit < 1 or offset < 0 or offset + limit > DEEPEST:
        raise ConfigError(
            f"there is no page of {limit} hits from {offset} on",
            hint=f"give a limit from 1 and an offset from 0, {DEEPEST:,} together at most",
        )


def _folded(
    catalogue: Catalogue,
    store: VectorStore,
    view: View,
    question: Question,
    among: Numbers | None,
    cutoff: float | None,
    min_score: float | None,
    fold: bool,
    wanted: int,
    without: Sequence[int],
) -> tuple[list[_Group], bool]:
    """The hits, best first, until one is below what is asked, or more than wanted are there; whether these are all.

    Near-duplicates go to the best of them.
    """
    groups: list[_Group] = []
    hashes: list[int] = []
    seen: set[int] = {*without}
    probability = 1.0
    for batch in _batches(
        ranked(store, question.vectors, question.weights, view.sample, among, max(FIRST, 2 * wanted)), FIRST
    ):
        places = view.places([each.row for each in batch])
        batch, places = [each for each, place in zip(batch, places, strict=True) if place >= 0], places[places >= 0]
        numbers = view.items[places].tolist()
        looks = dict(catalogue.rows_of("SELECT id, dhash FROM item WHERE id IN ({})", numbers))
        vectors = store.get(view.rows[places])
        for each, item, vector in zip(batch, numbers, vectors, strict=True):
            background = question.backgrounds[each.reading]
            if cutoff is not None and background is not None:
                # In the order of the ranking: of several readings a lower one may suit better by itself.
                probability = min(probability, background.probability(each.score))
                if probability < cutoff:
                    return groups, True
            if min_score is not None and each.score < min_score:
                continue
            if item in seen:  # another moment of a video
                continue
            seen.add(item)
            group = _Group(
                item,
                each.row,
                each.score,
                probability if cutoff is not None else None,
                looks.get(item) or 0,
                vector,
                [],
            )
            alike = _same(group, groups, hashes) if fold else None
            if alike is not None:
                alike.duplicates.append(item)
                continue
            groups.append(group)
            hashes.append(group.dhash)
        if len(groups) > wanted:
            return groups, False
    return groups, True


def _same(group: _Group, groups: Sequence[_Group], hashes: Sequence[int]) -> _Group | None:
    if not groups:
        return None
    for place in np.flatnonzero(distances(group.dhash, np.asarray(hashes, np.int64)) <= NEAR):
        if float(groups[int(place)].vector @ group.vector) >= SAME:
            return groups[int(place)]
    return None


def _batches(source: Iterator[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for each in source:
        batch.append(each)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _hits(catalogue: Catalogue, view: View, groups: Sequence[_Group]) -> tuple[Hit, ...]:
    about = records.items(catalogue, [group.item for group in groups])
    moments = view.moments[view.places([group.row for group in groups])].tolist() if groups else []
    found = []
    for group, moment in zip(groups, moments, strict=True):
        item = about.get(group.item)
        if item is None:  # it went away while the query was answered
            continue
        found.append(
            Hit(
                item, group.score, group.probability, None if np.isnan(moment) else round(moment, 3),
                tuple(group.duplicates),
            )
        )  # fmt: skip
    return tuple(found)


def duplicates(catalogue: Catalogue, store: VectorStore, view: View) -> list[tuple[int, ...]]:
    """All groups of near-duplicates among the items that a library shows."""
    items, first = np.unique(view.items, return_index=True)
    looks = dict(catalogue.rows("SELECT id, dhash FROM item"))
    hashes = np.asarray([looks.get(item) or 0 for item in items.tolist()], np.int64)
    group_of: dict[int, int] = {}
    for place in range(len(items)):
        if place in group_of:
            continue
        later = place + 1 + np.flatnonzero(distances(int(hashes[place]), hashes[place + 1 :]) <= NEAR)
        later = np.asarray([each for each in later.tolist() if each not in group_of], np.int64)
        if len(later):
            vector = store.get(view.rows[first[place : place + 1]])[0]
            for other in later[store.scores(vector, view.rows[first[later]]) >= SAME].tolist():
                group_of[other] = place
    groups: dict[int, list[int]] = {}
    for other, place in sorted(group_of.items()):
        groups.setdefault(place, [int(items[place])]).append(int(items[other]))
    return [tuple(group) for _, group in sorted(groups.items())]
