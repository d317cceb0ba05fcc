"""From a corpus to what the loop needs: captions, and the frozen features they are pulled towards.

Shapes: M captions, E embedding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from glotclip.data.features import FeatureCache, Features
from glotclip.data.schema import Corpus, Row, SkippedItem
from glotclip.errors import DataError
from glotclip.models.dual_encoder import DualEncoder
from glotclip.textforms import visible

Progress = Callable[[str, int, int], None]
Form = Callable[[str], str]
PIVOT = "en"  # the language whose features the cross-lingual loss pulls towards


@dataclass(frozen=True, eq=False)
class Captions:
    """The training captions of one language.

    Attributes:
        texts: M captions.
        partner: frozen features of the texts they are aligned with, English counterparts as a rule; row −1 where
            there is none.
        images: features of their pictures or videos; row −1 where there is none.
        groups: int64 (M,), equal for captions of one picture, in whatever language.
        facts: name, licence and size of the data, for the pack's manifest.
        bad: pictures and videos that could not be read, or not to their end.
        partners: the texts they are aligned with, where those are encoded in every step; else empty.
        written: the captions as people wrote them, as queries are guessed at; empty where they are ``texts``.
        partners_cut: how many of the texts that the frozen base encodes are longer than its context.
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

    def __len__(self) -> int:
        return len(self.texts)

    def identity(self) -> str:
        """Hash of everything that decides what a run learns from these captions."""
        digest = hashlib.sha256("\0".join(self.texts).encode())
        digest.update("\0".join(target_features or "" for target_features in self.target_texts).encode())
        for features in (self.target_features, self.images):
            held = features.rows >= 0
            digest.update(held.tobytes())
            digest.update(np.ascontiguousarray(features.array[features.rows[held]]).tobytes())
        digest.update(self.groups.tobytes())
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
    form: Form = str,
    target_form: Form = str,
    progress: Progress | None = None,
) -> Captions:
    """Gather the training captions of a language; features come from the cache or are computed into it.

    Args:
        corpus: any corpus; its rows of split "train" are used.
        language: the language's code.
        base: the frozen dual encoder.
        cache: the feature cache of ``base``.
        with_images: whether the objective needs pictures; if not, none is opened.
        partner_features: whether the objective needs, of the texts that captions are aligned with, the features
            under the frozen base.
        partner_texts: whether it needs those texts themselves, to encode them in every step.
        form: brings captions to the form they are learnt in.
        partner_form: likewise for the texts that they are aligned with.
        progress: called with (what, done, total) while features are computed.

    Raises:
        DataError: if the language has no captions that the objective could use.
    """
    written, unseen = _seen(corpus.select(lang=language, split="train").rows, corpus.name)
    rows = [_formed(row, form, target_form) for row in written]
    say = progress or (lambda what, done, total: None)
    frozen = _partners(rows if with_target_features else [], len(rows), base, cache, partial(say, "English captions"))
    texts = [_counterpart(row) if with_target_texts else None for row in rows]
    images = _images(replace(corpus, rows=tuple(rows) if with_images else ()), len(rows), base, cache, say)
    aligned = (frozen.rows >= 0) | np.array([text is not None for text in texts], dtype=bool)
    useful = np.flatnonzero(aligned | (images.rows >= 0))
    if not len(useful):
        needed = ["a text to align with"] * (with_target_features or with_target_texts) + [
            "a readable picture"
        ] * with_images
        raise DataError(
            f"{corpus.name} has no training captions in {language!r} with {' or '.join(needed)}",
            hint=f"languages with captions: {', '.join(corpus.languages) or 'none'}; check columns and split",
        )
    kept = [rows[place] for place in useful]
    return Captions(
        texts=tuple(row.text for row in kept),
        target_features=replace(frozen, rows=frozen.rows[useful]),
        images=replace(images, rows=images.rows[useful]),
        groups=np.array([group_of(row) for row in kept], dtype=np.int64),
        facts={"name": corpus.name, "licence": corpus.licence, "captions": len(kept)},
        skipped=(*unseen, *images.skipped),
        target_texts=tuple(texts[place] for place in useful) if with_target_texts else (),
        targets_cut=_cut([_counterpart(row) for row in kept], base) if with_target_features else 0,
        written=tuple(written[place].text for place in useful),
    )


def _seen(rows: Sequence[Row], source: str) -> tuple[list[Row], tuple[SkippedItem, ...]]:
    """The rows whose caption shows anything, and a line on each of the others."""
    unseen = [row for row in rows if not visible(row.text)]
    said = (f"nothing of the {row.lang} caption {row.text!r} is seen" for row in unseen)
    return [row for row in rows if visible(row.text)], tuple(SkippedItem(source, None, reason) for reason in said)


def _formed(row: Row, form: Form, target_form: Form) -> Row:
    """Bring a row's texts to their forms."""
    own = target_form if row.lang == PIVOT else form
    english = target_form(row.english) if row.english is not None and visible(row.english) else None
    return replace(row, text=own(row.text), english=english)


def _cut(texts: Sequence[str | None], base: DualEncoder) -> int:
    """How many texts are longer than the base's context."""
    return len(base.tokenizer.encode([text for text in texts if text is not None]).truncated)


def _counterpart(row: Row) -> str | None:
    """The text a caption is aligned with; an English caption is its own (CLL-CLIP §2)."""
    return row.text if row.lang == PIVOT else row.english


def group_of(row: Row) -> int:
    """A number for the picture or video a row shows, the same in every language and run."""
    key = row.key or f"text:{_counterpart(row)}"
    return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()[:8], "big", signed=True)


def _partners(rows: Sequence[Row], total: int, base: DualEncoder, cache: FeatureCache, say: Any) -> Features:
    def encode(texts: list[str]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return base.encode_tokens(base.tokenizer.encode(texts)).cpu().numpy()

    texts = [_counterpart(row) for row in rows]
    found = cache.texts([text for text in texts if text is not None], encode, progress=say)
    return _spread(found, [text is not None for text in texts], total, base.embed_dim)


def _images(corpus: Corpus, total: int, base: DualEncoder, cache: FeatureCache, say: Any) -> Features:
    def encode(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return base.encode_pixels(torch.from_numpy(pixels)).cpu().numpy()

    videos = {row.video for row in corpus.rows if row.video is not None and row.image is None}
    paths = [row.image or row.video for row in corpus.rows]  # a row with both is trained on its picture
    present = [path is not None for path in paths]
    known = [path for path in paths if path is not None]
    pictures = [path for path in known if path not in videos]
    found = cache.images(pictures, base.preprocess.load, encode, progress=partial(say, "pictures"))
    if videos:
        films = [path for path in known if path in videos]
        watch = partial(say, "videos")
        seen = cache.videos(films, base.preprocess.load, encode, sampling=corpus.sampling, progress=watch)
        found = _interleave(found, seen, np.array([path in videos for path in known]))
    return _spread(found, present, total, base.embed_dim)


def _interleave(pictures: Features, videos: Features, of_video: npt.NDArray[np.bool_]) -> Features:
    """Join the features of pictures and of videos, whose inputs alternate as ``of_video`` says."""
    bad = (*pictures.skipped, *videos.skipped, *videos.warnings)
    rows = np.empty(len(of_video), dtype=np.int64)
    if of_video.all():
        return Features(videos.array, videos.rows, bad)
    offset = len(pictures.array)
    rows[~of_video] = pictures.rows
    rows[of_video] = np.where(videos.rows >= 0, videos.rows + offset, -1)
    filled = [array for array in (pictures.array, videos.array) if len(array)] or [pictures.array]
    return Features(np.concatenate(filled), rows, bad)


def _spread(found: Features, present: Sequence[bool], total: int, width: int) -> Features:
    """Align features of the inputs that exist with all rows; the others get row −1."""
    rows = np.full(total, -1, dtype=np.int64)
    rows[np.flatnonzero(present)] = found.rows
    array = found.array if len(found.array) else np.zeros((0, width), np.float32)
    return Features(array, rows, found.skipped)
