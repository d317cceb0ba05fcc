"""A language pack: ``pack.safetensors``, ``manifest.json``, ``tokenizer.json``, ``README.md``. No pickle.

Loading believes nothing: format, base fingerprint, checksum, and every tensor's name, shape and dtype are
checked, and each disagreement is an error of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from glotclip import __version__
from glotclip.errors import FingerprintError, GlotclipError, PackError
from glotclip.methods.method import module_named
from glotclip.methods.module import TextModule
from glotclip.methods.stack import PackState
from glotclip.models.bpe import Vocabulary, check_splitting
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.own_tokenizer import OwnTokenizer
from glotclip.models.tokenizer import TOKENIZER_FILES, ClipTokenizer, HfTokenizer, Tokenizer
from glotclip.packs import language_profile
from glotclip.packs.glossary import FILE as GLOSSARY
from glotclip.packs.glossary import Glossary
from glotclip.packs.language_profile import Profile
from glotclip.packs.manifest import MANIFEST, BaseReference, Manifest, ModuleEntry, TensorEntry, model_card
from glotclip.packs.manifest import read_manifest as read_manifest
from glotclip.packs.quantised import restored, stored
from glotclip.storage import (
    file_sha256,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
    write_text,
    writing_folder,
)
from glotclip.textforms import NONE, TextForm

WEIGHTS, TOKENIZER, CARD = "pack.safetensors", "tokenizer.json", "README.md"
VOCABULARY = "vocabulary.txt.gz"  # a language's own, in the place of TOKENIZER
FILES = (WEIGHTS, MANIFEST, TOKENIZER, VOCABULARY, CARD, language_profile.FILE, GLOSSARY)
FOREIGN = "tokenizer"  # the folder of a tokenizer that is not the base's, grown or not


@dataclass(frozen=True)
class LanguagePack:
    """A pack, opened: its manifest, and its state ready to encode."""

    manifest: Manifest
    state: PackState
    folder: Path | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)  # of the languages whose texts are known
    glossary: Glossary | None = None

    @property
    def name(self) -> str:
        """The pack's name: its language's code, or ``shared``."""
        return self.manifest.name

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that are encoded with this pack."""
        return self.manifest.languages

    def text_form(self, lang: str) -> TextForm:
        """The form that texts of one of its languages are brought to: the one they were learnt in."""
        return TextForm(self.manifest.text_forms[lang])

    @classmethod
    def load(cls, folder: Path | str, base: DualEncoder) -> LanguagePack:
        """Open a pack folder for ``base``.

        Raises:
            FingerprintError: if the pack was made for another base.
            PackError: if anything in the folder is missing, damaged, or of a newer format.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        check_base(manifest, base)
        modules = _modules(manifest, restored(read_weights(folder, manifest)), base)
        state = PackState(manifest.languages, _tokenizer(folder, manifest, base, modules), modules)
        return cls(manifest, state, folder, _profiles(folder, manifest), _glossary(folder, manifest))


def check_base(manifest: Manifest, base: DualEncoder) -> None:
    """Raise :class:`FingerprintError` if the pack was made for another base."""
    if manifest.base.fingerprint != base.fingerprint:
        raise FingerprintError(
            f"the pack {manifest.name!r} belongs to the base {manifest.base.name} "
            f"({manifest.base.fingerprint}), not to {base.name} ({base.fingerprint})",
            hint=f"load {manifest.base.name}, or learn the language on {base.name} with `glotclip extend`",
        )


def read_weights(folder: Path, manifest: Manifest) -> dict[str, torch.Tensor]:
    """Read the tensors, and check checksum, names, shapes and dtypes against the manifest."""
    from safetensors import SafetensorError

    path = folder / WEIGHTS
    if not path.exists():
        raise PackError(f"{path} is missing")
    if (size := path.stat().st_size) != manifest.bytes:
        raise PackError(f"{path} has {size} bytes, the manifest says {manifest.bytes}: it was cut short or replaced")
    try:
        tensors = read_tensors(path)
    except (SafetensorError, OSError) as error:
        raise PackError(f"{path} is not a whole safetensors file: {error}") from error
    if missing := sorted(set(manifest.tensors) - set(tensors)):
        raise PackError(f"{path} lacks the tensors {missing}")
    if extra := sorted(set(tensors) - set(manifest.tensors)):
        raise PackError(f"{path} holds tensors that the manifest does not name: {extra}")
    for name, entry in manifest.tensors.items():
        found = _entry(tensors[name])
        if found != entry:
            raise PackError(
                f"tensor {name} is {found.dtype} {found.shape}, the manifest says {entry.dtype} {entry.shape}"
            )
    if file_sha256(path) != manifest.sha256:
        raise PackError(f"{path} does not match its checksum: its content was altered")
    return tensors


def write_pack(
    folder: Path,
    state: PackState,
    *,
    name: str,
    method: str,
    learnt: Iterable[str],
    base: DualEncoder,
    settings: Mapping[str, Any],
    data: Mapping[str, Any],
    scores: Mapping[str, Any],
    profiles: Mapping[str, Profile] | None = None,
    glossary: Glossary | None = None,
    text_forms: Mapping[str, str] | None = None,
) -> Manifest:
    """Write a new pack folder, whole or not at all; ``folder`` must not exist yet.

    ``settings["store"]`` says how weights are stored (:mod:`glotclip.packs.quantised`). ``profiles`` are
    those of the languages whose texts are at hand.
    """
    modules = [(scope, module) for scope, several in state.modules.items() for module in several]
    weights = {
        f"{scope}.{module.kind}.{key}": t.cpu() for scope, module in modules for key, t in module.tensors().items()
    }
    tensors = stored(weights, settings.get("store", "fp32"), settings.get("row_bytes", 48))
    with writing_folder(folder) as aside:
        write_tensors(aside / WEIGHTS, tensors)
        if profiles:
            language_profile.write_profiles(aside / language_profile.FILE, profiles)
        if glossary:
            glossary.write(aside / GLOSSARY)
        manifest = Manifest(
            name=name,
            method=method,
            languages=state.languages,
            learnt=tuple(learnt),
            base=BaseReference(name=base.name, fingerprint=base.fingerprint),
            modules=tuple(
                ModuleEntry(scope=scope, kind=module.kind, description=module.description())
                for scope, module in modules
            ),
            tensors={key: _entry(tensor) for key, tensor in tensors.items()},
            sha256=file_sha256(aside / WEIGHTS),
            parameters=sum(tensor.numel() for tensor in weights.values() if tensor.is_floating_point()),
            bytes=(aside / WEIGHTS).stat().st_size,
            added_tokens=_write_tokenizer(aside, state, base),
            vocab_size=state.tokenizer.vocab_size,
            tokenizer=state.tokenizer.identity,
            text_forms={code: (text_forms or {}).get(code, NONE) for code in state.languages},
            settings=dict(settings),
            data=dict(data),
            scores=dict(scores),
            profile=file_sha256(aside / language_profile.FILE) if profiles else None,
            glossary=file_sha256(aside / GLOSSARY) if glossary else None,
            glossary_entries=len(glossary) if glossary else 0,
            glotclip=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        rewrite_manifest(aside, manifest)
    return manifest


def remove_pack_files(folder: Path) -> None:
    """Remove a pack's files, and its folder if nothing else lies in it."""
    for place, names in ((folder / FOREIGN, TOKENIZER_FILES), (folder, FILES)):
        for file in place.iterdir() if place.is_dir() and not place.is_symlink() else ():
            if file.name in names or any(re.fullmatch(rf"\.{re.escape(n)}\.\w+\.part", file.name) for n in names):
                file.unlink()
        if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
            place.rmdir()


def rewrite_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a pack, and the model card that follows from it."""
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    write_text(folder / CARD, model_card(manifest))


def _brought(modules: Mapping[str, tuple[TextModule, ...]]) -> Tokenizer | None:
    """The tokenizer that a pack's modules bring from elsewhere, if they do."""
    found = (module.own_tokenizer for several in modules.values() for module in several)
    return next((tokenizer for tokenizer in found if tokenizer is not None), None)


def _write_tokenizer(folder: Path, state: PackState, base: DualEncoder) -> int:
    """Write what a pack's tokenizer has beyond the base's, or a foreign one; the number of added tokens."""
    tokenizer, brought = state.tokenizer, _brought(state.modules)
    if tokenizer.identity in (base.tokenizer.identity, brought and brought.identity):
        return 0
    if isinstance(tokenizer, OwnTokenizer):
        tokenizer.write(folder / VOCABULARY)
        return len(tokenizer.vocabulary.tokens)
    if isinstance(tokenizer, HfTokenizer):
        tokenizer.save(folder / FOREIGN)
        return 0
    if not (isinstance(tokenizer, ClipTokenizer) and isinstance(base.tokenizer, ClipTokenizer)):
        raise PackError("only byte-level BPE vocabularies can be extended", hint="use the base's own tokenizer")
    added = tokenizer.added(base.tokenizer)
    merges = [f"{left} {right}" for left, right in added.merges]
    write_json(folder / TOKENIZER, {"splitting": added.splitting, "tokens": added.tokens, "merges": merges})
    return len(added.tokens)


def _tokenizer(
    folder: Path, manifest: Manifest, base: DualEncoder, modules: Mapping[str, tuple[TextModule, ...]]
) -> Tokenizer:
    """The pack's own tokenizer, its modules', or the base's with additions; it must be the one the manifest names."""
    path = folder / TOKENIZER
    tokenizer, brought = base.tokenizer, _brought(modules)
    if brought is not None:
        tokenizer = brought
    elif (folder / VOCABULARY).exists():
        path = folder / VOCABULARY
        tokenizer = OwnTokenizer.read(path, base.tokenizer, len(base.text.table))
    elif (folder / FOREIGN).is_dir():
        path = folder / FOREIGN
        tokenizer = HfTokenizer.load(path)
    elif path.exists():
        if not isinstance(tokenizer, ClipTokenizer):
            raise PackError(
                f"{base.name} cannot take the tokens of {path}", hint="use the base the pack was made for"
            )
        try:
            content = read_json(path)
            merges = tuple((left, right) for left, right in (pair.split(" ") for pair in content["merges"]))
            vocabulary = Vocabulary(tuple(content["tokens"]), merges, check_splitting(content["splitting"]))
            tokenizer = tokenizer.extended(vocabulary)
        except (GlotclipError, KeyError, TypeError, ValueError, AttributeError) as error:
            said = error.message if isinstance(error, GlotclipError) else repr(error)
            raise PackError(f"{path} is damaged: {said}") from error
    elif manifest.added_tokens:
        raise PackError(f"{path} is missing")
    if tokenizer.identity != manifest.tokenizer:
        raise PackError(f"{path} is not the tokenizer that the manifest names")
    return tokenizer


def _profiles(folder: Path, manifest: Manifest) -> dict[str, Profile]:
    """The profiles of a pack's languages; none where their texts were not at hand."""
    if manifest.profile is None:
        return {}
    return language_profile.read_profiles(_unaltered(folder / language_profile.FILE, manifest.profile))


def _glossary(folder: Path, manifest: Manifest) -> Glossary | None:
    return None if manifest.glossary is None else Glossary.read(_unaltered(folder / GLOSSARY, manifest.glossary))


def _unaltered(path: Path, checksum: str) -> Path:
    """The path of a file of the pack, once it is what the manifest says."""
    if not path.exists():
        raise PackError(f"{path} is missing")
    if file_sha256(path) != checksum:
        raise PackError(f"{path} does not match its checksum: its content was altered")
    return path


def _modules(
    manifest: Manifest, tensors: Mapping[str, torch.Tensor], base: DualEncoder
) -> dict[str, tuple[TextModule, ...]]:
    """The modules by scope, rebuilt from their tensors."""
    modules: dict[str, tuple[TextModule, ...]] = {}
    for entry in manifest.modules:
        prefix = f"{entry.scope}.{entry.kind}."
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        module = module_named(entry.kind).restore(base, own, entry.description)
        modules[entry.scope] = (*modules.get(entry.scope, ()), module)
    return modules


def _entry(tensor: torch.Tensor) -> TensorEntry:
    return TensorEntry(shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))
