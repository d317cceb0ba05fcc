"""What is folded alike in every language: broken encodings, invisible characters, widths, quotation marks, digits.

The compatibility forms of Unicode (UAX #15) are folded where they are a matter of width, font or joining only. NFKC
as a whole would also turn ² into 2, take Thai's sara am apart and change emoji such as ℹ and Ⓜ: those stay.
"""

from __future__ import annotations

import html
import unicodedata
from functools import cache

import regex  # type: ignore[import-untyped]

# Tags of unicodedata.decomposition: whatever carries one is the same sign in another dress.
_DRESS = frozenset(
    ["<wide>", "<narrow>", "<small>", "<vertical>", "<font>", "<initial>", "<medial>", "<final>", "<isolated>"]
)
# Of <compat>, <square> and <circle>: Latin ligatures and digraphs, long s, micro sign, Greek symbols, the Armenian
# and Lao ligatures, Roman numerals, Kangxi radicals, Latin letters in circles, squared Japanese words and units.
_ALSO = (
    (0x00B5, 0x00B5), (0x0132, 0x0133), (0x013F, 0x0140), (0x0149, 0x0149), (0x017F, 0x017F), (0x01C4, 0x01CC),
    (0x01F1, 0x01F3), (0x03D0, 0x03D6), (0x03F0, 0x03F5), (0x0587, 0x0587), (0x0675, 0x0678), (0x0EDC, 0x0EDD),
    (0x2160, 0x217F), (0x24B6, 0x24E9), (0x2E9F, 0x2E9F), (0x2EF3, 0x2EF3), (0x2F00, 0x2FD5), (0x3300, 0x33FF),
    (0xFB00, 0xFB06), (0xFB13, 0xFB17), (0xFB4F, 0xFB4F), (0x1F130, 0x1F149),
)  # fmt: skip
_EMOJI = frozenset([0x2139, 0x24C2])  # ℹ and Ⓜ
_LAST = 0x1FC00  # nothing beyond has such a form, but ideographs that NFC maps

_SINGLE, _DOUBLE, _DASHES = "‘’‚‛′‵ʻʼʽꞌ‹›׳", "“”„‟″‶«»〝〞〟״", "‐‑‒–—―−⁃־"
_BLANKS = "\u2800\u3164\uffa0\u115f\u1160"  # drawn as a blank, though no space: Braille's, Hangul's fillers
_TATWEEL = "\u0640\u07fa"  # stretches a word in Arabic script and in N'Ko

_REMOVED = regex.compile(
    r"(?V1)[[\p{DI}\p{Cc}\uFFF9-\uFFFC]--[\s\u200C\u200D\uFE0F\u180B-\u180F\U000E0020-\U000E007F]]+"
)
_HELD = regex.compile(r"[\u200C\u200D\uFE0F\u180B-\u180F\U000E0020-\U000E007F]")  # what _REMOVED spares
_ESCAPE = regex.compile(r"\x1b\[[\d;]*[a-zA-Z]")
_TAGS = regex.compile(r"(\U0001F3F4[\U000E0020-\U000E007E]+\U000E007F)|[\U000E0020-\U000E007F]")
_SELECTOR = regex.compile(r"(?V1)([\p{Emoji}--[0-9#*]]\uFE0F|[0-9#*]\uFE0F(?=\u20E3))|\uFE0F")
_MONGOLIAN = regex.compile(
    r"(?V1)([\p{Mongolian}&&\p{L}][\u180B-\u180D\u180F]|\u180E(?=\p{Mongolian}))|[\u180B-\u180F]"
)
_VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
# Where a joiner changes what is read: RFC 5892, appendix A, and a letter before its virama (Bengali, Kannada).
_JOINERS = regex.compile(
    rf"(?V1)((?<=[\p{{Extended_Pictographic}}\p{{Emoji_Modifier}}\uFE0F\u20E3])\u200D(?=\p{{Extended_Pictographic}})"
    rf"|(?<=[{_VIRAMA}])[\u200C\u200D](?=\p{{L}})|(?<=\p{{L}})\u200D(?=[{_VIRAMA}])"
    r"|(?<=\p{Khmer})\u200C(?=[\u17C9\u17CA])"
    r"|(?<=[\p{Arabic}\p{Syriac}\p{Mongolian}\p{Nko}\p{Adlam}\p{M}])\u200C"
    r"(?=[[\p{Arabic}\p{Syriac}\p{Mongolian}\p{Nko}\p{Adlam}]&&\p{L}]))"
    r"|[\u200C\u200D]"
)
_JOINER_RUN = regex.compile(r"([\u200C\u200D])[\u200C\u200D]+")
_SPACES = regex.compile(r"\s+")
_TICK = regex.compile(r"(?<=\p{L})[`´](?=\p{L})")
_OPENING = regex.compile(r"(?<![^\s(\[])[\"'](?=\w)")
_VOICED = {"\u309b": "\u3099", "\u309c": "\u309a"}
_SOUND = regex.compile(r"(?<=[\u3041-\u3096\u30A1-\u30FA])[\u309B\u309C]")
_INVISIBLE = regex.compile(rf"(?V1)[\p{{DI}}\p{{Cc}}\uFFF9-\uFFFC\s{_BLANKS}]*")


def well_formed(text: str) -> str:
    """Replace lone surrogates, which JSON can carry but UTF-8 cannot, by the replacement character."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def visible(text: str) -> bool:
    """Whether any character of a text is seen: not white space, not a control or format character."""
    return _INVISIBLE.fullmatch(text) is None


def repaired(text: str) -> str:
    """Undo HTML entities, as often as they were made, and UTF-8 read as another encoding, as CLIP's tokenizer did."""
    while "&" in text and (plain := html.unescape(text)) != text:
        text = plain  # shorter each time
    if not text.isascii():
        from ftfy import fix_encoding
        from ftfy.badness import is_bad

        # A soft hyphen, a no-break space or a quotation mark after Â or Ã looks like mojibake; it may be meant.
        if is_bad(text) and is_bad(_SPACES.sub(" ", _REMOVED.sub("", text.translate(_plain_quotes())))):
            text = well_formed(fix_encoding(text))
    return text


def plain_signs(text: str) -> str:
    """Remove what is not seen, and fold widths, fonts, quotation marks, dashes, digits and spaces; NFC throughout."""
    text = unicodedata.normalize("NFC", _REMOVED.sub("", _ESCAPE.sub("", text).translate(_blanks())))
    text = _SOUND.sub(lambda found: _VOICED[found[0]], text.translate(_signs()))
    text = _TICK.sub("'", text)
    return unicodedata.normalize("NFC", _SPACES.sub(" ", text).strip())


def curled(text: str) -> str:
    """Write plain apostrophes and quotation marks as English typography has them."""
    text = _OPENING.sub(lambda found: "“" if found[0] == '"' else "‘", text)
    return text.replace("'", "’").replace('"', "”")


def plain_joiners(text: str) -> str:
    """Remove joiners, variation selectors and tags wherever they change nothing that is read."""
    if _HELD.search(text) is None:
        return text
    text = _SELECTOR.sub(r"\1", _TAGS.sub(r"\1", text))
    text = _MONGOLIAN.sub(r"\1", text)
    return str(_JOINERS.sub(r"\1", _JOINER_RUN.sub(r"\1", text)))


@cache
def _plain_quotes() -> dict[int, str]:
    return dict.fromkeys(map(ord, _SINGLE), "'") | dict.fromkeys(map(ord, _DOUBLE), '"')


@cache
def _blanks() -> dict[int, str]:
    return dict.fromkeys(map(ord, _BLANKS), " ")


@cache
def _signs() -> dict[int, str]:
    """What each sign becomes, by code point."""
    table: dict[int, str] = {}
    for code in range(0xA0, _LAST):
        sign = chr(code)
        tag, _, parts = unicodedata.decomposition(sign).partition(" ")
        # First what few have: there are 130,000 signs, and 6,000 of them decompose.
        if parts and code not in _EMOJI and (tag in _DRESS or any(low <= code <= high for low, high in _ALSO)):
            plain = "".join(chr(int(part, 16)) for part in parts.split())
            # Arabic vowel signs in their isolated and medial forms stand on a space or a tatweel.
            table[code] = plain.lstrip(" \u0640") or " " if tag in ("<isolated>", "<medial>") else plain
        elif (digit := unicodedata.decimal(sign, None)) is not None:
            table[code] = str(digit)
    table |= _plain_quotes() | dict.fromkeys(map(ord, _DASHES), "-") | dict.fromkeys(map(ord, _TATWEEL), "")
    return table
