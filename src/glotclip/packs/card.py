"""The model card of a pack, written from its manifest and from nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glotclip.packs.manifest import Manifest


def model_card(manifest: Manifest) -> str:
    """Return the card as Markdown with the front matter that model hubs read."""
    languages = "\n".join(f"- {code}" for code in manifest.languages)
    settings = "\n".join(f"| {name} | {value} |" for name, value in sorted(manifest.settings.items()))
    data = "\n".join(
        f"- **{code}**: {facts.get('name', 'unnamed')}, {facts.get('captions', '?')} captions; "
        f"licence: {facts.get('licence', 'unknown')}"
        for code, facts in manifest.data.items()
    )
    kinds = ", ".join(dict.fromkeys(part.kind for part in manifest.parts))
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
        cells = [f"{scores[way]['r@1']:.1f}" for way in ("text_to_image", "image_to_text")]
        lines.append(f"| {code} | {cells[0]} | {cells[1]} |")
    return "\n".join([*lines, "", ""])
