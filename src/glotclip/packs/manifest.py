"""The manifest of a language pack (what it is, how it was made, how well it does), and the card written from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from glotclip.config import Settings
from glotclip.errors import ConfigError, DataError, LanguageError, PackError
from glotclip.languages import normalise, resolve
from glotclip.storage import read_json
from glotclip.textforms import form_named

FORMAT = 3  # of manifests and of polyglot.json
MANIFEST, RECORD = "manifest.json", "polyglot.json"


def check_format(content: Any, path: Path) -> None:
    """Raise :class:`PackError` unless the content of a file has the format that this version reads and writes."""
    number = content.get("format") if isinstance(content, dict) else None
    if not isinstance(number, int):
        raise PackError(f"{path} has no format number", hint="restore the file, or get it again")
    if number > FORMAT:
        raise PackError(
            f"{path} has format {number}; this glotclip reads format {FORMAT}", hint="pip install -U glotclip"
        )
    if number < FORMAT:
        raise PackError(
            f"{path} was made by an earlier glotclip (format {number}); its languages have to be learned again",
            hint="into a new folder: `glotclip extend BASE --lang CODE --data DATA --out DIR`",
        )


class BaseReference(Settings):
    """The base model a pack was trained on and works with."""

    name: str
    fingerprint: str


class TensorEntry(Settings):
    """Shape and dtype of one tensor in ``pack.safetensors``."""

    shape: tuple[int, ...]
    dtype: str


class ModuleEntry(Settings):
    """One module of the pack: its scope ("all" or a language), its kind, and what rebuilding it needs."""

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
    modules: tuple[ModuleEntry, ...]
    tensors: dict[str, TensorEntry]
    sha256: str = Field(description="of pack.safetensors")
    parameters: int = Field(description="weights stored")
    bytes: int = Field(description="size of pack.safetensors")
    added_tokens: int
    vocab_size: int
    tokenizer: str = Field(description="identity of the tokenizer, additions included")
    text_forms: dict[str, str] = Field(description="per language, the form that texts are brought to")
    settings: dict[str, Any] = Field(description="the resolved settings of the last run that changed the pack")
    data: dict[str, Any] = Field(
        description="dataset, and sources with their licences, of each language's training captions"
    )
    scores: dict[str, Any] = Field(default_factory=dict, description="per language, as evaluated when it was made")
    profile: str | None = Field(None, description="sha256 of profile.json, by which the language of texts is guessed")
    glossary: str | None = Field(None, description="sha256 of glossary.txt.xz, in which short queries are looked up")
    glossary_entries: int = 0
    glotclip: str
    created: str


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``manifest.json`` alone: cheap, and enough to list packs."""
    path = folder / MANIFEST
    try:
        content = read_json(path)
    except DataError as error:
        raise PackError(
            f"{folder} is not a language pack: {error.message}", hint="point to a pack's folder"
        ) from error
    check_format(content, path)
    try:
        manifest = Manifest.model_validate(content)
        for name in manifest.text_forms.values():
            form_named(name)
    except ValidationError as error:
        first = error.errors()[0]
        raise PackError(f"{path}: {'.'.join(str(each) for each in first['loc'])}: {first['msg']}") from error
    except ConfigError as error:
        raise PackError(f"{path}: {error.message}", hint=error.hint) from error
    if missing := sorted(set(manifest.languages) - set(manifest.text_forms)):
        raise PackError(f"{path} names no text form of {', '.join(missing)}")
    return manifest


def pack_for(lang: str, packs: Mapping[str, Collection[str]]) -> tuple[str, str]:
    """The name of the pack that provides a language, and that language's code; "" for the code of a pack's own name.

    Args:
        lang: a language, or the name of a pack.
        packs: the languages of each pack.

    Raises:
        LanguageError: if no pack provides the language.
    """
    if lang in packs:
        return lang, ""
    code = resolve(lang, [each for languages in packs.values() for each in languages], near=True) or normalise(lang)
    name = next((name for name, languages in packs.items() if code in languages), None)
    if name is None:
        raise LanguageError(f"no pack provides {code!r}", hint=f"installed packs: {', '.join(packs) or 'none'}")
    return name, code


def model_card(manifest: Manifest) -> str:
    """Return the model card as Markdown with the front matter that model hubs read."""
    languages = "\n".join(f"- {code}" for code in manifest.languages)
    settings = "\n".join(f"| {name} | {value} |" for name, value in sorted(manifest.settings.items()))
    data = "\n".join(
        f"- **{code}**: {facts.get('name', 'unnamed')}, {facts.get('captions', '?')} captions"
        + "".join(f"\n    - {_source(source)}" for source in sources_of(facts))
        for code, facts in manifest.data.items()
    )
    kinds = ", ".join(dict.fromkeys(module.kind for module in manifest.modules))
    return f"""---
library_name: glotclip
base_model: {manifest.base.name}
language:
{languages}
---

# {manifest.name}: a glotclip language pack

Adds **{", ".join(manifest.learnt)}** to `{manifest.base.name}` (fingerprint `{manifest.base.fingerprint}`).
It works with that base only; loading checks it.

```python
import glotclip

model = glotclip.load("{manifest.base.name}")
model.add_pack("path/to/this/folder")
model.encode_text(["…"], lang="{manifest.learnt[-1]}")
```

| | |
|---|---|
| method | {manifest.method} ({kinds}) |
| weights | {manifest.parameters:,}: {manifest.bytes / 1e6:.1f} MB, {manifest.parameters * 2 / 1e6:.1f} MB as fp16 |
| added tokens | {manifest.added_tokens:,} |
| glossary | {manifest.glossary_entries:,} entries |
| made | {manifest.created} with glotclip {manifest.glotclip} |
{_asking(manifest)}
## Scores
{_scores(manifest)}
## Training data

{data or "unknown"}

## Settings of the last run

| setting | value |
|---|---|
{settings}
"""


def sources_of(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """The sources of captions, each with name, licence, source and url; one where a pack says no more."""
    given = facts.get("sources")
    if isinstance(given, Sequence) and all(isinstance(each, Mapping) for each in given):
        return [{key: str(each.get(key, "")) for key in ("name", "licence", "source", "url")} for each in given]
    name, licence = str(facts.get("name", "unnamed")), str(facts.get("licence", "unknown"))
    return [{"name": name, "licence": licence, "source": "", "url": ""}]


def _source(source: Mapping[str, str]) -> str:
    where = ", ".join(each for each in (source["source"], source["url"]) if each)
    return f"{source['name']}; licence: {source['licence']}" + (f" ({where})" if where else "")


def _asking(manifest: Manifest) -> str:
    if manifest.settings.get("text") != "to-english":
        return ""
    return "\nTaught on texts machine-translated into English: translate a query into English before you ask.\n"


def _scores(manifest: Manifest) -> str:
    if not manifest.scores:
        return "\nNot evaluated when it was made.\n"
    lines = [
        "",
        "R@1 in percent, right after the last language was learnt.",
        "",
        "| language | text → image | image → text |",
        "|---|---|---|",
    ]
    for code, scores in manifest.scores.items():
        cells = [f"{scores[direction]['r@1']:.1f}" for direction in ("text_to_image", "image_to_text")]
        lines.append(f"| {code} | {cells[0]} | {cells[1]} |")
    return "\n".join([*lines, "", ""])
