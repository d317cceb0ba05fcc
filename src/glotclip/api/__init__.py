"""The public functions, used in the same way from Python and by the command line.

This is the one place where training and evaluation meet. Names are imported on first use, so that the command line
can read :mod:`glotclip.api.config` without loading anything heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glotclip.errors import asks_for_torch

if TYPE_CHECKING:
    from glotclip.api.bases import Finetuned, finetune, load, rebase
    from glotclip.api.common import ENGLISH, PolyglotEncoder, gallery_features
    from glotclip.api.config import ExtendConfig, FinetuneConfig, config_of
    from glotclip.api.evaluating import accuracy_matrix, evaluate, evaluator
    from glotclip.api.exporting import export
    from glotclip.api.extending import (
        Extended,
        curriculum_of,
        extend,
        prepare_extension,
        resolve_settings,
        run_extension,
    )
    from glotclip.api.library import DEFAULT_MODEL, encoder_of, index, open_library, share_of_processes
    from glotclip.api.progress import Progress, silent
    from glotclip.api.searching import SearchResult, search

_HOMES = {
    **dict.fromkeys(("Finetuned", "finetune", "load", "rebase"), "bases"),
    **dict.fromkeys(("ENGLISH", "PolyglotEncoder", "gallery_features"), "common"),
    "export": "exporting",
    **dict.fromkeys(("Progress", "silent"), "progress"),
    **dict.fromkeys(("ExtendConfig", "FinetuneConfig", "config_of"), "config"),
    **dict.fromkeys(("accuracy_matrix", "evaluate", "evaluator"), "evaluating"),
    **dict.fromkeys(
        ("Extended", "curriculum_of", "extend", "prepare_extension", "resolve_settings", "run_extension"), "extending"
    ),
    **dict.fromkeys(("DEFAULT_MODEL", "encoder_of", "index", "open_library", "share_of_processes"), "library"),
    **dict.fromkeys(("SearchResult", "search"), "searching"),
}
__all__ = [
    "DEFAULT_MODEL",
    "ENGLISH",
    "ExtendConfig",
    "Extended",
    "FinetuneConfig",
    "Finetuned",
    "PolyglotEncoder",
    "Progress",
    "SearchResult",
    "accuracy_matrix",
    "config_of",
    "curriculum_of",
    "encoder_of",
    "evaluate",
    "evaluator",
    "export",
    "extend",
    "finetune",
    "gallery_features",
    "index",
    "load",
    "open_library",
    "prepare_extension",
    "rebase",
    "resolve_settings",
    "run_extension",
    "search",
    "share_of_processes",
    "silent",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'glotclip.api' has no attribute {name!r}")
    from importlib import import_module

    with asks_for_torch():
        value = getattr(import_module(f"glotclip.api.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
