"""One form for texts that read alike: the ground floor that packs, queries and captions share."""

from __future__ import annotations

from glotclip.textforms.form import DEFAULT, NONE, Folds, Forms, TextForm, folds_any, form_for, form_named
from glotclip.textforms.signs import visible, well_formed

__all__ = [
    "DEFAULT",
    "NONE",
    "Folds",
    "Forms",
    "TextForm",
    "folds_any",
    "form_for",
    "form_named",
    "visible",
    "well_formed",
]
