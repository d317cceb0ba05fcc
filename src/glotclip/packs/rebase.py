"""Moving packs onto another base of the same shape, such as one that was fine-tuned since (MLA's FT-En).

A pack is trained against one base, and its fingerprint says which; nothing here happens by itself. Shapes and
vocabulary must agree. What the packs then score has to be measured anew, so stored scores are dropped.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from glotclip.errors import ConfigError
from glotclip.models.dual_encoder import DualEncoder
from glotclip.packs.folder import BaseSource, FolderRecord, PolyglotFolder
from glotclip.packs.manifest import BaseReference
from glotclip.packs.pack import LanguagePack, read_manifest, rewrite_manifest
from glotclip.storage import writing_folder


def rebase(source: PolyglotFolder, base: DualEncoder, base_source: str, target: Path) -> PolyglotFolder:
    """Copy a polyglot with all its packs onto another base.

    Args:
        source: the polyglot to copy; it stays as it is.
        base: the new base; its tokenizer and the text tower's geometry must be the old one's.
        base_source: where the new base is loaded from.
        target: the folder to write, which must not hold a polyglot yet.

    Raises:
        ConfigError: if the new base has another tokenizer or text geometry, or ``target`` is taken.
        PackError: if a pack does not fit.
    """
    if PolyglotFolder.is_one(target):
        raise ConfigError(f"{target} holds a polyglot already", hint="choose another --out")
    old, record = source.load_base(), source.read()
    if old.tokenizer.identity != base.tokenizer.identity or old.text.config != base.text.config:
        raise ConfigError(
            f"{base.name} has another tokenizer or text geometry than {old.name}",
            hint="packs can be moved onto a fine-tuned copy of their base only; else learn the languages anew",
        )
    reference = BaseReference(name=base.name, fingerprint=base.fingerprint)
    for folder in record.packs.values():
        with writing_folder(target / folder) as aside:
            shutil.copytree(source.path / folder, aside, dirs_exist_ok=True)
            moved = read_manifest(aside).model_copy(update={"base": reference, "scores": {}})
            rewrite_manifest(aside, moved)
        LanguagePack.load(target / folder, base)
    made = PolyglotFolder(target)
    made.commit(
        FolderRecord(
            base=BaseSource(name=base.name, fingerprint=base.fingerprint, source=base_source), packs=record.packs
        )
    )
    return made
