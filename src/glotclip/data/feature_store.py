"""The files that features lie in: append-only, whole after every crash, shared by processes.

In a folder: ``keys.bin`` (32 bytes a row), ``features.bin`` (E float32 a row), ``store.json`` (E), and
``notes.jsonl`` (what was odd about an input that was used all the same). Row i counts exactly when both binary
files hold it whole. Features are flushed to the disk before their keys are written, and what a killed process left
half-written is cut off before the next append, so a process may die at any moment and another may write at the
same time.

Shapes: n rows in the store, E embedding.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glotclip.errors import DataError, StorageError
from glotclip.storage import disk_errors, read_json, sync_folder, write_json

Floats = npt.NDArray[np.float32]
KEY_BYTES = 32
_LOCK_SECONDS = 120.0


class FeatureStore:
    """The two files of one kind, and the row of every key in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: dict[bytes, int] = {}
        self.count = 0
        self.width: int | None = None
        self._lock = threading.RLock()  # for threads that share this object; processes lock the folder
        self.refresh()

    @property
    def _feature_path(self) -> Path:
        return self.folder / "features.bin"

    @property
    def _key_path(self) -> Path:
        return self.folder / "keys.bin"

    def refresh(self) -> None:
        """Take up the rows that were added since the last look."""
        with self._lock:
            self._take_up()

    def _take_up(self) -> None:
        if self.width is None:
            if not (self.folder / "store.json").exists():
                return
            self.width = _stored_width(self.folder / "store.json")
        count = min(_size(self._key_path) // KEY_BYTES, _size(self._feature_path) // (4 * self.width))
        if count <= self.count:
            return
        with self._key_path.open("rb") as stream:
            stream.seek(self.count * KEY_BYTES)
            block = stream.read((count - self.count) * KEY_BYTES)
        for place in range(len(block) // KEY_BYTES):
            key = block[place * KEY_BYTES : (place + 1) * KEY_BYTES]
            self.index.setdefault(key, self.count + place)
        self.count += len(block) // KEY_BYTES

    def append(self, keys: list[bytes], features: Floats, notes: Mapping[bytes, Sequence[str]] | None = None) -> None:
        """Add rows (len(keys), E) and notes; keys that another process added meanwhile are skipped."""
        features = np.ascontiguousarray(features, dtype=np.float32)
        if features.ndim != 2 or len(features) != len(keys):
            raise ValueError(f"encode gave {features.shape} for {len(keys)} inputs")
        if not np.isfinite(features).all():
            raise DataError(
                "the encoder gave features that are not finite", hint="check the model's weights; try precision fp32"
            )
        with disk_errors(self.folder), self._lock, self._locked():
            self._check_width(features.shape[1])
            self.refresh()
            new = [place for place, key in enumerate(keys) if key not in self.index]
            if notes:  # before the keys: a row that counts has its notes
                lines = [json.dumps({"key": key.hex(), "notes": list(said)}) for key, said in notes.items()]
                path = self.folder / "notes.jsonl"
                # A line break first: a kill may have left half a line.
                _append(path, _size(path), ("\n" + "\n".join(lines) + "\n").encode())
            _append(self._feature_path, self.count * 4 * features.shape[1], features[new].tobytes())
            _append(self._key_path, self.count * KEY_BYTES, b"".join(keys[place] for place in new))
            sync_folder(self.folder)
            self.refresh()

    def rows(self, keys: Sequence[bytes | None]) -> npt.NDArray[np.int64]:
        """Return the row of each key (len(keys),), −1 for ``None`` and for what is not there."""
        return np.fromiter((-1 if key is None else self.index.get(key, -1) for key in keys), np.int64, len(keys))

    def array(self) -> Floats:
        """Map all rows, float32 (n, E), read-only."""
        if not self.count or self.width is None:
            return np.zeros((0, self.width or 0), np.float32)
        return np.memmap(self._feature_path, np.float32, "r", shape=(self.count, self.width))

    def notes(self) -> dict[bytes, list[str]]:
        """Return what was noted, by key; a line that a kill cut short is left out."""
        found: dict[bytes, list[str]] = {}
        path = self.folder / "notes.jsonl"
        for line in path.read_bytes().splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
                found[bytes.fromhex(entry["key"])] = list(entry["notes"])
            except (ValueError, KeyError, TypeError):
                continue
        return found

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


def _append(path: Path, whole: int, block: bytes) -> None:
    """Cut ``path`` to its first ``whole`` bytes, add ``block``, and flush to the disk."""
    with path.open("ab") as stream:
        stream.truncate(whole)
        stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


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
