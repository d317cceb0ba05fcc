"""Writing so that nothing half-written is ever read as whole.

Every file goes aside first, is flushed to the disk, and is then renamed over its place; a folder is built
under a temporary name and renamed. A crash at any moment leaves either the old or the new state.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from glotclip.errors import CacheWarning, DataError, StorageError


def is_there(path: Path) -> bool:
    """Whether there is such a file; what cannot be a path, being too long or holding a zero byte, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def disk_errors(path: Path, option: str = "--out") -> Iterator[None]:
    """Turn the operating system's refusals into :class:`StorageError` with a next step.

    Args:
        path: what is written.
        option: with which the user says where.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                f"the disk is full while writing {path}",
                hint=f"free some space or choose another {option}; what was there before is unchanged",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StorageError(
                f"no permission to write {path}", hint="choose a folder that you may write to"
            ) from error
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY):
            raise StorageError(
                f"cannot write {path}: {error.strerror} ({error.filename})",
                hint=f"a file is in a folder's place or the other way round; choose another {option}",
            ) from error
        raise


def flush(path: Path) -> None:
    """Flush a file to the disk; or a folder's entries, so that a rename survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_below(folder: Path) -> None:
    """Have all that lies below a folder on the disk: at one stroke where the system can, which spares milliseconds
    for every file.
    """
    if hasattr(os, "sync"):
        os.sync()
    else:
        for path in folder.rglob("*"):
            if path.is_file():
                flush(path)


@contextmanager
def writing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success flush it and rename it into place.

    On any exception the temporary file is removed and ``path`` is untouched.

    Args:
        path: the file.
        durable: False for one of many files that the caller flushes together, by :func:`flush_below`, before it
            relies on any of them.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        aside = Path(name)
        try:
            yield aside
            if durable:
                flush(aside)
            aside.chmod(0o644)
            aside.replace(path)
            if durable:
                flush(path.parent)
        finally:
            aside.unlink(missing_ok=True)


def _holds_anything(path: Path) -> bool:
    """Whether a folder could not be put there: something is, and no empty folder."""
    return os.path.lexists(path) and (not path.is_dir() or path.is_symlink() or any(path.iterdir()))


@contextmanager
def writing_folder(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; on success flush its files and rename it into place.

    ``path`` must not exist yet: a folder that changes is written under a new name, and whoever points at
    it is switched over with :func:`write_json` afterwards.

    Args:
        path: the folder.
        shared: whether other processes may be making the same folder: the first to finish has made it.

    Raises:
        StorageError: if ``path`` is anything but an empty folder, or the disk refused.
    """
    if not shared and _holds_anything(path):
        raise StorageError(f"{path} is there already", hint="choose another name, or remove it first")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part"))
        try:
            yield aside
            for file in sorted(aside.rglob("*")):
                if file.is_file():
                    flush(file)
            aside.chmod(0o755)
            try:
                aside.rename(path)
            except OSError:
                if not (shared and path.is_dir() and _holds_anything(path)):
                    raise
            flush(path.parent)
        finally:
            if aside.exists():
                shutil.rmtree(aside)


def printable(text: str) -> str:
    r"""Return ``text`` as UTF-8 can hold it.

    A name of a file that is not valid in the system's encoding comes with lone surrogates for its bytes (PEP 383).
    Bytes that are UTF-8 become what they mean, which matters in an ASCII locale; others become ``\xNN``.
    """
    return _SURROGATES.sub(_as_bytes, text)


def utf8(text: str) -> bytes:
    """Return ``text`` in UTF-8, names of files as :func:`printable`."""
    return printable(text).encode()


def shown(name: str | Path) -> str:
    r"""Return a file's name for people: on one line, and without power over the terminal.

    Control characters and marks that turn the direction of writing are shown as ``\n``, ``\x1b``, ``\u202e``.
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), printable(str(name)))


_SURROGATES = re.compile("[\ud800-\udfff]+")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def _as_bytes(found: re.Match[str]) -> str:
    try:
        return found[0].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return found[0].encode("ascii", "backslashreplace").decode("ascii")


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON that is valid in UTF-8 whatever the strings hold; see :func:`printable`."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    return _SURROGATES.sub(lambda found: _as_bytes(found).replace("\\", "\\\\"), text)  # they occur in strings alone


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (UTF-8, final newline as given; names of files as :func:`printable`)."""
    with writing(path) as aside:
        aside.write_text(printable(text), encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, readable by people: indented, non-ASCII kept."""
    write_text(path, to_json(value, indent=1) + "\n")


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


def read_tensors(path: Path) -> dict[str, Any]:
    """Read all tensors of a safetensors file into memory of their own.

    The library maps the file, and its tensors lie wherever the header ends. Matrix products choose their kernels by
    the address on some processors, so the same weights in two files could give features that differ in the last bit.

    Raises:
        SafetensorError: if it is not a whole safetensors file.
        OSError: if it cannot be read.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def append_whole(path: Path, whole: int, block: bytes) -> None:
    """Cut ``path`` to its first ``whole`` bytes, which drops what a kill left half-written; add ``block``; flush."""
    with path.open("ab") as stream:
        stream.truncate(whole)
        stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


# --- the cache ----------------------------------------------------------------------------------------------------

_REFUSED: set[str] = set()  # cache folders of which it was said that they cannot be used


def cache_root() -> Path:
    """Where caches and fetched data lie: ``$GLOTCLIP_CACHE`` or the user's cache folder.

    Where the user has no home it is a path that nothing can be written to, so that nothing is kept.
    """
    import platformdirs

    named = os.environ.get("GLOTCLIP_CACHE") or platformdirs.user_cache_dir("glotclip", appauthor=False)
    found = os.path.expanduser(named)  # noqa: PTH111 -- Path.expanduser raises where there is no home
    return Path(os.devnull, "glotclip") if found.startswith("~") else Path(found)


def refused_by_system(error: BaseException) -> OSError | NotImplementedError | None:
    """Return what the system refused, where ``error`` is that or was made of that; a lock held too long is one."""
    for each in (error, error.__cause__):
        if isinstance(each, OSError | NotImplementedError):  # the latter: a file system without locks
            return each
    return None


def cannot_keep(root: Path, error: BaseException) -> None:
    """Warn, once a process and cache folder, that what is computed is not kept."""
    if str(root) in _REFUSED:
        return
    _REFUSED.add(str(root))
    why = getattr(error, "strerror", None) or str(error)
    warnings.warn(
        f"the cache {shown(root)} cannot be written ({why}): what is computed is used, not kept; "
        "set GLOTCLIP_CACHE to a folder that can be written to keep it",
        CacheWarning,
        stacklevel=3,
    )


def cache_folder(*parts: str) -> Path:
    """Return a folder of the cache, made if need be; where that is refused, one that goes away with this process.

    Raises:
        StorageError: if not even a temporary folder can be made.
    """
    place = cache_root().joinpath(*parts)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(bytes(4096))  # a full disk takes an empty file
    except OSError as error:
        cannot_keep(cache_root(), error)
    else:
        return place
    with disk_errors(Path(tempfile.gettempdir())):
        aside = _temporary_root().joinpath(*parts)
        aside.mkdir(parents=True, exist_ok=True)
        return aside


@lru_cache(maxsize=1)
def _temporary_root() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="glotclip-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
