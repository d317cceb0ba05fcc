"""The files that features lie in: append-only, whole after every crash, shared by processes.

In a folder: ``keys.bin`` (32 bytes a row), ``features.bin`` (E float32 a row), ``store.json`` (E), and
``notes.jsonl`` (what is wrong with an input that was used all the same). Row i counts exactly when both binary
files hold it whole. Features are flushed to the disk before their keys are written, and what a killed process left
half-written is cut off before the next append, so a process may die at any moment and another may write at the
same time.

Shapes: n rows in the store, E embedding.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glotclip.errors import DataError, GlotclipError, StorageError
from glotclip.storage import (
    append_whole,
    cannot_keep,
    flush,
    read_json,
    refused_by_system,
    to_json,
    write_json,
)

Floats = npt.NDArray[np.float32]
KEY_BYTES = 32
_LOCK_SECONDS = 120.0


class FeatureStore:
    """The two files of one kind, and the row of every key in them.

    Where the disk refuses (no permission, no space, a file in a folder's place, a lock held too long), that is said
    once, and rows are kept in memory from then on; what is on the disk is still read.

    Args:
        folder: of the kind.
        root: the cache folder that ``folder`` belongs to, for the warning.
    """

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        self.folder = folder
        self.index: dict[bytes, int] = {}
        self.count = 0
        self.width: int | None = None
        self._root = root or folder
        self._refused = False
        self._memory: list[Floats] = []  # rows after those of the files
        self._memory_notes: dict[bytes, list[str]] = {}
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
            if self._refused:
                return
            try:
                self._read_new()
            except (OSError, GlotclipError) as error:
                self._give_up(error)

    def append(self, keys: list[bytes], features: Floats, notes: Mapping[bytes, Sequence[str]] | None = None) -> None:
        """Add rows (len(keys), E) and notes; keys that another process added meanwhile are skipped."""
        features = np.ascontiguousarray(features, dtype=np.float32)
        if features.ndim != 2 or len(features) != len(keys):
            raise ValueError(f"encode gave {features.shape} for {len(keys)} inputs")
        if not np.isfinite(features).all():
            raise DataError(
                "the encoder gave features that are not finite", hint="check the model's weights; try precision fp32"
            )
        with self._lock:
            self._check_width(features)
            if not self._refused:
                try:
                    self._write(keys, features, notes or {})
                except (OSError, NotImplementedError, GlotclipError) as error:
                    self._give_up(error)
            for key, row in zip(keys, features, strict=True):
                if key not in self.index:  # the disk has not taken it
                    self.index[key] = self.count + len(self._memory)
                    self._memory.append(row)
            if self._refused:
                self._memory_notes.update({key: list(said) for key, said in (notes or {}).items()})

    def gather(self, keys: Sequence[bytes | None]) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Return an array of features and the row of each key in it (len(keys),), −1 for what is not there.

        The array is the whole store, float32 (n, E), memory-mapped and read-only; where rows are in memory it is the
        rows of ``keys``, each once.
        """
        with self._lock:
            rows = np.fromiter((-1 if key is None else self.index.get(key, -1) for key in keys), np.int64, len(keys))
            stored: Floats = np.zeros((0, self.width or 0), np.float32)
            if self.count and self.width is not None:
                stored = np.memmap(self._feature_path, np.float32, "r", shape=(self.count, self.width))
            if not self._memory:
                return stored, rows
            wanted = np.unique(rows[rows >= 0])
            array = np.stack([stored[row] if row < self.count else self._memory[row - self.count] for row in wanted])
        array.flags.writeable = False
        return array, np.where(rows >= 0, np.searchsorted(wanted, rows), -1)

    def notes(self) -> dict[bytes, list[str]]:
        """Return what was noted, by key; a line that a kill cut short is left out."""
        found: dict[bytes, list[str]] = {}
        path = self.folder / "notes.jsonl"
        try:
            lines = path.read_bytes().splitlines() if self.count else []
        except OSError:
            lines = []
        for line in lines:
            try:
                entry = json.loads(line)
                found[bytes.fromhex(entry["key"])] = list(entry["notes"])
            except (ValueError, KeyError, TypeError):
                continue
        return found | self._memory_notes

    def _give_up(self, error: Exception) -> None:
        """Keep rows in memory from now on, if it was the system that refused; raise ``error`` otherwise."""
        refusal = refused_by_system(error)
        if refusal is None:
            raise error
        self._refused = True
        cannot_keep(self._root, refusal)

    def _read_new(self) -> None:
        if self.width is None:
            if not (self.folder / "store.json").exists():
                return
            self.width = _stored_width(self.folder / "store.json")
        count = min(_size(self._key_path) // KEY_BYTES, _size(self._feature_path) // (4 * self.width))
        if count <= self.count:
            return
        with self._key_path.open("rb") as stream, self._feature_path.open("rb"):  # both can be opened
            stream.seek(self.count * KEY_BYTES)
            block = stream.read((count - self.count) * KEY_BYTES)
        for place in range(len(block) // KEY_BYTES):
            key = block[place * KEY_BYTES : (place + 1) * KEY_BYTES]
            self.index.setdefault(key, self.count + place)
        self.count += len(block) // KEY_BYTES

    def _write(self, keys: list[bytes], features: Floats, notes: Mapping[bytes, Sequence[str]]) -> None:
        with self._locked():
            if not (self.folder / "store.json").exists():
                write_json(self.folder / "store.json", {"format": 1, "width": features.shape[1]})
            self._read_new()
            self._check_width(features)  # again: another process may have made the folder meanwhile
            new = [place for place, key in enumerate(keys) if key not in self.index]
            if notes:  # before the keys: a row that counts has its notes
                lines = [to_json({"key": key.hex(), "notes": list(said)}) for key, said in notes.items()]
                path = self.folder / "notes.jsonl"
                # A line break first: a kill may have left half a line.
                append_whole(path, _size(path), ("\n" + "\n".join(lines) + "\n").encode())
            # Features first: a key must never stand for a row that is not there.
            block = features[new].astype("<f4").tobytes()
            append_whole(self._feature_path, self.count * 4 * features.shape[1], block)
            append_whole(self._key_path, self.count * KEY_BYTES, b"".join(keys[place] for place in new))
            flush(self.folder)
            self._read_new()

    def _check_width(self, features: Floats) -> None:
        if self.width not in (None, features.shape[1]):
            raise StorageError(
                f"{self.folder} holds features of width {self.width}, the model gives {features.shape[1]}",
                hint="delete that folder: it is a cache and is computed again",
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import filelock

        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / "lock", timeout=_LOCK_SECONDS):
            yield


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
