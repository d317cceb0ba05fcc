"""glotclip teaches any English CLIP new languages, cheaply and without forgetting.

The public names below are imported on first use, so that ``import glotclip`` stays instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glotclip.api import (
        Extended,
        Finetuned,
        SearchResult,
        evaluate,
        export,
        extend,
        finetune,
        index,
        load,
        open_library,
        search,
    )
    from glotclip.errors import GlotclipError
    from glotclip.library.library import Library
    from glotclip.onnx.encoder import OnnxEncoder
    from glotclip.packs.pack import LanguagePack
    from glotclip.packs.polyglot import Polyglot

__version__ = "0.1.0"
__all__ = [
    "Extended",
    "Finetuned",
    "GlotclipError",
    "LanguagePack",
    "Library",
    "OnnxEncoder",
    "Polyglot",
    "SearchResult",
    "evaluate",
    "export",
    "extend",
    "finetune",
    "index",
    "load",
    "open_library",
    "search",
]

_HOMES = {
    **dict.fromkeys(("Extended", "Finetuned", "SearchResult"), "glotclip.api"),
    **dict.fromkeys(
        ("evaluate", "export", "extend", "finetune", "index", "load", "open_library", "search"), "glotclip.api"
    ),
    "GlotclipError": "glotclip.errors",
    "Library": "glotclip.library.library",
    "LanguagePack": "glotclip.packs.pack",
    "OnnxEncoder": "glotclip.onnx.encoder",
    "Polyglot": "glotclip.packs.polyglot",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'glotclip' has no attribute {name!r}")
    from importlib import import_module

    from glotclip.errors import asks_for_torch

    with asks_for_torch(f"glotclip.{name}"):
        value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
