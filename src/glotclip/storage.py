"""Writing so that nothing half-written is ever read as whole.

Every file goes aside first, is flushed to the disk, and is then renamed over its place; a folder is built
under a temporary name and renamed. A crash at any moment leaves either the old or the new state.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glotclip.errors import DataError, StorageError


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into :class:`StorageError` with a next step."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                f"the disk is full while writing {path}",
                hint="free some space or choose another --out; what was there before is unchanged",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"no permission to write {path}", hint="choose a folder that you may write to"
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY):
            raise StorageError(
                f"cannot write {path}: {error.strerror} ({error.filename})",
                hint="a file is in a folder's place or the other way round; choose another --out",
            ) from error
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it and rename it into place.

    On any exception the temporary file is removed and ``path`` is untouched.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        aside = Path(name)
        try:
            yield aside
            descriptor = os.open(aside, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            aside.chmod(0o644)
            aside.replace(path)
            sync_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)


@contextmanager
def writing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success flush its files and rename it into place.

    ``path`` must not exist yet: a folder that changes is written under a new name, and whoever points at
    it is switched over with :func:`write_json` afterwards.

    Raises:
        StorageError: if ``path`` is anything but an empty folder, or the disk refused.
    """
    if os.path.lexists(path) and (not path.is_dir() or path.is_symlink() or any(path.iterdir())):
        raise StorageError(f"{path} is there already", hint="choose another name, or remove it first")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        try:
            yield aside
            for file in sorted(aside.rglob("*")):
                if file.is_file():
                    descriptor = os.open(file, os.O_RDWR)
                    try:
                        os.fsync(descriptor)
                    finally:
                        os.close(descriptor)
            aside.chmod(0o755)
            aside.rename(path)
            sync_folder(path.parent)
        finally:
            if aside.exists():
                shutil.rmtree(aside)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (UTF-8, final newline as given)."""
    with writing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, readable by people: indented, non-ASCII kept."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a damaged one is a :class:`DataError` that names the line."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist", hint="check the path") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON: {error}", hint="restore the file or write it anew") from error


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write torch tensors as one safetensors file, atomically."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with writing(path) as aside:
        try:
            save_file(contiguous, aside, metadata=dict(metadata or {}))
        except SafetensorError as error:  # it says what the system said, but only in words
            code = re.search(r"os error (\d+)", str(error))
            if code is None:
                raise
            raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_root() -> Path:
    """Where caches and fetched data lie: ``$GLOTCLIP_CACHE`` or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("GLOTCLIP_CACHE") or platformdirs.user_cache_dir("glotclip", appauthor=False))
