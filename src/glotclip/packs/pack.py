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
from pydantic import ValidationError

from glotclip import __version__
from glotclip.errors import ConfigError, DataError, FingerprintError, GlotclipError, PackError
from glotclip.methods.method import module_named
from glotclip.methods.module import TextModule
from glotclip.methods.stack import PackState
from glotclip.models.bpe import Vocabulary, check_splitting
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokenizer import TOKENIZER_FILES, ClipTokenizer, HfTokenizer, Tokenizer
from glotclip.packs import language_profile
from glotclip.packs.card import model_card
from glotclip.packs.language_profile import Profile
from glotclip.packs.manifest import FORMAT, BaseReference, Manifest, PartEntry, TensorEntry
from glotclip.storage import (
    file_sha256,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
    write_text,
    writing_folder,
)
from glotclip.textforms import NONE, TextForm, form_named

WEIGHTS, MANIFEST, TOKENIZER, CARD = "pack.safetensors", "manifest.json", "tokenizer.json", "README.md"
FILES = (WEIGHTS, MANIFEST, TOKENIZER, CARD, language_profile.FILE)
FOREIGN = "tokenizer"  # the folder of a tokenizer that is not the base's, grown or not


@dataclass(frozen=True)
class LanguagePack:
    """A pack, opened: its manifest, and its state ready to encode."""

    manifest: Manifest
    state: PackState
    folder: Path | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)  # of the languages whose texts are known

    @property
    def name(self) -> str:
        """The pack's name: its language's code, or ``shared``."""
        return self.manifest.name

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that take their way through this pack."""
        return self.manifest.languages

    def text_form(self, lang: str) -> TextForm:
        """The form that texts of one of its languages are brought to: the one they were learnt in."""
        return TextForm(self.manifest.text_forms.get(lang, NONE))

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
        parts = _parts(manifest, read_weights(folder, manifest), base)
        state = PackState(manifest.languages, _tokenizer(folder, manifest, base), parts)
        return cls(manifest, state, folder, _profiles(folder, manifest))


def check_base(manifest: Manifest, base: DualEncoder) -> None:
    """Raise :class:`FingerprintError` if the pack was made for another base."""
    if manifest.base.fingerprint != base.fingerprint:
        raise FingerprintError(
            f"the pack {manifest.name!r} belongs to the base {manifest.base.name} "
            f"({manifest.base.fingerprint}), not to {base.name} ({base.fingerprint})",
            hint=f"load {manifest.base.name}, or learn the language on {base.name} with `glotclip extend`",
        )


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json`` alone: cheap, and enough to list packs."""
    try:
        content = read_json(folder / MANIFEST)
    except DataError as error:
        raise PackError(
            f"{folder} is not a language pack: {error.message}", hint="point to a pack's folder"
        ) from error
    number = content.get("format") if isinstance(content, dict) else None
    if not isinstance(number, int):
        raise PackError(f"{folder / MANIFEST} has no format number", hint="get the pack again")
    if number > FORMAT:
        raise PackError(
            f"the pack in {folder} has format {number}; this glotclip reads up to {FORMAT}",
            hint="pip install -U glotclip",
        )
    try:
        manifest = Manifest.model_validate(content)
        for name in manifest.text_forms.values():
            form_named(name)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PackError(f"{folder / MANIFEST}: {place}: {first['msg']}", hint="get the pack again") from error
    except ConfigError as error:
        raise PackError(f"{folder / MANIFEST}: {error.message}", hint=error.hint) from error
    return manifest


def read_weights(folder: Path, manifest: Manifest) -> dict[str, torch.Tensor]:
    """Read the tensors, and check checksum, names, shapes and dtypes against the manifest."""
    from safetensors import SafetensorError

    path = folder / WEIGHTS
    if not path.exists():
        raise PackError(f"{path} is missing", hint="get the pack again")
    if (size := path.stat().st_size) != manifest.bytes:
        raise PackError(
            f"{path} has {size} bytes, the manifest says {manifest.bytes}: it was cut short or replaced",
            hint="get the pack again",
        )
    try:
        tensors = read_tensors(path)
    except (SafetensorError, OSError) as error:
        raise PackError(f"{path} is not a whole safetensors file: {error}", hint="get the pack again") from error
    if missing := sorted(set(manifest.tensors) - set(tensors)):
        raise PackError(f"{path} lacks the tensors {missing}", hint="get the pack again")
    if extra := sorted(set(tensors) - set(manifest.tensors)):
        raise PackError(f"{path} holds tensors that the manifest does not name: {extra}", hint="get the pack again")
    for name, entry in manifest.tensors.items():
        found = TensorEntry(shape=tuple(tensors[name].shape), dtype=_dtype(tensors[name]))
        if found != entry:
            raise PackError(
                f"tensor {name} is {found.dtype} {found.shape}, the manifest says {entry.dtype} {entry.shape}",
                hint="get the pack again",
            )
    if file_sha256(path) != manifest.sha256:
        raise PackError(f"{path} does not match its checksum: its content was altered", hint="get the pack again")
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
    text_forms: Mapping[str, str] | None = None,
) -> Manifest:
    """Write a new pack folder, whole or not at all; ``folder`` must not exist yet.

    With ``settings["store"] = "fp16"`` weights are rounded to half precision, which halves the pack. ``profiles`` are
    those of the languages whose texts are at hand.
    """
    half = settings.get("store") == "fp16"
    tensors = {
        f"{scope}.{part.kind}.{key}": tensor.cpu().half() if half and tensor.is_floating_point() else tensor.cpu()
        for scope, parts in state.modules.items()
        for part in parts
        for key, tensor in part.tensors().items()
    }
    foreign = isinstance(state.tokenizer, HfTokenizer) and state.tokenizer.identity != base.tokenizer.identity
    vocabulary = None if foreign else added_vocabulary(state.tokenizer, base)
    with writing_folder(folder) as aside:
        write_tensors(aside / WEIGHTS, tensors)
        if profiles:
            language_profile.write_profiles(aside / language_profile.FILE, profiles)
        manifest = Manifest(
            name=name,
            method=method,
            languages=state.languages,
            learnt=tuple(learnt),
            base=BaseReference(name=base.name, fingerprint=base.fingerprint),
            parts=tuple(
                PartEntry(scope=scope, kind=part.kind, description=part.description())
                for scope, parts in state.modules.items()
                for part in parts
            ),
            tensors={key: TensorEntry(shape=tuple(t.shape), dtype=_dtype(t)) for key, t in tensors.items()},
            sha256=file_sha256(aside / WEIGHTS),
            parameters=sum(tensor.numel() for tensor in tensors.values() if tensor.is_floating_point()),
            bytes=(aside / WEIGHTS).stat().st_size,
            added_tokens=len(vocabulary.tokens) if vocabulary else 0,
            vocab_size=state.tokenizer.vocab_size,
            tokenizer=state.tokenizer.identity,
            text_forms=dict(text_forms or {}),
            settings=dict(settings),
            data=dict(data),
            scores=dict(scores),
            profile=file_sha256(aside / language_profile.FILE) if profiles else None,
            glotclip=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if foreign:
            state.tokenizer.save(aside / FOREIGN)
        if vocabulary:
            content = {
                "splitting": vocabulary.splitting,
                "tokens": vocabulary.tokens,
                "merges": [f"{left} {right}" for left, right in vocabulary.merges],
            }
            write_json(aside / TOKENIZER, content)
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
    manifest = manifest.model_copy(update={"format": FORMAT})
    write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    write_text(folder / CARD, model_card(manifest))


def added_vocabulary(tokenizer: Tokenizer, base: DualEncoder) -> Vocabulary | None:
    """What a pack's tokenizer has beyond the base's, or None where they are the same."""
    if tokenizer.identity == base.tokenizer.identity:
        return None
    if not (isinstance(tokenizer, ClipTokenizer) and isinstance(base.tokenizer, ClipTokenizer)):
        raise PackError("only byte-level BPE vocabularies can be extended", hint="use the base's own tokenizer")
    return tokenizer.added(base.tokenizer)


def _tokenizer(folder: Path, manifest: Manifest, base: DualEncoder) -> Tokenizer:
    """The pack's own tokenizer, or the base's with the pack's additions; it must be the one the manifest names."""
    path = folder / TOKENIZER
    tokenizer = base.tokenizer
    if (folder / FOREIGN).is_dir():
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
            raise PackError(f"{path} is damaged: {said}", hint="get the pack again") from error
    elif manifest.added_tokens:
        raise PackError(f"{path} is missing", hint="get the pack again")
    if tokenizer.identity != manifest.tokenizer:
        raise PackError(f"{path} is not the tokenizer that the manifest names", hint="get the pack again")
    return tokenizer


def _profiles(folder: Path, manifest: Manifest) -> dict[str, Profile]:
    """The profiles of a pack's languages; none where it was made without."""
    if manifest.profile is None:
        return {}
    path = folder / language_profile.FILE
    if not path.exists():
        raise PackError(f"{path} is missing", hint="get the pack again")
    if file_sha256(path) != manifest.profile:
        raise PackError(f"{path} does not match its checksum: its content was altered", hint="get the pack again")
    return language_profile.read_profiles(path)


def _parts(
    manifest: Manifest, tensors: Mapping[str, torch.Tensor], base: DualEncoder
) -> dict[str, tuple[TextModule, ...]]:
    parts: dict[str, tuple[TextModule, ...]] = {}
    for entry in manifest.parts:
        prefix = f"{entry.scope}.{entry.kind}."
        own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        parts[entry.scope] = (
            *parts.get(entry.scope, ()),
            module_named(entry.kind).restore(base, own, entry.description),
        )
    return parts


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
