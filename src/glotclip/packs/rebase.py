"""Moving packs onto another base of the same shape, such as one that was fine-tuned since (MLA's FT-En).

A pack is trained against one base, and its fingerprint says which; nothing here happens by itself. Shapes and
vocabulary must agree. What the packs then score has to be measured anew, so stored scores are dropped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from glotclip.errors import ConfigError
from glotclip.models.dual_encoder import DualEncoder
from glotclip.ownership import check_apart, check_new
from glotclip.packs.folder import Base, BaseSource, FolderRecord, PolyglotFolder
from glotclip.packs.manifest import BaseReference
from glotclip.packs.pack import LanguagePack, read_manifest, rewrite_manifest
from glotclip.storage import writing_folder


def check_target(target: Path, inputs: Iterable[Path | str | None] = ()) -> None:
    """Raise an error unless a folder can be made at ``target``: nothing is there, or an empty folder."""
    if PolyglotFolder.is_one(target):
        raise ConfigError(f"{target} holds a polyglot already", hint="choose another --out")
    if target.is_dir() and not target.is_symlink() and not any(target.iterdir()):
        check_apart(target, inputs)
    else:
        check_new(target, inputs)


def rebase(
    source: PolyglotFolder, base: DualEncoder, base_source: str, target: Path, *, old_base: Base | None = None
) -> PolyglotFolder:
    """Copy a polyglot with all its packs onto another base, as a whole or not at all.

    Args:
        source: the polyglot to copy; it stays as it is.
        base: the new base; its tokenizer and the text tower's geometry must be the old one's.
        base_source: where the new base is loaded from.
        target: the folder to write, which must not exist yet or be empty.
        old_base: where the old base is, if it has moved.

    Raises:
        ConfigError: if the new base has another tokenizer or text geometry.
        PackError: if a pack does not fit.
        StorageError: if ``target`` holds anything.
    """
    check_target(target, (source.path,))
    old, record = source.load_base(old_base), source.read()
    if old.tokenizer.identity != base.tokenizer.identity or old.text.config != base.text.config:
        raise ConfigError(
            f"{base.name} has another tokenizer or text geometry than {old.name}",
            hint="packs can be moved onto a fine-tuned copy of their base only; else learn the languages anew",
        )
    reference = BaseReference(name=base.name, fingerprint=base.fingerprint)
    with writing_folder(target) as whole:
        for folder in record.packs.values():
            shutil.copytree(source.path / folder, whole / folder)
            moved = read_manifest(whole / folder).model_copy(update={"base": reference, "scores": {}})
            rewrite_manifest(whole / folder, moved)
            LanguagePack.load(whole / folder, base)
        made = PolyglotFolder(whole)
        made.workplace.claim()
        made.commit(FolderRecord(base=BaseSource.of(base, base_source, target), packs=record.packs))
    return PolyglotFolder(target)
