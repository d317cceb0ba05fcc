"""The manifest of a language pack: what it is, what it belongs to, how it was made, how well it does."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from glotclip.config import Settings

FORMAT = 2  # 1: packs without profiles of their languages, and without text forms


class BaseReference(Settings):
    """The base model a pack was trained on and works with."""

    name: str
    fingerprint: str


class TensorEntry(Settings):
    """Shape and dtype of one tensor in ``pack.safetensors``."""

    shape: tuple[int, ...]
    dtype: str


class PartEntry(Settings):
    """One part of the pack: its scope ("all" or a language), its kind, and what rebuilding it needs."""

    scope: str
    kind: str
    description: dict[str, Any] = Field(default_factory=dict)


class Manifest(Settings):
    """``manifest.json``. Unknown fields are refused: they come with a newer format number."""

    format: int = FORMAT
    name: str
    method: str
    languages: tuple[str, ...]
    learnt: tuple[str, ...] = Field(description="languages in the order in which they were learnt")
    base: BaseReference
    parts: tuple[PartEntry, ...]
    tensors: dict[str, TensorEntry]
    sha256: str = Field(description="of pack.safetensors")
    parameters: int = Field(description="weights stored")
    bytes: int = Field(description="size of pack.safetensors")
    added_tokens: int
    vocab_size: int
    tokenizer: str = Field(description="identity of the tokenizer, additions included")
    text_forms: dict[str, str] = Field(
        default_factory=dict, description="per language, the form texts are brought to; not named: as they are"
    )
    settings: dict[str, Any] = Field(description="the resolved settings of the last run that changed the pack")
    data: dict[str, Any] = Field(description="dataset and licence of each language's training captions")
    scores: dict[str, Any] = Field(default_factory=dict, description="per language, as evaluated when it was made")
    profile: str | None = Field(None, description="sha256 of profile.json, by which the language of texts is guessed")
    glotclip: str
    created: str
