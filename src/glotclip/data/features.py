"""Frozen features, computed once per model and shared by every run, language and process.

On disk, a :mod:`glotclip.data.feature_store` for each fingerprint and kind. Images and videos are known by their
content (:mod:`glotclip.data.digests`): what was moved, renamed or copied is not encoded again, and what changed is,
whatever its name and times say. Versions that knew them by path called the folders ``images`` and ``videos``; those
are left alone, and may be deleted.

Shapes: n rows in the store, E embedding, H and W image size in pixels, k frames of a video.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

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
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of the inputs of one call.

    Attributes:
        array: the whole store, float32 (n, E), memory-mapped and read-only; where the cache cannot be written, the
            rows of this call.
        rows: int64 (len(input),): the row of each input in ``array``, −1 for what could not be read.
        skipped: what could not be read, once each.
        warnings: what was read all the same, and what is wrong with it.
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
        todo = [each for each in dict(zip(keys, texts, strict=True)).items() if each[0] not in store.index]
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
        """Return one row a file, after reading and encoding those that are new, chunk by chunk."""
        media = _Media(FeatureStore(self.folder / kind.store, self.root), DigestIndex(self.root), kind)
        todo = media.look(paths)
        chunks = [todo[start : start + chunk] for start in range(0, len(todo), chunk)]
        with ThreadPoolExecutor(max(1, workers)) as pool, ThreadPoolExecutor(1) as background:
            # One chunk is read ahead and no more, so that memory stays bounded by two chunks of pixels.
            ahead = [background.submit(media.read, each, pool) for each in chunks[:1]]
            for place, current in enumerate(chunks):
                found = ahead.pop().result()
                ahead = [background.submit(media.read, each, pool) for each in chunks[place + 1 : place + 2]]
                media.encode(found)
                if progress:
                    progress(place * chunk + len(current), len(todo))
        return media.features(paths)


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read of one file: pixels (3, H, W) of its frames, one for an image, and what is wrong with it."""

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


class _Media:
    """One call for images or videos: which of them are known, and what became of the others."""

    def __init__(self, store: FeatureStore, digests: DigestIndex, kind: _Kind) -> None:
        self._store, self._digests, self._kind = store, digests, kind
        self._keys: dict[Path, bytes] = {}
        self._facts: dict[Path, Facts] = {}
        self._faults: dict[Path, str] = {}  # of files
        self._damaged: dict[bytes, str] = {}  # of contents
        self._read: set[bytes] = set()

    def look(self, paths: Sequence[Path]) -> list[Path]:
        """Return the files that have to be read: to hash them, to encode them, or both."""
        todo = []
        for path in dict.fromkeys(paths):
            try:
                self._facts[path] = Facts.of(path)
            except (OSError, ValueError) as error:  # absent; a zero byte in the name; no regular file
                self._faults[path] = f"the {self._kind.noun} cannot be opened ({_said(error)})"
                continue
            digest = self._digests.known(self._facts[path])
            if digest is not None:
                self._keys[path] = self._kind.key(digest)
            if digest is None or self._keys[path] not in self._store.index:
                todo.append(path)
        return todo

    def read(self, paths: Sequence[Path], pool: ThreadPoolExecutor) -> dict[bytes, _Read]:
        """Hash files, and read each new content once; contents that were read in an earlier call are not new."""
        files: dict[bytes, list[Path]] = {}
        for path, key in zip(paths, pool.map(self._key, paths), strict=True):
            if key is not None and not (key in self._store.index or key in self._read or key in self._damaged):
                files.setdefault(key, []).append(path)
        found = dict(zip(files, pool.map(self._read_first, files.items()), strict=True))
        new = {key: read for key, read in found.items() if read is not None}
        self._read.update(new)
        return new

    def _key(self, path: Path) -> bytes | None:
        """Return the key of a file's content, hashing it where that is not known."""
        if path not in self._keys:
            try:
                self._keys[path] = self._kind.key(self._digests.compute(path, self._facts[path]))
            except OSError as error:
                self._faults[path] = _said(error)
        return self._keys.get(path)

    def _read_first(self, content: tuple[bytes, Sequence[Path]]) -> _Read | None:
        """Read a content from the first file that has it still."""
        key, paths = content
        for path in paths:
            try:
                read = self._kind.read(path)
                check_unchanged(path, self._facts[path])  # else these are the pixels of another content
            except OSError as error:
                self._faults[path] = _said(error)
            except (ImageError, VideoError) as error:
                # Whoever lists the reason says where already.
                self._damaged[key] = error.message.removeprefix(f"{path} ")
                return None
            else:
                return read
        return None

    def encode(self, new: dict[bytes, _Read]) -> None:
        """Encode contents and write them."""
        self._store.refresh()
        new = {key: read for key, read in new.items() if key not in self._store.index}  # by another process
        if new:
            notes = {key: read.notes for key, read in new.items() if read.notes}
            self._store.append(list(new), self._kind.encode(list(new.values())), notes)
        self._digests.save()

    def features(self, paths: Sequence[Path]) -> Features:
        """Return what is known by now of the files, in the order in which they were asked for."""
        self._store.refresh()
        keys = [None if path in self._faults else self._keys.get(path) for path in paths]
        array, rows = self._store.gather(keys)
        notes = self._store.notes()
        skipped: dict[Path, SkippedItem] = {}
        warnings: dict[SkippedItem, None] = {}
        for path, key, row in zip(paths, keys, rows, strict=True):
            if row < 0:
                reason = self._faults.get(path) or self._damaged.get(key or b"", "it changed while it was read")
                skipped.setdefault(path, SkippedItem(str(path), None, reason))
            for note in notes.get(key or b"", ()):
                warnings[SkippedItem(str(path), None, note)] = None
        return Features(array, rows, tuple(skipped.values()), tuple(warnings))


def _said(error: Exception) -> str:
    """The sentence of an error of ours, or the system's word."""
    if isinstance(error, GlotclipError):
        return error.message
    return str(getattr(error, "strerror", None) or error)
