"""The public functions, used in the same way from Python and by the command line.

This is the one place where training and evaluation meet.
"""

from __future__ import annotations

from glotclip.api.bases import Finetuned, finetune, load, rebase
from glotclip.api.common import ENGLISH, PolyglotEncoder, Progress, gallery_features, silent
from glotclip.api.evaluating import accuracy_matrix, evaluate, evaluator
from glotclip.api.extending import (
    Extended,
    ExtendPlan,
    curriculum_of,
    extend,
    plan_extension,
    resolve_settings,
    run_extension,
)
from glotclip.api.searching import SearchResult, search

__all__ = [
    "ENGLISH",
    "ExtendPlan",
    "Extended",
    "Finetuned",
    "PolyglotEncoder",
    "Progress",
    "SearchResult",
    "accuracy_matrix",
    "curriculum_of",
    "evaluate",
    "evaluator",
    "extend",
    "finetune",
    "gallery_features",
    "load",
    "plan_extension",
    "rebase",
    "resolve_settings",
    "run_extension",
    "search",
    "silent",
]
