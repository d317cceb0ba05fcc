"""A polyglot on disk: ``polyglot.json`` names the base and the packs in use, and is replaced last.

    OUT/polyglot.json          which base, which packs, and the record of the last run
    OUT/packs/<name>-<n>/      a pack; a changed pack is a new folder with the next number
    OUT/.memory/<n>.safetensors  what a strategy against forgetting remembers of the tasks so far
    OUT/.run/                  what an unfinished run needs to go on

Whoever reads sees the state of one ``polyglot.json``: the old one until the new one is in place. Folders that
it does not name are leftovers of a killed run and are removed by the next one.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from glotclip.config import Settings
from glotclip.errors import CheckpointError, FingerprintError, LanguageError, PackError, StorageError
from glotclip.languages import normalise, resolve
from glotclip.models.dual_encoder import DualEncoder
from glotclip.packs.manifest import Manifest
from glotclip.packs.pack import LanguagePack, read_manifest
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import disk_errors, read_json, write_json

FORMAT = 1
RECORD = "polyglot.json"
MEMORIES = ".memory"
_MEMORY = re.compile(r"\d+\.safetensors|\..*\.part")
_LEFTOVER = re.compile(r"[\w-]+-\d+|\..*\.part")  # a pack, or one that was being written


class BaseSource(Settings):
    """The base, and where to load it from: a built-in name, a hub id, or an absolute path."""

    name: str
    fingerprint: str
    source: str


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
        return (Path(path) / RECORD).is_file()

    @property
    def run_folder(self) -> Path:
        """Where an unfinished run keeps its checkpoint and logs."""
        return self.path / ".run"

    def read(self) -> FolderRecord:
        """Read ``polyglot.json``; a damaged or newer one is a :class:`PackError`."""
        content = read_json(self.path / RECORD)
        if isinstance(content, dict) and isinstance(content.get("format"), int) and content["format"] > FORMAT:
            raise PackError(
                f"{self.path} has format {content['format']}; this glotclip reads up to {FORMAT}",
                hint="pip install -U glotclip",
            )
        try:
            return FolderRecord.model_validate(content)
        except ValidationError as error:
            raise PackError(
                f"{self.path / RECORD} is damaged: {error.errors()[0]['msg']}", hint="restore the file"
            ) from error

    def commit(self, record: FolderRecord) -> None:
        """Make ``record`` the state of the folder. This is the one moment at which anything changes for readers."""
        write_json(self.path / RECORD, record.model_dump(mode="json"))

    def load_base(self, base: DualEncoder | None = None) -> DualEncoder:
        """Load the base that the folder names, or check that ``base`` is the one."""
        from glotclip.models.checkpoints import load_base

        reference = self.read().base
        if base is None:
            try:
                base = load_base(reference.source)
            except CheckpointError as error:
                raise CheckpointError(
                    f"{self.path} needs the base {reference.name}, which could not be loaded: {error.message}",
                    hint=f"put it back, or pass it: glotclip.load({str(self.path)!r}, base=…). {error.hint}",
                ) from error
        if base.fingerprint != reference.fingerprint:
            raise FingerprintError(
                f"{self.path} was made for {reference.name} ({reference.fingerprint}); "
                f"{reference.source} now has other weights ({base.fingerprint})",
                hint="restore the original base, or extend the new one from the start",
            )
        return base

    def load(self, base: DualEncoder | None = None) -> Polyglot:
        """Open base and packs."""
        base = self.load_base(base)
        record = self.read()
        while True:
            try:
                return Polyglot(base, self._open(record, base), source=record.base.source)
            except (PackError, OSError):
                fresh = self.read()  # a run may have replaced a pack since: then that is the state to read
                if fresh == record:
                    raise
                record = fresh

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
        with self.locked():
            record, manifests = self.read(), self.manifests()
            if lang in manifests:
                name = lang
            else:
                taught = [code for manifest in manifests.values() for code in manifest.languages]
                code = resolve(lang, taught, near=True) or normalise(lang)
                name = next((name for name, manifest in manifests.items() if code in manifest.languages), "")
                if not name:
                    raise LanguageError(
                        f"no pack provides {code!r}", hint=f"installed packs: {', '.join(manifests) or 'none'}"
                    )
                if manifests[name].learnt != (code,):
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
        """The folder for the next version of a pack, relative to this one."""
        current = record.packs.get(name, f"packs/{name}-0")
        number = int(current.rpartition("-")[2]) + 1
        return f"packs/{name}-{number}"

    def next_memory(self, record: FolderRecord) -> str:
        """The file for what a strategy remembers after the next task, relative to this one."""
        current = record.run.memory if record.run else None
        number = int(Path(current).stem) + 1 if current else 1
        return f"{MEMORIES}/{number}.safetensors"

    def sweep(self) -> None:
        """Delete packs and memories that the record does not name, and nothing that is neither."""
        packs, record = self.path / "packs", self.read()
        used = {self.path / folder for folder in record.packs.values()}
        memories = self.path / MEMORIES
        for file in memories.glob("*"):
            named = record.run and record.run.memory and file == self.path / record.run.memory
            if _MEMORY.fullmatch(file.name) and not named:
                file.unlink()
        if memories.is_dir() and not any(memories.iterdir()):
            memories.rmdir()
        for folder in packs.iterdir() if packs.is_dir() else ():
            if folder.is_dir() and folder not in used and _LEFTOVER.fullmatch(folder.name):
                shutil.rmtree(folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against other writers; readers need no lock."""
        from filelock import FileLock, Timeout

        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise StorageError(
                    f"another process is writing to {self.path}", hint="wait for it, or choose another --out"
                ) from error
        try:
            yield
        finally:
            lock.release()

    def _open(self, record: FolderRecord, base: DualEncoder) -> list[LanguagePack]:
        return [LanguagePack.load(self.path / folder, base) for folder in record.packs.values()]
