"""Cells that say that there is nothing: what programs write into a table where a value is missing.

Every reader asks :func:`is_missing`, for every column. A cell counts as such a marker only as a whole, in whatever
case, so that "None of them moves" is a caption and "None" is none. A few markers are also words or codes somewhere
(German *Null*, Kurdish *nan*, the codes of Min Nan Chinese and Nauruan, Namibia's NA). In a table they stand for
missing values so much more often, and a taught "NaN" does so much harm, that they are taken as that everywhere; each
is named where it is met. Both codes have other spellings, ``zh-min-nan`` and ``nau``.
"""

from __future__ import annotations

import unicodedata

#: As people and programs write them, in lower case: pandas, R, SQL, Python, JavaScript, spreadsheets, SAS and Stata.
MARKERS = frozenset(
    r"""
    nan -nan +nan nan? 1.#qnan -1.#qnan 1.#ind -1.#ind 1.#nan null null? nul nil none none? undefined undef
    na na? n/a n/a? n.a. n.a n\a n/a. #na #n/a n/d n.d. \n \\n pd.na np.nan dbnull nonetype
    na_character_ na_integer_ na_real_ _na_ #null! #value! #ref! #div/0! #num! #name? #n/a! #error! #spill! #calc! #nv
    <na> <n/a> <nat> <null> <none> <nil> <nan> <empty> <missing> <undefined> <> (na) (n/a) (null) (none) (nil) (empty)
    (missing) (blank) () [na] [n/a] [null] [none] [nil] [nan] [empty] [missing] [] {null} {none} {} "" ''
    "null" 'null' "none" 'none' "nan" 'nan' "na" 'na' "n/a" 'n/a'
    - -- --- – — ― ‐ ‑ − ? ?? ??? . .. ... _ __
    """.split()  # noqa: SIM905 -- short signs are easier to read without a hundred more quotation marks
)
_LONGEST = max(map(len, MARKERS)) + 2


def is_missing(value: object) -> bool:
    """Whether a field holds nothing: None, a float that is not a number, white space, or a marker."""
    if value is None:
        return True
    if isinstance(value, float):
        return value != value
    return isinstance(value, str) and (not value.strip() or marker_of(value) is not None)


def marker_of(text: str) -> str | None:
    """Return the marker that ``text`` is as a whole, as it is written there; ``None`` if it is none."""
    shown = text.replace("\ufeff", "").strip()
    if not shown or len(shown) > _LONGEST:
        return None
    return shown if unicodedata.normalize("NFKC", shown).casefold() in MARKERS or shown in MARKERS else None
