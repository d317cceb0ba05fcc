"""LoRA packs to and from the format of ``peft``, so that what one tool trained the other can serve."""

from __future__ import annotations

from pathlib import Path

from glotclip.errors import ConfigError, LanguageError
from glotclip.languages import check_installed, normalise
from glotclip.methods.peft_format import LayoutName, read_lora, write_lora
from glotclip.methods.stack import PackState
from glotclip.models.dual_encoder import DualEncoder
from glotclip.ownership import check_new
from glotclip.packs.folder import BaseSource, FolderRecord, PolyglotFolder
from glotclip.packs.manifest import Manifest
from glotclip.packs.pack import write_pack
from glotclip.packs.polyglot import Polyglot
from glotclip.textforms import DEFAULT


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
    part = read_lora(folder, base.text.config).requires_grad_(False).to(base.device)
    state = PackState((code,), base.tokenizer, {code: (part,)})
    with out.locked():
        exists = PolyglotFolder.is_one(out.path)
        record = out.read() if exists else FolderRecord(
            base=BaseSource.of(base, source, out.path)
        )  # fmt: skip
        if record.base.fingerprint != base.fingerprint:
            raise ConfigError(f"{out.path} was made for {record.base.name}", hint="choose another --out")
        if exists and any(code in manifest.languages for manifest in out.manifests().values()):
            raise LanguageError(f"{code!r} is already installed in {out.path}", hint="remove it first")
        relative = out.next_folder(code, record)
        manifest = write_pack(
            out.path / relative, state, name=code, method="lora", learnt=(code,), base=base,
            settings=part.description(),
            data={code: {"name": f"peft adapter {folder.name}", "licence": "unknown"}}, scores={},
            text_forms={code: DEFAULT},
        )  # fmt: skip
        out.commit(record.model_copy(update={"packs": {**record.packs, code: relative}}))
    return manifest
