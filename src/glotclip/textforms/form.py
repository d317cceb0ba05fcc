"""The form in which texts are learnt and asked: one function of text and language, known by a name.

A pack stores the name of the form its captions were learnt in, and queries are brought to the same. The name changes
whenever the function does; packs of an older name keep their function.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from glotclip.errors import ConfigError
from glotclip.textforms.letters import ASCII_MATTERS, FOLDS, fold, long_vowels, plain_letters
from glotclip.textforms.signs import curled, plain_joiners, plain_signs, repaired, visible, well_formed

Forms = Literal["unicode-1", "none"]
Folds = Literal["none", "simplified", "latin", "all"]
DEFAULT: Forms = "unicode-1"
NONE: Forms = "none"
FORMS: tuple[Forms, ...] = get_args(Forms)
ENGLISH = "english"  # the texts are machine translations into English, whatever the language says
CURLY = "curly"  # the base learnt typographic quotation marks: texts get them again, one kind for all
_PASSES = 8  # a text needs two as a rule: one that changes it and one that sees that it is done


@dataclass(frozen=True)
class TextForm:
    """A normalisation.

    Attributes:
        name: ``none``, or ``unicode-1`` and what else it folds: ``unicode-1+simplified``.
    """

    name: str = DEFAULT

    def __call__(self, text: str, lang: str) -> str:
        """Return the text's form; a second call changes nothing, and what is visible never vanishes.

        Args:
            text: any string.
            lang: the language it is in, BCP-47.
        """
        kind, *options = self.name.split("+")
        if kind == NONE:
            return text
        primary = "en" if ENGLISH in options else lang.split("-")[0]
        formed = _formed(text, primary, options)
        # With a curled sign letters may look like a fault that is mended.
        for _ in range(_PASSES if CURLY in options else 0):
            before, formed = formed, _formed(formed, primary, options)
            if formed == before:
                break
        return formed


def form_named(name: str) -> TextForm:
    """Return the form of this name.

    Raises:
        ConfigError: if this version knows no such form.
    """
    kind, *options = name.split("+")
    if kind not in FORMS or (kind == NONE and options) or not set(options) <= {*FOLDS, CURLY, ENGLISH}:
        raise ConfigError(f"unknown form of texts {name!r}", hint="pip install -U glotclip")
    return TextForm(name)


def form_for(lang: str, form: Forms = DEFAULT, folds: Folds = "none", *, english: bool = False) -> TextForm:
    """Return the form for a language under the settings of a run.

    Args:
        lang: the language.
        form: what is folded in any case.
        folds: what else; a fold that does not concern the language is left out.
        english: whether its texts are translations into English.
    """
    if form == NONE:
        return TextForm(NONE)
    return TextForm("+".join([form, *([ENGLISH] if english else _concerning(folds, lang))]))


def folds_any(folds: Folds, languages: Iterable[str]) -> bool:
    """Whether a setting of folds changes anything in any of these languages."""
    return any(_concerning(folds, lang) for lang in languages)


def _concerning(folds: Folds, lang: str) -> list[str]:
    wanted = FOLDS if folds == "all" else (folds,)
    return [name for name in wanted if name in FOLDS and lang.split("-")[0] in FOLDS[name]]


def _formed(text: str, primary: str, options: Sequence[str]) -> str:
    """The form of a text without a look at whether it stays so."""
    if not _is_plain(text, primary):
        text = _settled(well_formed(text), primary)
    for option in options:
        if option == CURLY:
            text = curled(text)
        elif option in FOLDS:
            text = fold(text, option, primary)
    return text


def _is_plain(text: str, primary: str) -> bool:
    """Whether a text certainly is in its form already: printable ASCII with single spaces."""
    return (
        text.isascii()
        and text.isprintable()
        and not any(sign in text for sign in ("&", "`", "  "))
        and text == text.strip()
        and primary not in ASCII_MATTERS
    )


def _settled(text: str, primary: str) -> str:
    """Repeat the steps until nothing changes."""
    written = text
    for _ in range(_PASSES):
        before = text
        signs = plain_signs(long_vowels(repaired(text), primary))
        text = plain_joiners(plain_letters(signs, primary))
        if not text and visible(written):  # vowel points or a tatweel alone
            return written.strip()
        if text == before:
            break
    return text
