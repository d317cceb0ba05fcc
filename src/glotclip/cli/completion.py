"""What the shell offers when Tab is pressed: models, their languages, methods, datasets.

Nothing heavy is imported and no model is opened: names come from the file names and small files that hold them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

MODEL_FILES = ("export.json", "polyglot.json", "glotclip.json", "config.json", "open_clip_config.json")
_REGISTERED = re.compile(r'^@register_method\(\s*"([\w-]+)",\s*"[^"]', re.MULTILINE)  # one with a summary


def models(incomplete: str) -> list[str]:
    """Built-in names, and folders below what is written so far; those that hold a model end the completion."""
    from glotclip.models.built_in import BUILT_IN

    return [*_beginning(BUILT_IN, incomplete), *_folders(incomplete)]


def languages(context: typer.Context, incomplete: str) -> list[str]:
    """Languages of the model that stands in the command line; codes before a comma stay."""
    # The option has no value yet, so the line is not parsed to its end, and the model is still among the words.
    model = next(iter(filter(None, (context.params.get("model"), *context.args))), "")
    return _after_commas(languages_of(str(model)), incomplete)


def languages_to_learn(incomplete: str) -> list[str]:
    """Languages that the embedded dataset has."""
    from glotclip.data import emoji

    return _after_commas(emoji.languages(), incomplete)


def methods(incomplete: str) -> list[str]:
    """The registered methods."""
    return _beginning(method_names(), incomplete)


def datasets(incomplete: str) -> list[str]:
    """Datasets by name, and files and folders."""
    from glotclip.data.catalog import datasets as known

    names = [entry.opened_as or name for name, entry in known().items()]
    return [*_beginning(dict.fromkeys(names), incomplete), *_paths(incomplete)]


def fetched(incomplete: str) -> list[str]:
    """Datasets that `data get` can fetch."""
    from glotclip.data.catalog import datasets as known

    return _beginning([name for name, entry in known().items() if entry.packages], incomplete)


#: By the name of an option's field in :mod:`glotclip.api.config`.
BY_FIELD: dict[str, Callable[..., list[str]]] = {
    "model": models,
    "langs": languages_to_learn,
    "method": methods,
    "data": datasets,
}


def languages_of(model: str) -> list[str]:
    """The languages of an exported model, of a folder of ``extend``, or of a base with a ``glotclip.json``."""
    from glotclip.models.built_in import BUILT_IN

    folder = BUILT_IN.get(model) or Path(model).expanduser()
    exported = _table(folder / "export.json")
    if isinstance(exported.get("languages"), dict):
        return list(exported["languages"])
    packs = _table(folder / "polyglot.json").get("packs")
    found = [_table(folder / place / "manifest.json") for place in packs.values()] if isinstance(packs, dict) else []
    taught = [str(code) for manifest in found for code in manifest.get("languages", ())]
    own = _table(folder / "glotclip.json").get("languages") or ["en"]
    return list(dict.fromkeys([*map(str, own), *taught]))


def method_names() -> list[str]:
    """Names of the methods, read from their files: importing these loads torch, for which nobody who types waits."""
    folder = Path(__file__).parents[1] / "methods"
    return sorted(
        name for file in folder.glob("*.py") for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))
    )


def _beginning(names: Iterable[str], begun: str) -> list[str]:
    return [name for name in names if name.startswith(begun)]


def _after_commas(codes: Iterable[str], incomplete: str) -> list[str]:
    """Codes that go on with what is written after the last comma; what stands before it stays."""
    done, comma, begun = incomplete.rpartition(",")
    return [f"{done}{comma}{code}" for code in _beginning(codes, begun)]


def _paths(begun: str) -> list[str]:
    """Entries of the folder that is written so far; of a folder with a slash behind it, for going on."""
    head, _, start = begun.rpartition("/")
    folder = Path(f"{head}/" if head or begun.startswith("/") else ".").expanduser()
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    prefix = f"{head}/" if "/" in begun else ""
    hidden = start.startswith(".")
    return [
        f"{prefix}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if entry.name.startswith(start) and (hidden or not entry.name.startswith("."))
    ]


def _folders(begun: str) -> list[str]:
    folders = [path for path in _paths(begun) if path.endswith("/")]
    return [path.rstrip("/") if _holds_model(path) else path for path in folders]


def _holds_model(path: str) -> bool:
    return any((Path(path).expanduser() / name).is_file() for name in MODEL_FILES)


def _table(path: Path) -> dict[str, Any]:
    """A JSON file's object; empty where there is none: who presses Tab wants no errors."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
