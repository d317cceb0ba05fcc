"""Under which terms texts stand, as a pack's card and manifest repeat them: a short name, a source, an address."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Of a user's own files, which say nothing of their terms.
OWN = "unknown (yours)"


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms of one source of texts.

    Attributes:
        name: of the source, such as ``freedict deu-eng``.
        licence: an SPDX expression where there is one, else a few words (``research``).
        source: who made it, or where it was found, in words.
        url: where it is published; empty where that is not known.
    """

    name: str
    licence: str
    source: str
    url: str = ""


_GNU = re.compile(
    r"\b(?P<short>[AL]?GPL)v?\s*[-–]?\s*(?P<n1>\d)|"
    r"(?P<kind>Affero |Lesser )?General Public Licen[sc]e,?[\s(]*(?:as published.{0,60}?)?"
    r"(?:;? either\s*)?(?:ver(?:sion|\.)\s*|v)(?P<n2>\d)",
    re.IGNORECASE | re.DOTALL,
)
_LATER = re.compile(r"any\s+later\s+version|or\s+later|later\s+version|GPL-?v?\d(?:\.\d)?\+", re.IGNORECASE)
_CREATIVE = re.compile(
    r"CC[-\s]BY(?P<short>(?:[-\s](?:NC|SA|ND))*)[-\s]*(?P<n1>\d\.\d)?|"
    r"Creative\s+Commons\s+(?P<words>Attribution(?:[-\s]*(?:Non-?\s*Commercial|No-?\s*Derivatives?|Share-?\s*Alike))*)"
    r"[^\d.]{0,40}(?P<n2>\d\.\d)?",
    re.IGNORECASE,
)
_PUBLIC = re.compile(r"CC0|public\s+domain", re.IGNORECASE)


def spdx_in(text: str) -> str | None:
    """Return the SPDX expression of the licences that a text names (a header, a copyright file), or ``None``.

    Several that hold for parts of a work are joined with ``AND``.
    """
    plain = " ".join(text.split())
    found: dict[str, None] = {}
    later = bool(_LATER.search(plain))
    for match in _GNU.finditer(plain):
        kind = (match["kind"] or "").strip().lower()
        short = (match["short"] or {"affero": "AGPL", "lesser": "LGPL"}.get(kind, "GPL")).upper()
        minor = "1" if short == "LGPL" and (match["n1"] or match["n2"]) == "2" else "0"
        number = f"{match['n1'] or match['n2']}.{minor}"
        found[f"{short}-{number}-{'or-later' if later else 'only'}"] = None
    for match in _CREATIVE.finditer(plain):
        words = re.sub(r"[^a-z]", "", (match["words"] or "").lower())
        terms = [
            code for code, word in (("NC", "noncommercial"), ("ND", "noderiv"), ("SA", "sharealike")) if word in words
        ]
        terms += re.findall(r"NC|SA|ND", (match["short"] or "").upper())
        found["-".join(["CC-BY", *dict.fromkeys(terms), match["n1"] or match["n2"] or "4.0"])] = None
    if not found and _PUBLIC.search(plain):
        return "CC0-1.0"
    return " AND ".join(found) or None


def in_debian_copyright(text: str, folder: str) -> str | None:
    """Return the licence that a Debian copyright file names for one folder of the source (``deu-eng``).

    Its short names are Debian's (``GPL-2+``); see Debian's copyright format 1.0.
    """
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(Files|License):\s*(\S.*)$", paragraph, re.MULTILINE))
        if f"{folder}/*" in fields.get("Files", "").split():
            short = re.sub(r"^(A?GPL|LGPL)-(\d)(\+?)$", _gnu, fields.get("License", "").strip())
            return short or None
    return None


def _gnu(match: re.Match[str]) -> str:
    return f"{match[1]}-{match[2]}.0-{'or-later' if match[3] else 'only'}"
