"""Frozen features, computed once per model and shared by every run, language and process.

On disk, per fingerprint and kind (``images``, ``texts``): ``keys.bin`` (32 bytes a row), ``features.bin``
(E float32 a row), ``store.json`` (E). Row i counts exactly when both files hold it whole. Features are
flushed to the disk before their keys are written, and what a killed process left half-written is cut off
before the next append, so a process may die at any moment and another may write at the same time.

Shapes: n rows in the store, E embedding, H and W picture size in pixels.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from glotclip.data.schema import BadRow
from glotclip.errors import DataError, GlotclipError, ImageError, StorageError
from glotclip.storage import cache_root, disk_errors, read_json, sync_folder, write_json

Floats = npt.NDArray[np.float32]
Item = TypeVar("Item")
Progress = Callable[[int, int], None]
_KEY_BYTES = 32
_LOCK_SECONDS = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of the inputs of one call.

    Attributes:
        array: the whole store, float32 (n, E), memory-mapped and read-only.
        rows: int64 (len(input),): the row of each input in ``array``, −1 for what could not be read.
        bad: what could not be read, once each.
    """

    array: Floats
    rows: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...] = ()

    def take(self) -> Floats:
        """Copy the features of the inputs, float32 (len(input), E); a row that could not be read is an error."""
        if (self.rows < 0).any():
            raise DataError(
                f"{int((self.rows < 0).sum())} inputs have no features, first: {self.bad[0].where}",
                hint="leave out the rows that are −1",
            )
        return np.asarray(self.array[self.rows])


class FeatureCache:
    """Image and text features of one frozen model.

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
        store = _Store(self.folder / "images")
        bad: dict[str, BadRow] = {}
        keys: list[bytes | None] = []
        for path in paths:
            try:
                keys.append(_image_key(path))
            except (OSError, RuntimeError, ValueError) as error:  # absent; links in a circle; a zero byte in the name
                keys.append(None)
                reason = f"the picture cannot be opened ({getattr(error, 'strerror', None) or error})"
                bad.setdefault(str(path), BadRow(str(path), None, reason))
        todo = _missing(store, keys, paths)
        with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
            chunks = [todo[start : start + chunk] for start in range(0, len(todo), chunk)]
            ahead = [(key, path, pool.submit(load, path)) for key, path in chunks[0]] if chunks else []
            done = 0
            try:
                for place in range(len(chunks)):
                    current = ahead
                    # One chunk ahead and no more, so that memory stays bounded by two chunks of pixels.
                    following = chunks[place + 1] if place + 1 < len(chunks) else []
                    ahead = [(key, path, pool.submit(load, path)) for key, path in following]
                    _encode_pictures(store, current, encode, bad)
                    done += len(current)
                    if progress:
                        progress(done, len(todo))
            finally:
                for _, _, future in ahead:
                    future.cancel()
        return store.features(keys, tuple(bad.values()))

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
        store = _Store(self.folder / "texts")
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        todo = _missing(store, keys, texts)
        for start in range(0, len(todo), chunk):
            store.refresh()  # another process may have written some meanwhile
            new = [(key, text) for key, text in todo[start : start + chunk] if key not in store.index]
            if new:
                store.append([key for key, _ in new], encode([text for _, text in new]))
            if progress:
                progress(min(start + chunk, len(todo)), len(todo))
        return store.features(keys)


class _Store:
    """The two files of one kind, and the row of every key in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: dict[bytes, int] = {}
        self.count = 0
        self.width: int | None = None
        self.refresh()

    @property
    def _feature_path(self) -> Path:
        return self.folder / "features.bin"

    @property
    def _key_path(self) -> Path:
        return self.folder / "keys.bin"

    def refresh(self) -> None:
        """Take up the rows that were added since the last look."""
        if self.width is None:
            if not (self.folder / "store.json").exists():
                return
            self.width = _stored_width(self.folder / "store.json")
        count = min(_size(self._key_path) // _KEY_BYTES, _size(self._feature_path) // (4 * self.width))
        if count <= self.count:
            return
        with self._key_path.open("rb") as stream:
            stream.seek(self.count * _KEY_BYTES)
            block = stream.read((count - self.count) * _KEY_BYTES)
        for place in range(len(block) // _KEY_BYTES):
            key = block[place * _KEY_BYTES : (place + 1) * _KEY_BYTES]
            self.index.setdefault(key, self.count + place)
        self.count += len(block) // _KEY_BYTES

    def append(self, keys: list[bytes], features: Floats) -> None:
        """Add rows (len(keys), E); keys that another process added meanwhile are skipped."""
        features = np.ascontiguousarray(features, dtype=np.float32)
        if features.ndim != 2 or len(features) != len(keys):
            raise ValueError(f"encode gave {features.shape} for {len(keys)} inputs")
        if not np.isfinite(features).all():
            raise DataError(
                "the encoder gave features that are not finite", hint="check the model's weights; try precision fp32"
            )
        with disk_errors(self.folder), self._locked():
            self._check_width(features.shape[1])
            self.refresh()
            new = [place for place, key in enumerate(keys) if key not in self.index]
            _append(self._feature_path, self.count * 4 * features.shape[1], features[new].tobytes())
            _append(self._key_path, self.count * _KEY_BYTES, b"".join(keys[place] for place in new))
            sync_folder(self.folder)
            self.refresh()

    def features(self, keys: Sequence[bytes | None], bad: tuple[BadRow, ...] = ()) -> Features:
        """Map the store, and find the row of every key."""
        self.refresh()
        rows = np.fromiter((-1 if key is None else self.index.get(key, -1) for key in keys), np.int64, len(keys))
        if not self.count or self.width is None:
            return Features(np.zeros((0, self.width or 0), np.float32), rows, bad)
        array = np.memmap(self._feature_path, np.float32, "r", shape=(self.count, self.width))
        return Features(array, rows, bad)

    def _check_width(self, width: int) -> None:
        if self.width is None and (self.folder / "store.json").exists():
            self.width = _stored_width(self.folder / "store.json")
        if self.width is None:
            write_json(self.folder / "store.json", {"format": 1, "width": width})
            self.width = width
        if width != self.width:
            raise StorageError(
                f"{self.folder} holds features of width {self.width}, the model gives {width}",
                hint="delete that folder: it is a cache and is computed again",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import filelock

        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with filelock.FileLock(self.folder / "lock", timeout=_LOCK_SECONDS):
                yield
        except filelock.Timeout as error:
            raise StorageError(
                f"another process has held {self.folder} for {_LOCK_SECONDS:.0f} s",
                hint="wait for it to end, or set GLOTCLIP_CACHE to another folder",
            ) from error


def _encode_pictures(
    store: _Store,
    loading: list[tuple[bytes, Path, Future[Floats]]],
    encode: Callable[[Floats], Floats],
    bad: dict[str, BadRow],
) -> None:
    """Encode the pictures of one chunk that could be loaded, and write them."""
    store.refresh()
    keys, pixels = [], []
    for key, path, future in loading:
        try:
            loaded = future.result()
        except (ImageError, OSError) as error:
            reason = error.message if isinstance(error, GlotclipError) else str(error)
            reason = reason.removeprefix(f"{path} ")  # whoever lists it says where already
            bad.setdefault(str(path), BadRow(str(path), None, reason))
            continue
        if key not in store.index:  # another process may have written it meanwhile
            keys.append(key)
            pixels.append(loaded)
    if keys:
        store.append(keys, encode(np.stack(pixels)))


def _missing(store: _Store, keys: Sequence[bytes | None], items: Sequence[Item]) -> list[tuple[bytes, Item]]:
    """Pair each key that is not in the store with its item, once each, in the order given."""
    found: dict[bytes, Item] = {}
    for key, item in zip(keys, items, strict=True):
        if key is not None and key not in store.index:
            found.setdefault(key, item)
    return list(found.items())


def _append(path: Path, whole: int, block: bytes) -> None:
    """Cut ``path`` to its first ``whole`` bytes, add ``block``, and flush to the disk."""
    with path.open("ab") as stream:
        stream.truncate(whole)
        stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


def _image_key(path: Path) -> bytes:
    resolved = path.resolve(strict=True)
    facts = resolved.stat()
    text = f"{resolved}\0{facts.st_size}\0{facts.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _stored_width(path: Path) -> int:
    facts = read_json(path)
    if not isinstance(facts, dict) or facts.get("format") != 1 or not isinstance(facts.get("width"), int):
        raise StorageError(
            f"{path} is not of a format this version knows",
            hint="delete its folder: it is a cache and is computed again",
        )
    return int(facts["width"])


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
