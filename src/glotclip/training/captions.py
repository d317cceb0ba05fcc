"""From a corpus to training data: captions, and the frozen features they are pulled towards.

Shapes: M captions, E embedding.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache as memoised
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from glotclip.data.features import FeatureCache, Features
from glotclip.data.schema import Corpus, Row, SkippedItem
from glotclip.errors import DataError
from glotclip.methods.objective import Learns
from glotclip.models.dual_encoder import DualEncoder
from glotclip.textforms import visible

Progress = Callable[[str, int, int], None]
Form = Callable[[str], str]
PIVOT = "en"  # the language whose features the cross-lingual loss pulls towards


@dataclass(frozen=True, eq=False)
class Captions:
    """The training captions of one language.

    Attributes:
        texts: M captions, in the form they are learnt in.
        target_features: frozen features of the texts they are aligned with, English counterparts as a rule; row −1
            where there is none.
        images: features of their images or videos; row −1 where there is none.
        groups: int64 (M,), equal for captions of one image, in whatever language.
        facts: name, licence and size of the data, for the pack's manifest.
        skipped: images and videos that could not be read, or not to their end.
        target_texts: the texts they are aligned with, where those are encoded in every step; else empty.
        targets_cut: how many of the texts that the frozen base encodes are longer than its context.
        written: the captions as people wrote them, as queries are guessed at; empty where they are ``texts``.
        english: their English counterparts, where a method begins with them; else empty.
        parts: int64 (M,), which of ``weights`` each caption belongs to; empty where all are of one source.
        weights: of the parts of a mixture, by name: what share of a batch each gets.
    """

    texts: tuple[str, ...]
    target_features: Features
    images: Features
    groups: npt.NDArray[np.int64]
    facts: dict[str, Any]
    skipped: tuple[SkippedItem, ...] = ()
    target_texts: tuple[str | None, ...] = ()
    targets_cut: int = 0
    written: tuple[str, ...] = ()
    english: tuple[str | None, ...] = ()
    parts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    weights: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def of_batches(self) -> npt.NDArray[np.int64]:
        """The captions that batches are drawn from: those with something to be aligned with; all, if none has."""
        aligned = (self.target_features.rows >= 0) | (self.images.rows >= 0)
        if self.target_texts:
            aligned |= np.array([text is not None for text in self.target_texts])
        return np.flatnonzero(aligned if aligned.any() else ~aligned)

    def identity(self) -> str:
        """Hash of everything that decides what a run learns from these captions."""
        digest = hashlib.sha256("\0".join(self.texts).encode())
        if self.english:
            digest.update("\0".join(text or "" for text in self.english).encode())
        digest.update("\0".join(text or "" for text in self.target_texts).encode())
        for features in (self.target_features, self.images):
            held = features.rows >= 0
            digest.update(held.tobytes())
            digest.update(np.ascontiguousarray(features.array[features.rows[held]]).tobytes())
        digest.update(self.groups.tobytes())
        if self.weights:
            digest.update(repr(sorted(self.weights.items())).encode())
            digest.update(self.parts.tobytes())
        return digest.hexdigest()[:32]


def collect(
    corpus: Corpus,
    language: str,
    base: DualEncoder,
    cache: FeatureCache,
    *,
    with_images: bool,
    with_target_features: bool = True,
    with_target_texts: bool = False,
    with_english: bool = False,
    seen: int | None = None,
    form: Form = str,
    target_form: Form = str,
    learns: Learns = "captions",
    progress: Progress = lambda what, done, total: None,
) -> Captions:
    """Gather the training captions of a language; features come from the cache or are computed into it.

    Args:
        corpus: any corpus; its rows of split "train" are used.
        language: the language's code.
        base: the frozen dual encoder.
        cache: the feature cache of ``base``.
        with_images: whether the objective needs images; if not, none is opened.
        with_target_features: whether it needs, of the texts that captions are aligned with, the features under the
            frozen base.
        with_target_texts: whether it needs those texts themselves, to encode them in every step.
        with_english: whether the method begins with English counterparts as texts.
        seen: how many captions batches will have at most. With ``with_english`` features are made of so many only,
            chosen by hash and, in a mixture, from each part by its share.
        form: brings captions to the form they are learnt in.
        target_form: likewise for the texts that they are aligned with.
        learns: whether the captions are learnt, the English texts of the corpus, or both.
        progress: called with (what, done, total) while features are computed.

    Raises:
        DataError: if the language has no captions that the objective could use.
    """
    every = _learnt(corpus, language, learns)
    rows = [row for row in every if visible(row.text)]
    unseen = [row for row in every if not visible(row.text)]
    form, target_form = memoised(form), memoised(target_form)  # a dictionary repeats its texts, sense by sense
    texts = [(target_form if row.lang == PIVOT else form)(row.text) for row in rows]
    targets = [_target_text(row, text, target_form) for row, text in zip(rows, texts, strict=True)]
    wanted = [None] * len(rows) if not with_target_features else targets
    if with_english and with_target_features and seen is not None and seen < len(rows):
        chosen = _chosen(rows, targets, seen, corpus.weights)
        wanted = [text if place in chosen else None for place, text in enumerate(targets)]
    frozen = _text_features(wanted, base, cache, progress)
    images = _image_features(corpus, rows if with_images else [], len(rows), base, cache, progress)
    as_text = with_target_texts or with_english
    aligned = (frozen.rows >= 0) | np.array([as_text and text is not None for text in targets], dtype=bool)
    useful = np.flatnonzero(aligned | (images.rows >= 0))
    if not len(useful):
        needed = ["a text to align with"] * (with_target_features or as_text)
        needed += ["a readable image"] * with_images
        raise DataError(
            f"{corpus.name} has no training captions in {language!r} with {' or '.join(needed)}",
            hint=f"languages with captions: {', '.join(corpus.languages) or 'none'}; check columns and split",
        )
    kept = [targets[place] for place in useful]
    reasons = (f"nothing of the {row.lang} caption {row.text!r} is seen" for row in unseen)
    return Captions(
        texts=tuple(texts[place] for place in useful),
        target_features=replace(frozen, rows=frozen.rows[useful]),
        images=replace(images, rows=images.rows[useful]),
        groups=np.array([group_of(rows[place].key, targets[place]) for place in useful], dtype=np.int64),
        facts={"name": corpus.name, "licence": corpus.licence, "captions": len(useful)},
        skipped=(*(SkippedItem(corpus.name, None, reason) for reason in reasons), *images.skipped),
        target_texts=tuple(kept) if with_target_texts else (),
        targets_cut=_cut([wanted[place] for place in useful], base) if with_target_features else 0,
        english=tuple(kept) if with_english else (),
        written=tuple(rows[place].text for place in useful if rows[place].lang != PIVOT or language == PIVOT),
        parts=_parts([rows[place] for place in useful], corpus),
        weights=dict(corpus.weights),
    )


def _chosen(rows: Sequence[Row], targets: Sequence[str | None], most: int, weights: Mapping[str, float]) -> set[int]:
    """Places of at most so many rows with a target, by the hash of the texts; of a mixture each part by its share."""
    places: dict[str | None, list[int]] = {}
    for place, row in enumerate(rows):
        if targets[place] is not None:
            places.setdefault(row.part if weights else None, []).append(place)
    total = sum(weights.values()) or 1.0
    chosen: set[int] = set()
    for part, own in places.items():
        share = weights[part] / total if part is not None and weights else 1.0
        hashes = {place: zlib.crc32(f"{rows[place].text}\0{targets[place]}".encode()) for place in own}
        chosen.update(sorted(own, key=lambda place: (hashes[place], place))[: math.ceil(most * share)])
    return chosen


def _parts(rows: Sequence[Row], corpus: Corpus) -> npt.NDArray[np.int64]:
    """Which part of a mixture each row is of; empty without one."""
    number = {name: place for place, name in enumerate(corpus.weights)}
    return np.array([number[row.part] for row in rows] if number else [], dtype=np.int64)


def _learnt(corpus: Corpus, language: str, learns: Learns) -> tuple[Row, ...]:
    """The training rows of a language, their English counterparts as rows of their own, each once, or both."""
    own = corpus.select(lang=language, split="train").rows
    if learns == "captions" or language == PIVOT:
        return own
    english = {row.english: row for row in reversed(own) if row.english is not None}
    english |= {row.text: row for row in reversed(corpus.select(lang=PIVOT, split="train").rows)}
    added = [replace(row, text=text, lang=PIVOT, english=None) for text, row in reversed(english.items())]
    return (*(own if learns == "both" else ()), *added)


def _target_text(row: Row, text: str, form: Form) -> str | None:
    """The text a caption is aligned with; an English caption is its own (CLL-CLIP §2)."""
    if row.lang == PIVOT:
        return text
    return form(row.english) if row.english is not None and visible(row.english) else None


def _cut(texts: Sequence[str | None], base: DualEncoder) -> int:
    """How many texts are longer than the base's context."""
    return len(base.tokenizer.encode([text for text in texts if text is not None]).truncated)


def group_of(key: str | None, target_text: str | None) -> int:
    """A number for the image or video of a row of this key, the same in every language and run."""
    key = key or f"text:{target_text}"
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:8], "big", signed=True)


def _text_features(
    texts: Sequence[str | None], base: DualEncoder, cache: FeatureCache, progress: Progress
) -> Features:
    def encode(texts: list[str]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return base.encode_tokens(base.tokenizer.encode(texts)).cpu().numpy()

    known = [text for text in texts if text is not None]
    found = cache.texts(known, encode, progress=partial(progress, "English captions"))
    return _spread(found, [text is not None for text in texts], base.embed_dim)


def _image_features(
    corpus: Corpus, rows: Sequence[Row], total: int, base: DualEncoder, cache: FeatureCache, progress: Progress
) -> Features:
    """Features of what ``rows`` show; none of these rows means that all ``total`` have no features."""

    def encode(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return base.encode_pixels(torch.from_numpy(pixels)).cpu().numpy()

    videos = {row.video for row in rows if row.video is not None and row.image is None}
    paths = [row.image or row.video for row in rows] or [None] * total  # a row with both is trained on its image
    known = [path for path in paths if path is not None]
    images = [path for path in known if path not in videos]
    found = cache.images(images, base.preprocess.load, encode, progress=partial(progress, "images"))
    if videos:
        seen = cache.videos(
            [path for path in known if path in videos], base.preprocess.load, encode,
            sampling=corpus.sampling, progress=partial(progress, "videos"),
        )  # fmt: skip
        found = _interleave(found, seen, np.array([path in videos for path in known]))
    return _spread(found, [path is not None for path in paths], base.embed_dim)


def _interleave(images: Features, videos: Features, of_video: npt.NDArray[np.bool_]) -> Features:
    """Join the features of images and of videos, whose inputs alternate as ``of_video`` says."""
    skipped = (*images.skipped, *videos.skipped, *videos.warnings)
    rows = np.empty(len(of_video), dtype=np.int64)
    if of_video.all():
        return Features(videos.array, videos.rows, skipped)
    rows[~of_video] = images.rows
    rows[of_video] = np.where(videos.rows >= 0, videos.rows + len(images.array), -1)
    filled = [array for array in (images.array, videos.array) if len(array)] or [images.array]
    return Features(np.concatenate(filled), rows, skipped)


def _spread(found: Features, present: Sequence[bool], width: int) -> Features:
    """Align features of the inputs that exist with all rows; the others get row −1."""
    rows = np.full(len(present), -1, dtype=np.int64)
    rows[np.flatnonzero(present)] = found.rows
    array = found.array if len(found.array) else np.zeros((0, width), np.float32)
    return Features(array, rows, found.skipped)
