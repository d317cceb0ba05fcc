"""What glotclip may write over: files that it made itself and nobody has changed since, and nothing else.

A folder that a command writes is a *workplace*: ``.glotclip/made.json`` in it says what kind it is and lists, with
checksums, what glotclip made there. It moves with the folder. A folder without it must be empty. A single file, such
as what ``evaluate --out`` writes, has its entry in glotclip's cache. In both cases the entry is written before the
file, and keeps the checksum of the version that is replaced, so that a kill at any moment leaves a known file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from glotclip.errors import DataError, GlotclipError, StorageError
from glotclip.storage import cache_root, disk_errors, file_sha256, read_json, to_json, utf8, write_json, writing

PRIVATE, LEDGER = ".glotclip", "made.json"
FORMAT = 1
_LONGEST = 200  # bytes of a name; file systems allow 255, and what is written aside has a longer one
_ASIDE = re.compile(r"(^|/)\.[^/]+\.[a-z0-9_]{8}\.part(/|$)")  # what a kill leaves of writing; see storage


def _check_parent(path: Path, option: str) -> None:
    """Raise :class:`StorageError` if nothing can be made at ``path``: a file is on the way, or no permission."""
    if len(os.fsencode(path.name)) > _LONGEST:
        raise StorageError(f"{path.name[:40]}… is too long for a name", hint=f"choose a shorter {option}")
    for folder in path.absolute().parents:
        if os.path.lexists(folder):
            if not folder.is_dir():
                raise StorageError(f"cannot write {path}: {folder} is no folder", hint=f"choose another {option}")
            _check_writable(folder, path, option)
            return


def _check_writable(folder: Path, path: Path, option: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(
            f"no permission to write {path}", hint=f"choose a folder that you may write to as {option}"
        )


def check_apart(out: Path | str, inputs: Iterable[Path | str | None], option: str = "--out") -> None:
    """Raise :class:`StorageError` if ``out`` is an input, under whatever name.

    It may lie in a folder that is read, where it changes no file: what glotclip made is passed over when such a
    folder is listed (:mod:`glotclip.data.listing`).

    Args:
        out: what is to be written; it need not exist.
        inputs: files and folders that are read; those that do not exist, such as ids of the hub, are passed over.
        option: what the message calls ``out``.
    """
    real = Path(os.path.realpath(out))
    for given in inputs:
        if given is None or not Path(given).exists():
            continue
        if real.exists() and real.samefile(given):
            raise StorageError(
                f"{out} is the input {given} itself, which would be overwritten", hint=f"choose another {option}"
            )


def check_new(path: Path | str, inputs: Iterable[Path | str | None] = (), option: str = "--out") -> None:
    """Raise :class:`StorageError` unless ``path`` can be made: nothing is there, and it is apart from the inputs."""
    if os.path.lexists(path):
        raise StorageError(f"{path} is there already", hint=f"choose another {option}, or remove it")
    _check_parent(Path(path), option)
    check_apart(path, inputs, option)


# --- single files ------------------------------------------------------------------------------------------------


def check_file(path: Path | str, inputs: Iterable[Path | str | None] = (), option: str = "--out") -> None:
    """Raise :class:`StorageError` unless a single file may be written.

    It may where nothing is, and over what :func:`making_file` made at this very place and nobody has changed.
    """
    path = Path(path)
    check_apart(path, inputs, option)
    if path.is_dir():
        raise StorageError(f"cannot write {path}: it is a folder", hint=f"name a file as {option}")
    _check_parent(Path(os.path.realpath(path)), option)
    if os.path.lexists(path) and not _wrote(path):
        raise StorageError(
            f"{path} is there already, and glotclip did not make it or it was changed since",
            hint=f"choose another {option}, or remove it",
        )


@contextlib.contextmanager
def making_file(path: Path | str, inputs: Iterable[Path | str | None] = (), option: str = "--out") -> Iterator[Path]:
    """Yield a temporary path; on success it becomes the single file ``path``, see :func:`check_file`."""
    check_file(path, inputs, option)
    real = Path(os.path.realpath(path))  # a link stays a link
    with writing(real) as aside:
        yield aside
        known = [file_sha256(real)] if real.is_file() else []
        with contextlib.suppress(OSError, StorageError):  # without a cache the file is a stranger the next time
            write_json(_entry(real), {"path": str(real), "sha256": [*known, file_sha256(aside)]})


def write_file(
    path: Path | str, data: bytes, inputs: Iterable[Path | str | None] = (), option: str = "--out"
) -> None:
    """Write a single file as a whole or not at all; see :func:`check_file` for what is refused."""
    with making_file(path, inputs, option) as aside:
        aside.write_bytes(data)


def _entry(real: Path) -> Path:
    return cache_root() / "made" / f"{hashlib.sha256(os.fsencode(real)).hexdigest()[:32]}.json"


def _wrote(path: Path) -> bool:
    real = Path(os.path.realpath(path))
    if not real.is_file():
        return not os.path.lexists(real)  # a link to nothing
    try:
        entry = read_json(_entry(real))
    except DataError:
        return False
    return isinstance(entry, dict) and file_sha256(real) in (entry.get("sha256") or ())


# --- folders -----------------------------------------------------------------------------------------------------


class Workplace:
    """A folder that glotclip writes, and what it made there.

    Args:
        folder: the folder; it need not exist yet.
        kind: what is made in it; a folder of another kind is refused.
    """

    def __init__(self, folder: Path | str, kind: str) -> None:
        self.folder, self.kind = Path(folder), kind

    @property
    def private(self) -> Path:
        """The folder with glotclip's own records."""
        return self.folder / PRIVATE

    @property
    def listed(self) -> bool:
        """Whether there is a list of what glotclip made in the folder."""
        return (self.private / LEDGER).exists()

    def check(
        self,
        names: Iterable[str] = (),
        inputs: Iterable[Path | str | None] = (),
        *,
        adopt: bool = False,
        option: str = "--out",
    ) -> None:
        """Raise :class:`StorageError` unless the folder may be written; changes nothing.

        Args:
            names: files that will be written; those that are there must be glotclip's.
            inputs: what is read, which the folder must not be.
            adopt: whether a record in the folder shows that it is glotclip's even without the list.
            option: what the message calls the folder.
        """
        self._check_place(option)
        check_apart(self.folder, inputs, option)
        there = sorted(entry.name for entry in self.folder.iterdir()) if self.folder.is_dir() else []
        if not [name for name in there if name != PRIVATE]:
            return
        ledger = self._read()
        if ledger is None and not adopt:
            shown = ", ".join(there[:3]) + (", …" if len(there) > 3 else "")
            raise StorageError(
                f"{self.folder} holds files that glotclip did not make: {shown}",
                hint=f"choose another {option}: a folder that is new or empty",
            )
        if ledger is not None and ledger["kind"] != self.kind:
            raise StorageError(
                f"{self.folder} holds a {ledger['kind']} and not a {self.kind}",
                hint=f"choose another {option}: a folder that is new or empty",
            )
        for name in names:
            self.check_name(name)

    def _check_place(self, option: str) -> None:
        if self.folder.is_dir():
            _check_writable(self.folder, self.folder, option)
        elif os.path.lexists(self.folder):
            what = "a file is in the folder's place" if self.folder.exists() else "it is a link to nothing"
            raise StorageError(f"cannot write {self.folder}: {what}", hint=f"choose another {option}")
        else:
            _check_parent(self.folder, option)

    def claim(self) -> None:
        """Make the folder a workplace, whose content glotclip may replace from now on; it was checked before."""
        with disk_errors(self.folder):
            self.private.mkdir(parents=True, exist_ok=True)
        if self._read() is None:
            write_json(self.private / LEDGER, self._new())

    def leave(self, *, existed: bool) -> None:
        """Remove the records again where nothing else was made; the folder too, unless it ``existed`` before."""
        if self.private.is_dir() and [entry.name for entry in self.folder.iterdir()] == [PRIVATE]:
            shutil.rmtree(self.private)
            if not existed:
                self.folder.rmdir()

    def owns(self, name: str) -> bool:
        """Whether the file of this name is glotclip's own and as glotclip left it."""
        return self._owns(self._read() or self._new(), name)

    def check_name(self, name: str) -> None:
        """Raise :class:`StorageError` if there is something of this name that glotclip did not make."""
        path = self.folder / name
        if os.path.lexists(path) and not self.owns(name):
            raise StorageError(
                f"{path} was not made by glotclip, or was changed since",
                hint="move it elsewhere, or choose another --out",
            )

    def write_text(self, name: str, text: str) -> None:
        """Write a file (UTF-8) as a whole or not at all, over nothing but its own earlier version."""
        self.check_name(name)
        path, data = self.folder / name, utf8(text)
        known = [file_sha256(path)] if path.exists() else []
        with self._changing() as ledger:
            ledger["files"][name] = list(dict.fromkeys([*known, hashlib.sha256(data).hexdigest()]))
        with writing(path) as aside:
            aside.write_bytes(data)

    def write_json(self, name: str, value: Any) -> None:
        """Write a JSON file; see :meth:`write_text`."""
        self.write_text(name, to_json(value, indent=1) + "\n")

    def append(self, name: str, line: str) -> None:
        """Add a line to a log. The log is glotclip's while it begins with the line it began with."""
        path = self.folder / name
        self.check_name(name)
        if not os.path.lexists(path):
            with self._changing() as ledger:
                ledger["logs"][name] = line
        with disk_errors(path), path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def remove(self, name: str) -> None:
        """Remove a file that glotclip made; one that it did not make stays."""
        if self.owns(name):
            (self.folder / name).unlink(missing_ok=True)

    def claim_log(self, name: str) -> None:
        """Enter a file that other processes write as they like."""
        self.check_name(name)
        with self._changing() as ledger:
            ledger["logs"][name] = ""

    def claim_folder(self, name: str) -> None:
        """Enter a subfolder that is about to be made, so that what a kill leaves of it is known as glotclip's."""
        if name not in self.folders:
            self.check_name(name)
            self.adopt_folders([name])

    def adopt_folders(self, names: Collection[str]) -> None:
        """Enter subfolders that a record shows to be glotclip's."""
        with self._changing() as ledger:
            ledger["folders"] = list(dict.fromkeys([*ledger["folders"], *names]))

    def release_folder(self, name: str) -> None:
        """Strike out a subfolder that is gone."""
        with self._changing() as ledger:
            ledger["folders"] = [each for each in ledger["folders"] if each != name]

    @property
    def folders(self) -> list[str]:
        """The subfolders that glotclip made."""
        return list((self._read() or self._new())["folders"])

    def holds(self, path: Path) -> bool:
        """Whether a file below the folder is glotclip's: by itself, or since it lies in a subfolder that is."""
        name, ledger = path.relative_to(self.folder).as_posix(), self._read() or self._new()
        return any(name.startswith(f"{each}/") for each in ledger["folders"]) or self._owns(ledger, name)

    def _owns(self, ledger: dict[str, Any], name: str) -> bool:
        path = self.folder / name
        if name in ledger["folders"]:
            return path.is_dir() and not path.is_symlink()
        if not path.is_file() or path.is_symlink():
            return False
        if name in ledger["logs"]:
            if not ledger["logs"][name]:
                return True
            first = f"{ledger['logs'][name]}\n".encode()
            with path.open("rb") as stream:
                begun = stream.read(len(first))
            return first.startswith(begun)  # a kill may have cut the very first line
        return name in ledger["files"] and file_sha256(path) in ledger["files"][name]

    def _new(self) -> dict[str, Any]:
        return {"format": FORMAT, "kind": self.kind, "files": {}, "logs": {}, "folders": []}

    def _read(self) -> dict[str, Any] | None:
        path = self.private / LEDGER
        if not path.exists():
            return None
        fault = StorageError(
            f"{path}, which lists what glotclip made, is damaged or of a newer glotclip",
            hint="choose another --out",
        )
        try:
            ledger = read_json(path)
        except GlotclipError as error:
            raise fault from error
        kinds = {name: type(value) for name, value in self._new().items()}
        if not isinstance(ledger, dict) or {name: type(value) for name, value in ledger.items()} != kinds:
            raise fault
        if ledger["format"] != FORMAT:
            raise fault
        return ledger

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """What is listed, to be changed inside; it is written afterwards if it was."""
        ledger = self._read() or self._new()
        before = to_json(ledger)
        yield ledger
        if to_json(ledger) != before:
            write_json(self.private / LEDGER, ledger)


def strangers(folder: Path, own: Collection[str] = ()) -> Iterator[Path]:
    """The files in a folder that glotclip did not make, as far as the workplaces in it tell.

    Args:
        folder: what is to be looked through.
        own: names of files that are glotclip's wherever they lie in it.
    """
    for root, folders, files in os.walk(folder):
        if PRIVATE in folders:
            folders.remove(PRIVATE)
        here = Path(root)
        home = next((each for each in (here, *here.parents) if (each / PRIVATE / LEDGER).exists()), None)
        place = None if home is None or not home.is_relative_to(folder) else Workplace(home, "")
        if _ASIDE.search(here.relative_to(folder).as_posix()):
            continue
        for name in (*files, *(each for each in folders if (here / each).is_symlink())):
            if name not in own and not _ASIDE.search(name) and not (place is not None and place.holds(here / name)):
                yield here / name


def discard(folder: Path, own: Collection[str] = ()) -> None:
    """Remove a folder that holds nothing but what glotclip made; arguments as of :func:`strangers`.

    Raises:
        StorageError: if there is anything else in it; nothing is removed then.
    """
    other = next(strangers(folder, own), None) if folder.is_dir() and not folder.is_symlink() else folder
    if other is not None:
        raise StorageError(
            f"{other} is in the way, and glotclip did not make it or it was changed since",
            hint="move it elsewhere, or choose another --out",
        )
    shutil.rmtree(folder)
