"""Frozen features, computed once per model and shared by every run, language and process.

On disk, a :mod:`glotclip.data.feature_store` for each fingerprint and kind. Images and videos are known by their
content (:mod:`glotclip.data.digests`): what was moved, renamed or copied is not encoded again, and what changed is,
whatever its name and times say. Versions that knew them by path called the folders ``images`` and ``videos``; those
are left alone, and may be deleted.

Shapes: n rows in the store, E embedding, H and W image size in pixels, k frames of a video.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from glotclip.data.digests import DigestIndex, Facts, check_unchanged
from glotclip.data.feature_store import FeatureStore
from glotclip.data.schema import SkippedItem
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
        array: the whole store, float32 (n, E), memory-mapped and read-only; where the cache cannot be written, the
            rows of this call.
        rows: int64 (len(input),): the row of each input in ``array``, −1 for what could not be read.
        bad: what could not be read, once each.
        odd: what was read all the same, and what is wrong with it.
    """

    array: Floats
    rows: npt.NDArray[np.int64]
    skipped: tuple[SkippedItem, ...] = ()
    warnings: tuple[SkippedItem, ...] = ()

    def take(self) -> Floats:
        """Copy the features of the inputs, float32 (len(input), E); a row that could not be read is an error."""
        if (self.rows < 0).any():
            raise DataError(
                f"{int((self.rows < 0).sum())} inputs have no features, first: {self.skipped[0].where}",
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
        self.root = root or cache_root()

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
        """Return the features of images, encoding those that are new.

        An image is known by its content.

        Args:
            paths: the images; equal ones are encoded once.
            load: path → pixels float32 (3, H, W), one size for all; :class:`ImageError` skips the image.
            encode: pixels (b, 3, H, W), b ≤ ``chunk`` → features (b, E).
            chunk: how many are encoded together and written together.
            workers: threads that load the next chunk while this one is encoded.
            progress: called with (done, total) over the images that had to be read.
        """

        def read(path: Path) -> _Read:
            return _Read((load(path),))

        def encode_chunk(new: list[_Read]) -> Floats:
            return encode(np.stack([each.frames[0] for each in new]))

        kind = _Kind("images-by-content", "image", read, encode_chunk)
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

        A video is known by its content and the sampling. Its feature is :func:`glotclip.data.video.pool` over its
        frames'.

        Args:
            paths: the videos; equal ones are encoded once.
            load: a frame → pixels float32 (3, H, W), one size for all.
            encode: pixels (b, 3, H, W), b ≤ 64 → features (b, E).
            sampling: which frames; the default is 12 at the mid-points of equal segments.
            chunk: how many videos are read ahead and written together.
            workers: threads that read the next chunk while this one is encoded.
            progress: called with (done, total) over the videos that had to be read.

        Raises:
            MissingExtraError: if PyAV is not installed and a video is new.
        """
        picks = sampling or Sampling()

        def read(path: Path) -> _Read:
            found = sample(path, picks, load)
            return _Read(found.frames, found.notes)

        def encode_chunk(new: list[_Read]) -> Floats:
            return pool_clips([each.frames for each in new], encode)

        kind = _Kind("videos-by-content", "video", read, encode_chunk, salt=repr(picks))
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
        store = FeatureStore(self.folder / "texts", self.root)
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
        return Features(*store.gather(keys))

    def _media(
        self, kind: _Kind, paths: Sequence[Path], *, chunk: int, workers: int, progress: Progress | None
    ) -> Features:
        """Return one row a file, after reading and encoding those that are new."""
        reading = _Reading(FeatureStore(self.folder / kind.store, self.root), DigestIndex(self.root), kind)
        self._read_all(reading, reading.look(paths), chunk=chunk, workers=workers, progress=progress)
        if again := reading.unanswered():  # the file that was to answer for them vanished meanwhile
            self._read_all(reading, again, chunk=chunk, workers=1, progress=None)
        return reading.features(paths)

    @staticmethod
    def _read_all(
        reading: _Reading, todo: Sequence[Path], *, chunk: int, workers: int, progress: Progress | None
    ) -> None:
        """Read and encode files chunk by chunk, reading one chunk ahead."""
        with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
            chunks = [todo[start : start + chunk] for start in range(0, len(todo), chunk)]
            ahead = [pool.submit(reading.read, path) for path in chunks[0]] if chunks else []
            done = 0
            try:
                for place in range(len(chunks)):
                    current = ahead
                    # One chunk ahead and no more, so that memory stays bounded by two chunks of pixels.
                    following = chunks[place + 1] if place + 1 < len(chunks) else []
                    ahead = [pool.submit(reading.read, path) for path in following]
                    reading.encode([future.result() for future in current])
                    done += len(current)
                    if progress:
                        progress(done, len(todo))
            finally:
                for future in ahead:
                    future.cancel()


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one file: pixels (3, H, W) of its frames, one for an image, and what was odd."""

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

    def key(self, digest: bytes) -> bytes:
        """Return the key of a content's feature in the store."""
        return hashlib.sha256(digest + self.salt.encode()).digest() if self.salt else digest


class _Reading:
    """One call for images or videos: which of them are known, and what became of the others.

    Threads call :meth:`read`; all else is for the one that encodes.
    """

    def __init__(self, store: FeatureStore, digests: DigestIndex, kind: _Kind) -> None:
        self._store, self._digests, self._kind = store, digests, kind
        self._keys: dict[Path, bytes] = {}
        self._facts: dict[Path, Facts] = {}
        self._faults: dict[Path, str] = {}  # of files
        self._damaged: dict[bytes, str] = {}  # of contents
        self._claimed: set[bytes] = set()
        self._lock = threading.Lock()

    def look(self, paths: Sequence[Path]) -> list[Path]:
        """Return the files that have to be read: to hash them, to encode them, or both."""
        todo: dict[Path | bytes, Path] = {}
        for path in dict.fromkeys(paths):
            try:
                facts = self._facts[path] = Facts.of(path)
            except (OSError, ValueError) as error:  # absent; a zero byte in the name; no regular file
                self._faults[path] = f"the {self._kind.noun} cannot be opened ({_said(error)})"
                continue
            digest = self._digests.known(facts)
            if digest is not None:
                self._keys[path] = self._kind.key(digest)
            if digest is None or self._keys[path] not in self._store.index:
                todo.setdefault(path if digest is None else self._keys[path], path)
        return list(todo.values())

    def read(self, path: Path) -> tuple[bytes, _Read] | None:
        """Hash a file and, if its content is new, read it; None where there is nothing to encode."""
        facts = self._facts[path]
        key = self._keys.get(path)
        try:
            if key is None:
                key = self._keys[path] = self._kind.key(self._digests.compute(path, facts))
            with self._lock:
                if key in self._store.index or key in self._claimed:
                    return None
                self._claimed.add(key)
            read = self._kind.read(path)
            check_unchanged(path, facts)  # else these are the pixels of another content
        except (ImageError, VideoError, OSError) as error:
            reason = _said(error).removeprefix(f"{path} ")  # whoever lists it says where already
            if key is None or isinstance(error, OSError):
                self._faults[path] = reason
            else:
                self._damaged[key] = reason
            return None
        return key, read

    def encode(self, found: Sequence[tuple[bytes, _Read] | None]) -> None:
        """Encode the contents of one chunk that could be read, and write them."""
        self._store.refresh()
        # Another process may have written some meanwhile.
        new = {each[0]: each[1] for each in found if each is not None and each[0] not in self._store.index}
        if new:
            notes = {key: read.notes for key, read in new.items() if read.notes}
            self._store.append(list(new), self._kind.encode(list(new.values())), notes)
        self._digests.save()

    def unanswered(self) -> list[Path]:
        """Return the files whose content was left to an equal file that could not be read in the end."""
        self._claimed.clear()
        return [
            path
            for path, key in self._keys.items()
            if key not in self._store.index and key not in self._damaged and path not in self._faults
        ]

    def features(self, paths: Sequence[Path]) -> Features:
        """Return what is known by now of the files, in the order in which they were asked for."""
        self._store.refresh()
        keys = [None if path in self._faults else self._keys.get(path) for path in paths]
        array, rows = self._store.gather(keys)
        bad: dict[Path, SkippedItem] = {}
        for path, key, row in zip(paths, keys, rows, strict=True):
            if row < 0:
                reason = self._faults.get(path) or self._damaged.get(key or b"", "it changed while it was read")
                bad.setdefault(path, SkippedItem(str(path), None, reason))
        return Features(array, rows, tuple(bad.values()), _odd(self._store, keys, paths))


def _said(error: Exception) -> str:
    """The sentence of an error of ours, or the system's word."""
    if isinstance(error, GlotclipError):
        return error.message
    return str(getattr(error, "strerror", None) or error)


def _odd(store: FeatureStore, keys: Sequence[bytes | None], paths: Sequence[Path]) -> tuple[SkippedItem, ...]:
    """List what was noted about these files, now or when they were first read."""
    notes = store.notes()
    found = {
        SkippedItem(str(path), None, note): None
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
