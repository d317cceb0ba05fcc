"""Polyglots and packs as a whole: saved from memory, added to a folder, exported as an archive."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from glotclip.errors import ConfigError, InterruptedRunError, LanguageError, PackError
from glotclip.languages import normalise
from glotclip.models.checkpoints import save_base
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.hub import is_name
from glotclip.models.tokenizer import TOKENIZER_FILES
from glotclip.ownership import check_file, making_file
from glotclip.packs.archive import BASE, Member, pack_up, stem, unpacked
from glotclip.packs.base_source import BaseSource, absolute
from glotclip.packs.folder import RECORD, Base, FolderRecord, PolyglotFolder
from glotclip.packs.manifest import Manifest, pack_for
from glotclip.packs.pack import FILES, FOREIGN, LanguagePack, read_manifest, read_weights, write_pack
from glotclip.packs.terms import warn_of_terms
from glotclip.storage import write_json, writing_folder

if TYPE_CHECKING:
    from glotclip.packs.polyglot import Polyglot

_FILES = (*FILES, *(f"{FOREIGN}/{name}" for name in TOKENIZER_FILES))
_NAME = re.compile(r"\w[\w+-]*")


def save_polyglot(polyglot: Polyglot, folder: Path | str, *, with_base: bool | None = None) -> Path:
    """Write a loaded model with the packs it has now as a folder that :func:`glotclip.load` opens.

    A folder that glotclip made for the same base takes the new state in one commit; packs that the model no longer
    has go from it.

    Args:
        polyglot: the model.
        folder: new, empty, or a model folder of the same base.
        with_base: whether the base's weights are written into the folder as well. None: if they could not be found
            otherwise, since the base was made in memory.

    Returns:
        The folder.

    Raises:
        StorageError: if something lies in the folder that glotclip did not make; nothing is changed.
        ConfigError: if it holds a model of another base.
        InterruptedRunError: if it holds an unfinished run.
    """
    out, base = PolyglotFolder(folder), polyglot.base
    out.check(())
    _check_finished(out)
    before = out.read() if out.is_one(out.path) else None
    if before is not None and before.base.fingerprint != base.fingerprint:
        raise ConfigError(
            f"{out.path} was made for {before.base.name}, not for {base.name}", hint="choose another folder"
        )
    with out.locked():
        source = _base_of(polyglot, out, before, with_base)
        before = before or FolderRecord(base=source)
        packs = {name: _placed(pack, out, before, base) for name, pack in polyglot.packs.items()}
        run = before.run if packs == before.packs else None
        out.commit(before.model_copy(update={"base": source, "packs": packs, "run": run}))
        out.sweep()
    return out.path


def add_packs(
    out: PolyglotFolder, source: Path | str, *, lang: str | None = None, base: Base | None = None
) -> list[Manifest]:
    """Add a pack to a model folder, or all packs of another model folder or of an exported archive, in one commit.

    Args:
        out: the model folder.
        source: a pack's folder, a model folder, or an archive of either.
        lang: only the pack of this language.
        base: the folder's base, if it has moved.

    Raises:
        PackError: if a pack is damaged, unsafe, or was made for another base; nothing is changed.
        LanguageError: if the folder has a language or a pack of that name already, or ``lang`` is not there.
        InterruptedRunError: if the folder holds an unfinished run.
    """
    out.read()
    out.check(())
    _check_finished(out)
    encoder = out.load_base(base)
    with _pack_folders(Path(source)) as folders:
        packs = [LanguagePack.load(folder, encoder) for folder in folders]
        if lang is not None:
            code = normalise(lang)
            packs = [pack for pack in packs if code in pack.languages]
            if not packs:
                raise LanguageError(
                    f"{source} has no pack for {code!r}", hint="see what it has: `glotclip pack show`"
                )
        with out.locked():
            record = out.read()
            _check_new(out, packs)
            added = {pack.name: _placed(pack, out, record, encoder) for pack in packs}
            out.commit(record.model_copy(update={"packs": {**record.packs, **added}}))
    return [pack.manifest for pack in packs]


def export(
    source: PolyglotFolder,
    out: Path | str,
    *,
    lang: str | None = None,
    with_base: bool = False,
    base: Base | None = None,
) -> Path:
    """Write a model folder's packs as one archive, which holds the same bytes whenever and wherever it is made.

    Args:
        source: the model folder.
        out: the archive, ``.tar.gz``, ``.tgz`` or ``.zip``; unpacked it is a model folder of that name.
        lang: only the pack of this language.
        with_base: put the base in as well, so that the model opens where the base is not at hand.
        base: the base, if it has moved.

    Raises:
        PackError: if a pack is damaged.
        LanguageError: if no pack provides ``lang``.
        StorageError: if there is a file that glotclip did not make.
    """
    out = Path(out)
    root = stem(out)
    check_file(out, option="OUT")
    record, manifests = source.read(), source.manifests()
    languages = {name: manifest.languages for name, manifest in manifests.items()}
    names = list(manifests) if lang is None else [pack_for(lang, languages)[0]]
    for name in names:
        read_weights(source.path / record.packs[name], manifests[name])
    warn_of_terms(manifests[name] for name in names)
    packs = {name: f"packs/{name}-1" for name in names}
    with (
        making_file(out, option="OUT") as aside,
        tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=".") as name,
    ):
        place = Path(name)
        if with_base:
            _save_base(source.load_base(base), place / BASE)
        described = FolderRecord(base=_portable(record.base, with_base=with_base), packs=packs)
        write_json(place / RECORD, described.model_dump(mode="json"))
        members = [
            Member(f"{root}/{each.relative_to(place).as_posix()}", each)
            for each in place.rglob("*")
            if each.is_file()
        ]
        for key in names:
            members += [
                Member(f"{root}/{packs[key]}/{each}", path)
                for each, path in _present(source.path / record.packs[key])
            ]
        pack_up(members, aside, as_zip=out.suffix.lower() == ".zip")
    return out


def _portable(base: BaseSource, *, with_base: bool) -> BaseSource:
    """The base as an archive names it: no path of the machine it was made on."""
    plain = "+".join(Path(part).name if Path(part).is_absolute() else part for part in base.source.split("+"))
    if with_base:
        return base.model_copy(update={"source": plain.replace("+", "-"), "relative": BASE})
    return base.model_copy(update={"source": plain, "relative": None})


def _check_finished(folder: PolyglotFolder) -> None:
    run = folder.read().run if folder.is_one(folder.path) else None
    if run is not None and not run.complete:
        raise InterruptedRunError(
            f"{folder.path} holds an unfinished run (done: {', '.join(run.done) or 'no task'})",
            hint="repeat that run's command to finish it, or choose another folder",
        )


def _check_new(out: PolyglotFolder, packs: Iterable[LanguagePack]) -> None:
    """Refuse packs whose languages or names are taken, by the folder or by one another."""
    taken = {name: set(manifest.languages) for name, manifest in out.manifests().items()}
    for pack in packs:
        if not _NAME.fullmatch(pack.name):
            raise PackError(f"{pack.name!r} is no name of a pack")
        for name, languages in taken.items():
            if both := sorted(languages & set(pack.languages)):
                raise LanguageError(
                    f"the pack {name!r} already provides {', '.join(both)}",
                    hint=f"remove it first (`glotclip pack remove {out.path} {name}`), or leave the other out",
                )
        if pack.name in taken:
            raise LanguageError(
                f"{out.path} has another pack named {pack.name!r}",
                hint=f"remove it first (`glotclip pack remove {out.path} {pack.name}`)",
            )
        taken[pack.name] = set(pack.languages)


@contextlib.contextmanager
def _pack_folders(source: Path) -> Iterator[list[Path]]:
    """The packs in a pack folder, a model folder or an archive."""
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(unpacked(source)) if source.is_file() else source
        if not PolyglotFolder.is_one(place):
            yield [place]
            return
        folders = [place / folder for folder in PolyglotFolder(place).read().packs.values()]
        if any(not folder.resolve().is_relative_to(place.resolve()) for folder in folders):
            raise PackError(f"{source} names packs that lie outside of it")
        yield folders


def _is_whole(pack: LanguagePack) -> bool:
    """Whether what was loaded still lies where it was loaded from."""
    try:
        if pack.folder is None or read_manifest(pack.folder) != pack.manifest:
            return False
        read_weights(pack.folder, pack.manifest)
    except PackError:
        return False
    return True


def _placed(pack: LanguagePack, out: PolyglotFolder, record: FolderRecord, base: DualEncoder) -> str:
    """The pack's folder relative to ``out``: where it lies already, or a new one.

    What was loaded from files that are still the same is copied byte for byte.
    """
    whole, relative = _is_whole(pack), record.packs.get(pack.name)
    if whole and relative and pack.folder and pack.folder.resolve() == (out.path / relative).resolve():
        return relative
    relative = out.next_folder(pack.name, record)
    if not whole or pack.folder is None:
        facts = pack.manifest
        write_pack(
            out.path / relative, pack.state, name=pack.name, method=facts.method, learnt=facts.learnt, base=base,
            settings=facts.settings, data=facts.data, scores=facts.scores, profiles=pack.profiles,
            glossary=pack.glossary, text_forms=facts.text_forms,
        )  # fmt: skip
        return relative
    with writing_folder(out.path / relative) as aside:
        for name, path in _present(pack.folder):
            (aside / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, aside / name)
        LanguagePack.load(aside, base)
    return relative


def _present(folder: Path) -> list[tuple[str, Path]]:
    """The files of a pack that there are, by name; whatever else lies in its folder is not the pack's."""
    return [(name, folder / name) for name in _FILES if (folder / name).is_file()]


def _base_of(
    polyglot: Polyglot, out: PolyglotFolder, before: FolderRecord | None, with_base: bool | None
) -> BaseSource:
    """Say where the base is found, and write it into the folder where that is wanted or needed."""
    source = absolute(polyglot.source)
    found = before.base if before else BaseSource.of(polyglot.base, source, out.path)
    if with_base is None:
        with_base = before is None and not all(
            Path(part).is_absolute() or is_name(part) for part in source.split("+")
        )
    if not with_base:
        return found
    if not (BASE in out.workplace.folders and (out.path / BASE).exists()):
        out.workplace.claim_folder(BASE)
        _save_base(polyglot.base, out.path / BASE)
    described = BaseSource(name=polyglot.base.name, fingerprint=polyglot.base.fingerprint, source=source)
    return _portable(described, with_base=True)


def _save_base(base: DualEncoder, folder: Path) -> None:
    """Save a base, as half-precision numbers if they hold its weights exactly."""
    try:
        save_base(base, folder, dtype=torch.float16)
    except ConfigError:
        save_base(base, folder)
