"""Packs exchanged with other tools and other bases: LoRA to and from ``peft``'s format, and moving to another base.

A pack is trained against one base, and its fingerprint says which. Moving packs onto another base of the same shape,
such as one that was fine-tuned since (MLA's FT-En), never happens by itself; what they score there has to be measured
anew, so stored scores are dropped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from glotclip.errors import ConfigError, LanguageError
from glotclip.languages import check_installed, normalise
from glotclip.methods.peft_format import LayoutName, read_lora, write_lora
from glotclip.methods.stack import PackState
from glotclip.models.dual_encoder import DualEncoder
from glotclip.ownership import check_apart, check_new
from glotclip.packs.base_source import BaseSource
from glotclip.packs.folder import Base, FolderRecord, PolyglotFolder
from glotclip.packs.manifest import BaseReference, Manifest
from glotclip.packs.pack import LanguagePack, read_manifest, rewrite_manifest, write_pack
from glotclip.storage import writing_folder
from glotclip.textforms import DEFAULT

if TYPE_CHECKING:
    from glotclip.packs.polyglot import Polyglot


def to_peft(polyglot: Polyglot, lang: str, folder: Path, layout: LayoutName | None = None) -> Path:
    """Write a language's LoRA as a ``peft`` adapter.

    Args:
        polyglot: a model whose pack for the language is one LoRA and nothing else.
        lang: the language.
        folder: must not exist yet.
        layout: which class of ``transformers`` it is for; by default ``XLMRobertaModel`` for a tower read by the
            mean, else ``CLIPTextModel``.

    Raises:
        LanguageError: if no pack provides the language, or one near to it.
        ConfigError: if the pack holds more than one LoRA.
        StorageError: if the folder exists.
    """
    check_new(folder)
    code = check_installed(lang, polyglot.languages)
    pack = polyglot.pack_of(code)
    if pack is None:
        raise LanguageError(f"no pack provides {code!r}", hint=f"installed packs: {', '.join(polyglot.packs)}")
    chosen: LayoutName = "xlm-roberta" if polyglot.base.text.config.pooling == "mean" else "clip-text"
    write_lora(pack.state.stack(code).text_modules, folder, layout or chosen, model=polyglot.source)
    return folder


def from_peft(base: DualEncoder, source: str, folder: Path, lang: str, out: PolyglotFolder) -> Manifest:
    """Make a language pack of a ``peft`` adapter, and install it in a polyglot's folder.

    Args:
        base: what the adapter was trained on.
        source: where the base is loaded from.
        folder: the adapter.
        lang: the language it is for.
        out: the folder, which may exist; its other packs stay as they are.

    Raises:
        CheckpointError: if it is no LoRA for this base's text tower.
        ConfigError: if the folder's base is another one.
        LanguageError: if the folder has the language already, or it is the base's own.
        StorageError: if ``out`` holds anything that glotclip did not make.
    """
    out.check(())
    code = normalise(lang)
    if code in base.languages:
        raise LanguageError(f"{code!r} is the base's own language", hint="packs teach other languages")
    lora = read_lora(folder, base.text.config).requires_grad_(False).to(base.device)
    state = PackState((code,), base.tokenizer, {code: (lora,)})
    with out.locked():
        exists = PolyglotFolder.is_one(out.path)
        record = out.read() if exists else FolderRecord(base=BaseSource.of(base, source, out.path))
        if record.base.fingerprint != base.fingerprint:
            raise ConfigError(f"{out.path} was made for {record.base.name}", hint="choose another --out")
        if exists and any(code in manifest.languages for manifest in out.manifests().values()):
            raise LanguageError(f"{code!r} is already installed in {out.path}", hint="remove it first")
        relative = out.next_folder(code, record)
        manifest = write_pack(
            out.path / relative, state, name=code, method="lora", learnt=(code,), base=base,
            settings=lora.description(),
            data={code: {"name": f"peft adapter {folder.name}", "licence": "unknown"}}, scores={},
            text_forms={code: DEFAULT},
        )  # fmt: skip
        out.commit(record.model_copy(update={"packs": {**record.packs, code: relative}}))
    return manifest


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
