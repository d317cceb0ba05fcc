"""Frozen features, computed once per model and shared by every run, language and process.

On disk, a :mod:`glotclip.data.feature_store` for each fingerprint and kind: ``images``, ``videos``, ``texts``.

Shapes: n rows in the store, E embedding, H and W picture size in pixels, k frames of a video.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from glotclip.data.feature_store import FeatureStore
from glotclip.data.schema import BadRow
from glotclip.data.video import Sampling, pool_clips, sample
from glotclip.errors import DataError, GlotclipError, ImageError, VideoError
from glotclip.storage import cache_root

Floats = npt.NDArray[np.float32]
Item = TypeVar("Item")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of the inputs of one call.

    Attributes:
        array: the whole store, float32 (n, E), memory-mapped and read-only.
        rows: int64 (len(input),): the row of each input in ``array``, −1 for what could not be read.
        bad: what could not be read, once each.
        odd: what was read all the same, and what is wrong with it.
    """

    array: Floats
    rows: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...] = ()
    odd: tuple[BadRow, ...] = ()

    def take(self) -> Floats:
        """Copy the features of the inputs, float32 (len(input), E); a row that could not be read is an error."""
        if (self.rows < 0).any():
            raise DataError(
                f"{int((self.rows < 0).sum())} inputs have no features, first: {self.bad[0].where}",
                hint="leave out the rows that are −1",
            )
        return np.asarray(self.array[self.rows])


class FeatureCache:
    """Image, video and text features of one frozen model.

    Args:
        fingerprint: identifies everything that changes a feature: weights, preprocessing, tokenizer.
        root: where caches lie; ``None``: ``features`` in the user's cache folder.
    """

    def __init__(self, fingerprint: str, root: Path | None = None) -> None:
        name = "".join(sign if sign.isalnum() or sign in "-_" else "-" for sign in fingerprint)
        if not name:
            raise DataError("a feature cache needs a fingerprint", hint="use the model's `.fingerprint`")
        self.folder = (root or cache_root() / "features") / name

    def images(
        self,
        paths: Sequence[Path],
        load: Callable[[Path], Floats],
        encode: Callable[[Floats], Floats],
        *,
        chunk: int = 64,
        workers: int = 2,
        progress: Progress | None = None,
    ) -> Features:
        """Return the features of pictures, encoding those that are new.

        A picture is known by its resolved path, size and modification time.

        Args:
            paths: the pictures; repeats are encoded once.
            load: path → pixels float32 (3, H, W), one size for all; :class:`ImageError` skips the picture.
            encode: pixels (b, 3, H, W), b ≤ ``chunk`` → features (b, E).
            chunk: how many are encoded together and written together.
            workers: threads that load the next chunk while this one is encoded.
            progress: called with (done, total) over the pictures that were new.
        """

        def read(path: Path) -> _Read:
            return _Read((load(path),))

        def encode_chunk(new: list[_Read]) -> Floats:
            return encode(np.stack([each.frames[0] for each in new]))

        kind = _Kind("images", "picture", read, encode_chunk)
        return self._media(kind, paths, chunk=chunk, workers=workers, progress=progress)

    def videos(
        self,
        paths: Sequence[Path],
        load: Callable[[Image.Image], Floats],
        encode: Callable[[Floats], Floats],
        *,
        sampling: Sampling | None = None,
        chunk: int = 8,
        workers: int = 2,
        progress: Progress | None = None,
    ) -> Features:
        """Return the normalised features of videos, one row each, encoding those that are new.

        A video is known by its resolved path, size, modification time and sampling. Its feature is
        :func:`glotclip.data.video.pool` over its frames'.

        Args:
            paths: the videos; repeats are encoded once.
            load: a frame → pixels float32 (3, H, W), one size for all.
            encode: pixels (b, 3, H, W), b ≤ 64 → features (b, E).
            sampling: which frames; the default is 12 at the mid-points of equal segments.
            chunk: how many videos are read ahead and written together.
            workers: threads that read the next chunk while this one is encoded.
            progress: called with (done, total) over the videos that were new.

        Raises:
            MissingExtraError: if PyAV is not installed and a video is new.
        """
        picks = sampling or Sampling()

        def read(path: Path) -> _Read:
            found = sample(path, picks, load)
            return _Read(found.frames, found.notes)

        def encode_chunk(new: list[_Read]) -> Floats:
            return pool_clips([each.frames for each in new], encode)

        kind = _Kind("videos", "video", read, encode_chunk, salt=repr(picks))
        return self._media(kind, paths, chunk=chunk, workers=workers, progress=progress)

    def texts(
        self,
        texts: Sequence[str],
        encode: Callable[[list[str]], Floats],
        *,
        chunk: int = 2048,
        progress: Progress | None = None,
    ) -> Features:
        """Return the features of texts, encoding those that are new; a text is known by its characters.

        Args:
            texts: the texts; repeats are encoded once.
            encode: b ≤ ``chunk`` texts → features (b, E).
            chunk: how many are encoded together and written together.
            progress: called with (done, total) over the texts that were new.
        """
        store = FeatureStore(self.folder / "texts")
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        todo = _missing(store, keys, texts)
        for start in range(0, len(todo), chunk):
            store.refresh()  # another process may have written some meanwhile
            new = [(key, text) for key, text in todo[start : start + chunk] if key not in store.index]
            if new:
                store.append([key for key, _ in new], encode([text for _, text in new]))
            if progress:
                progress(min(start + chunk, len(todo)), len(todo))
        store.refresh()
        return Features(store.array(), store.rows(keys))

    def _media(
        self, kind: _Kind, paths: Sequence[Path], *, chunk: int, workers: int, progress: Progress | None
    ) -> Features:
        """Return one row a file: read and encode those that are new, chunk by chunk, reading one chunk ahead."""
        store = FeatureStore(self.folder / kind.store)
        bad: dict[str, BadRow] = {}
        keys: list[bytes | None] = []
        for path in paths:
            try:
                keys.append(_file_key(path, kind.salt))
            except (OSError, RuntimeError, ValueError) as error:  # absent; links in a circle; a zero byte in the name
                keys.append(None)
                reason = f"the {kind.noun} cannot be opened ({getattr(error, 'strerror', None) or error})"
                bad.setdefault(str(path), BadRow(str(path), None, reason))
        todo = _missing(store, keys, paths)
        with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
            chunks = [todo[start : start + chunk] for start in range(0, len(todo), chunk)]
            ahead = [(key, path, pool.submit(kind.read, path)) for key, path in chunks[0]] if chunks else []
            done = 0
            try:
                for place in range(len(chunks)):
                    current = ahead
                    # One chunk ahead and no more, so that memory stays bounded by two chunks of pixels.
                    following = chunks[place + 1] if place + 1 < len(chunks) else []
                    ahead = [(key, path, pool.submit(kind.read, path)) for key, path in following]
                    _encode_new(store, current, kind, bad)
                    done += len(current)
                    if progress:
                        progress(done, len(todo))
            finally:
                for _, _, future in ahead:
                    future.cancel()
        store.refresh()
        return Features(store.array(), store.rows(keys), tuple(bad.values()), _odd(store, keys, paths))


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one file: pixels (3, H, W) of its frames, one for a picture, and what was odd."""

    frames: tuple[Floats, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Kind:
    """How files of one kind are read and encoded; ``salt`` is what else decides their features."""

    store: str
    noun: str
    read: Callable[[Path], _Read]
    encode: Callable[[list[_Read]], Floats]
    salt: str = ""


def _encode_new(
    store: FeatureStore, reading: list[tuple[bytes, Path, Future[_Read]]], kind: _Kind, bad: dict[str, BadRow]
) -> None:
    """Encode the files of one chunk that could be read, and write them."""
    store.refresh()
    new: dict[bytes, _Read] = {}
    for key, path, future in reading:
        try:
            read = future.result()
        except (ImageError, VideoError, OSError) as error:
            reason = error.message if isinstance(error, GlotclipError) else str(error)
            reason = reason.removeprefix(f"{path} ")  # whoever lists it says where already
            bad.setdefault(str(path), BadRow(str(path), None, reason))
            continue
        if key not in store.index:  # another process may have written it meanwhile
            new[key] = read
    if new:
        notes = {key: read.notes for key, read in new.items() if read.notes}
        store.append(list(new), kind.encode(list(new.values())), notes)


def _odd(store: FeatureStore, keys: Sequence[bytes | None], paths: Sequence[Path]) -> tuple[BadRow, ...]:
    """List what was noted about these files, now or when they were first read."""
    notes = store.notes()
    found = {
        BadRow(str(path), None, note): None
        for key, path in zip(keys, paths, strict=True)
        if key is not None
        for note in notes.get(key, ())
    }
    return tuple(found)


def _missing(store: FeatureStore, keys: Sequence[bytes | None], items: Sequence[Item]) -> list[tuple[bytes, Item]]:
    """Pair each key that is not in the store with its item, once each, in the order given."""
    found: dict[bytes, Item] = {}
    for key, item in zip(keys, items, strict=True):
        if key is not None and key not in store.index:
            found.setdefault(key, item)
    return list(found.items())


def _file_key(path: Path, salt: str) -> bytes:
    resolved = path.resolve(strict=True)
    facts = resolved.stat()
    text = f"{resolved}\0{facts.st_size}\0{facts.st_mtime_ns}" + (f"\0{salt}" if salt else "")
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
