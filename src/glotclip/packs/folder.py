"""A polyglot on disk: ``polyglot.json`` names the base and the packs in use, and is replaced last.

    OUT/polyglot.json          which base, which packs, and the record of the last run
    OUT/packs/<name>-<n>/      a pack; a changed pack is a new folder with the next number
    OUT/.memory/<n>.safetensors  what a strategy against forgetting remembers of the tasks so far
    OUT/.run/                  what an unfinished run needs to go on
    OUT/.glotclip/             the lock, and the list of what glotclip made here (:mod:`glotclip.ownership`)

Whoever reads sees the state of one ``polyglot.json``: the old one until the new one is in place. Packs that glotclip
made and the record does not name are leftovers of a killed run and are removed by the next one.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import Field, ValidationError

from glotclip.config import Settings
from glotclip.errors import LanguageError, PackError, StorageError
from glotclip.models.checkpoints import load_base
from glotclip.models.dual_encoder import DualEncoder
from glotclip.ownership import Workplace
from glotclip.packs.base_source import BaseSource, absolute
from glotclip.packs.manifest import FORMAT, Manifest, check_format, pack_for
from glotclip.packs.manifest import RECORD as RECORD
from glotclip.packs.pack import read_manifest, remove_pack_files
from glotclip.storage import disk_errors, is_there, read_json, write_json

if TYPE_CHECKING:
    from glotclip.packs.polyglot import Polyglot

Base: TypeAlias = "DualEncoder | Polyglot | str | Path"
MEMORIES, RUN = ".memory", ".run"
OUTPUTS = ("config.json", "log.jsonl", "results.json", "report.md", "report.html", "skipped.txt")
_MEMORY = re.compile(r"\d+\.safetensors|\..*\.part")


class RunRecord(Settings):
    """The last ``extend`` run. ``identity`` hashes everything that decides its result."""

    identity: str
    plan: dict[str, Any]
    start: dict[str, str] = Field(description="the packs the run started from")
    done: tuple[str, ...] = ()
    complete: bool = False
    evaluations: dict[str, Any] = Field(default_factory=dict, description="scores after each task, by its name")
    memory: str | None = Field(
        None, description="what a strategy against forgetting remembers, relative to this file"
    )


class FolderRecord(Settings):
    """The content of ``polyglot.json``."""

    format: int = FORMAT
    base: BaseSource
    packs: dict[str, str] = Field(default_factory=dict, description="pack name → folder, relative to this file")
    run: RunRecord | None = None


class PolyglotFolder:
    """The folder that ``glotclip extend --out`` makes.

    Args:
        path: the folder; it need not exist yet.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @staticmethod
    def is_one(path: Path | str) -> bool:
        """Whether a folder holds a polyglot."""
        return is_there(Path(path) / RECORD)

    @property
    def run_folder(self) -> Path:
        """Where an unfinished run keeps its checkpoint and logs."""
        return self.path / RUN

    @property
    def workplace(self) -> Workplace:
        """What glotclip made in the folder."""
        return Workplace(self.path, "polyglot")

    def check(self, names: Iterable[str] = OUTPUTS, inputs: Iterable[Path | str | None] = ()) -> None:
        """Raise an error unless glotclip may write here: the folder is new, empty, or one it made; changes nothing.

        Args:
            names: files that will be written besides the packs.
            inputs: files and folders that are read, which the folder must not be.

        Raises:
            StorageError: if something else lies here, or in the place of a file to be written.
            PackError: if there is a ``polyglot.json`` that is none.
        """
        recorded = os.path.lexists(self.path / RECORD) and self.read() is not None
        places = (*names, RUN, MEMORIES) if self.workplace.listed else names
        self.workplace.check(places, inputs, adopt=recorded)

    def read(self) -> FolderRecord:
        """Read ``polyglot.json``; a damaged, older or newer one is a :class:`PackError`."""
        content = read_json(self.path / RECORD)
        check_format(content, self.path / RECORD)
        try:
            return FolderRecord.model_validate(content)
        except ValidationError as error:
            raise PackError(
                f"{self.path / RECORD} is damaged: {error.errors()[0]['msg']}", hint="restore the file"
            ) from error

    def commit(self, record: FolderRecord) -> None:
        """Make ``record`` the state of the folder. This is the one moment at which anything changes for readers.

        Raises:
            PackError: if there is a ``polyglot.json`` that is none of ours.
        """
        if os.path.lexists(self.path / RECORD):
            self.workplace.adopt_folders(self.read().packs.values())
        self.workplace.adopt_folders(record.packs.values())
        write_json(self.path / RECORD, record.model_dump(mode="json"))

    def load_base(self, base: Base | None = None) -> DualEncoder:
        """Load the base that the folder names, or check that ``base`` is the one."""
        return self.find_base(base)[0]

    def find_base(self, base: Base | None = None) -> tuple[DualEncoder, str]:
        """Load the base, and return it with where it is loaded from.

        Args:
            base: the base, a model on it, or where either lies, if it is not where the folder says.

        Raises:
            CheckpointError: if it cannot be found or read.
            FingerprintError: if it has other weights than the packs were made for.
        """
        reference = self.read().base
        if base is None:
            return reference.find(self.path)
        if isinstance(base, DualEncoder):
            found, source = base, reference.source
        elif not isinstance(base, str | Path):
            found, source = base.base, base.source
        elif self.is_one(base):
            found, source = PolyglotFolder(base).find_base()
        else:
            source = absolute(str(base))
            found = load_base(source)
        if found.fingerprint != reference.fingerprint:
            raise reference.other_weights(self.path, source, found.fingerprint)
        return found, source

    def manifests(self) -> dict[str, Manifest]:
        """The manifests of all packs by name, without loading the base or any weights."""
        return {name: read_manifest(self.path / folder) for name, folder in self.read().packs.items()}

    def remove(self, lang: str) -> Manifest:
        """Remove the pack of one language; every other language stays bit for bit as if it had never been there.

        Args:
            lang: the language, or the name of a pack, which goes with all its languages.

        Raises:
            LanguageError: if no pack has the language, or its pack also carries others: a table that several
                languages have shaped cannot be taken apart. The pack's own name removes it as a whole.
        """
        self.read()
        with self.locked():
            record, manifests = self.read(), self.manifests()
            name, code = pack_for(lang, {name: manifest.languages for name, manifest in manifests.items()})
            if code and manifests[name].learnt != (code,):
                raise self._inseparable(code, manifests[name])
            packs = {key: folder for key, folder in record.packs.items() if key != name}
            self.commit(record.model_copy(update={"packs": packs, "run": None}))
            self.sweep()
        return manifests[name]

    def _inseparable(self, code: str, manifest: Manifest) -> LanguageError:
        """Why one language cannot be taken out of a shared pack, and what can be done instead."""
        learnt, name = manifest.learnt, manifest.name
        others = [each for each in learnt if each != code]
        if code not in learnt:
            why = f"the base's own {code!r} goes through weights that {', '.join(learnt)} have shaped"
        elif later := learnt[learnt.index(code) + 1 :]:
            why = f"{', '.join(later)} were learnt after it and on top of it"
        else:
            why = f"it was learnt last, and the state of {', '.join(others)} before it is not kept"
        return LanguageError(
            f"{code!r} cannot be taken out of the pack {name!r}, which is one for {', '.join(learnt)}: {why}",
            hint=f"remove the whole pack (`glotclip pack remove {self.path} {name}`), which gives back the base as "
            f"it was, and learn {', '.join(others) or 'what is missing'} again; what is learnt with "
            "isolation=per-language comes out one by one",
        )

    def next_folder(self, name: str, record: FolderRecord) -> str:
        """The folder for the next version of a pack, relative to this one; what a killed run left there goes."""
        number = int(record.packs.get(name, "-0").rpartition("-")[2]) + 1
        while True:
            relative = f"packs/{name}-{number}"
            if relative in self.workplace.folders:
                self._remove_pack(relative)
            if not os.path.lexists(self.path / relative):
                self.workplace.claim_folder(relative)
                return relative
            number += 1  # there is something of the user's

    def next_memory(self, record: FolderRecord) -> str:
        """The file for what a strategy remembers after the next task, relative to this one."""
        current = record.run.memory if record.run else None
        number = int(Path(current).stem) + 1 if current else 1
        return f"{MEMORIES}/{number}.safetensors"

    def open_run(self) -> None:
        """Make an empty place for what an unfinished run needs."""
        self.close_run()
        self.workplace.claim_folder(RUN)

    def close_run(self) -> None:
        """Remove what an unfinished run needed."""
        if RUN in self.workplace.folders:
            shutil.rmtree(self.run_folder, ignore_errors=True)
            self.workplace.release_folder(RUN)

    def sweep(self) -> None:
        """Delete packs that glotclip made and memories, where the record does not name them, and nothing else."""
        record = self.read()
        memories = self.path / MEMORIES
        for file in memories.glob("*"):
            named = record.run and record.run.memory and file == self.path / record.run.memory
            if _MEMORY.fullmatch(file.name) and not named:
                file.unlink()
        if memories.is_dir() and not any(memories.iterdir()):
            memories.rmdir()
        for folder in self.workplace.folders:
            if folder.startswith("packs/") and folder not in record.packs.values():
                self._remove_pack(folder)

    def _remove_pack(self, relative: str) -> None:
        """Remove a pack that glotclip made, and what is left of writing it; files put there by others stay."""
        folder = self.path / relative
        left = re.compile(rf"\.{re.escape(folder.name)}\.\w+\.part")
        places = [folder, *(each for each in folder.parent.glob(".*.part") if left.fullmatch(each.name))]
        for place in places:
            if place.is_dir() and not place.is_symlink():
                remove_pack_files(place)
        if folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()
        self.workplace.release_folder(relative)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other writers; readers need no lock. See :meth:`check` for what is refused."""
        from filelock import FileLock, Timeout

        self.check(())
        existed, workplace = self.path.is_dir(), self.workplace
        with disk_errors(self.path):
            workplace.private.mkdir(parents=True, exist_ok=True)
            lock = FileLock(workplace.private / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise StorageError(
                    f"another process is writing to {self.path}", hint="wait for it, or choose another --out"
                ) from error
        try:
            if not workplace.listed:
                workplace.claim()
                packs = self.read().packs.values() if self.is_one(self.path) else ()
                older = (place for place in (RUN, MEMORIES) if (self.path / place).is_dir())
                workplace.adopt_folders([*packs, *older])
            yield
        finally:
            lock.release()
            workplace.leave(existed=existed)
