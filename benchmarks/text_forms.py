"""What other forms of the same texts cost: R@1 of queries in them, with and without bringing texts to one form.

    python benchmarks/text_forms.py [--steps 30] [--out benchmarks/results]

emoji-clip learns each language twice on the emoji data's training rows, once with text_form=none and once with the
default. Both are then asked for twemoji's pictures of all concepts (text → image) in every form: those queries that
the form changes, and the same queries as they are written. Resumable:
a language that is done is not repeated.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glotclip import api
from glotclip.api.common import gallery_features
from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import open_dataset
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.packs.polyglot import Polyglot
from glotclip.textforms import form_for
from glotclip.textforms.letters import simplified_characters

Change = Callable[[str], str]
LANGUAGES = "ar fa ru ja tr el th he vi zh sr hi ro ur am ml de ko uk fr".split()  # noqa: SIM905
FOLDED = {"zh": "simplified", "sr": "latin"}


@dataclass(frozen=True)
class Written:
    """One form: how a text is written in it, and in which languages people write so; none named: all."""

    name: str
    change: Change
    langs: tuple[str, ...] = ()


def between(sign: str) -> Change:
    """Put a sign into the middle of every word of four letters or more."""
    return lambda text: " ".join(
        f"{word[: len(word) // 2]}{sign}{word[len(word) // 2 :]}" if len(word) > 3 else word
        for word in text.split(" ")
    )


def swapped(*pairs: str) -> Change:
    """Write each pair's first character as what follows it."""
    table = {ord(pair[0]): pair[1:] for pair in pairs}
    return lambda text: text.translate(table)


def joined(text: str) -> str:
    """Write Arabic letters by their isolated presentation forms."""
    table = {
        unicodedata.normalize("NFKC", chr(code)): chr(code)
        for code in range(0xFE80, 0xFEF5)
        if unicodedata.decomposition(chr(code)).startswith("<isolated>")
    }
    return "".join(table.get(letter, letter) for letter in text)


def pointed(sign: str, after: str) -> Change:
    """Put a mark after some letters."""
    return lambda text: "".join(letter + sign if letter in after else letter for letter in text)


def halved(text: str) -> str:
    """Write full-width katakana and its marks in half width."""
    table = {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in range(0xFF66, 0xFF9E)}
    table |= {"\u3099": "ﾞ", "\u309a": "ﾟ"}
    parts = "".join(
        unicodedata.normalize("NFD", letter) if "\u30a1" <= letter <= "\u30fa" else letter for letter in text
    )
    return "".join(table.get(letter, letter) for letter in parts)


def wide(text: str) -> str:
    """Write ASCII in full width."""
    return "".join(chr(ord(letter) + 0xFEE0) if "!" <= letter <= "~" else letter for letter in text)


def garbled(text: str) -> str:
    """Read UTF-8 as Windows-1252, where it can be."""
    try:
        return text.encode("utf-8").decode("cp1252")
    except UnicodeDecodeError:
        return text


def old_tones(text: str) -> str:
    """Put Vietnamese tone marks as the older spelling has them."""
    parts = unicodedata.normalize("NFD", text)
    # Only where the mark is the word's last: in a closed syllable it stands on the second vowel in either spelling.
    parts = re.sub("(o(?=[ae])|(?<!q)u(?=y))([aey])([\u0300\u0301\u0303\u0309\u0323])(?!\\w)", r"\1\3\2", parts)
    return unicodedata.normalize("NFC", parts)


def unaccented(text: str) -> str:
    """Write Greek in capitals, without accents."""
    return "".join(letter for letter in unicodedata.normalize("NFD", text.upper()) if letter != "\u0301")


def traditional(text: str) -> str:
    """Write simplified characters as the first traditional one that the table has for each."""
    table: dict[str, str] = {}
    for one, other in simplified_characters().items():
        table.setdefault(other, chr(one))
    return "".join(table.get(letter, letter) for letter in text)


FORMS = (
    Written("U+200F in front", lambda text: "\u200f" + text),
    Written("U+FEFF in front", lambda text: "\ufeff" + text),
    Written("isolate around", lambda text: f"\u2068{text}\u2069"),
    Written("soft hyphens", between("\u00ad")),
    Written("U+200B in words", between("\u200b")),
    Written("no-break spaces", lambda text: text.replace(" ", "\u00a0")),
    Written("full width", wide, ("en", "de", "ja", "zh", "ko")),
    Written("decomposed (NFD)", lambda text: unicodedata.normalize("NFD", text)),
    Written("HTML entities", lambda text: "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in text)),
    Written("UTF-8 read as cp1252", garbled),
    Written("other apostrophes", swapped("’'", "'’")),
    Written("other dashes", swapped("-–", "–-", "\u2011-")),
    Written("tatweel", between("ـ"), ("ar", "fa", "ur")),
    Written("presentation forms", joined, ("ar", "fa", "ur")),
    Written("vowel signs", pointed("\u064e", "بتجحدرسعفقكلمن"), ("ar", "fa", "ur")),
    Written("Arabic ي ك ه", swapped("یي", "کك", "ہه"), ("fa", "ur")),
    Written("Persian ی ک", swapped("يی", "كک"), ("ar",)),
    Written("alef without hamza", swapped("أا", "إا", "آا"), ("ar",)),
    Written("Arabic digits", swapped(*(f"{k}{chr(0x660 + k)}" for k in range(10))), ("ar", "fa", "ur")),
    Written("half-width kana", halved, ("ja",)),
    Written("dash for ー", swapped("ー－"), ("ja",)),
    Written("capitals", lambda text: text.replace("i", "İ").upper(), ("tr",)),
    Written("capitals without accents", unaccented, ("el",)),
    Written("s and t with cedilla", swapped("șş", "țţ"), ("ro",)),
    Written("older tone marks", old_tones, ("vi",)),
    Written("stress marks", pointed("\u0301", "аеоу"), ("ru", "uk")),
    Written("е for ё", swapped("ёе"), ("ru",)),
    Written("vowel points", pointed("\u05b7", "אבגדהלמנרש"), ("he",)),
    Written("no nukta", lambda text: unicodedata.normalize("NFC", text).replace("\u093c", ""), ("hi",)),
    Written("chillus of old", swapped("ൻന്\u200d", "ർര്\u200d", "ൽല്\u200d", "ൾള്\u200d", "ൺണ്\u200d"), ("ml",)),
    Written("sara am in two", lambda text: text.replace("\u0e33", "\u0e4d\u0e32"), ("th",)),
    Written("other letters of a sound", swapped("ሰሠ", "አዐ", "ሀሐ", "ጸፀ", "ሳሣ", "ስሥ", "ሰሠ"), ("am",)),
    Written("traditional characters", traditional, ("zh",)),
    Written("Latin letters", lambda text: form_for("sr", folds="latin")(text, "sr"), ("sr",)),
)  # fmt: skip


def main() -> None:
    """Teach, ask, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--langs", nargs="*", default=LANGUAGES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "glotclip-text-forms")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    benchmark = open_dataset("emoji-cldr").benchmark(["en", *given.langs])
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        base = api.load("emoji-clip")
        gallery = gallery_features(base, benchmark).take()
        gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
        for lang in ("en", *given.langs):
            done = given.work / f"{lang}-{given.steps}.json"
            if done.exists():
                rows += json.loads(done.read_text(encoding="utf-8"))
                continue
            models = [taught(lang, form, Path(folder), given.steps) for form in ("none", "unicode-1")]
            new = measured(lang, models, benchmark, gallery)
            done.write_text(json.dumps(new), encoding="utf-8")
            rows += new
            print(new[0], flush=True)
    result = {"format": 1, "steps": given.steps, "rows": rows, "environment": environment()}
    (given.out / "text_forms.json").write_text(
        json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    (given.out / "text_forms.md").write_text(page(rows, given.steps), encoding="utf-8")


def taught(lang: str, form: str, folder: Path, steps: int) -> Polyglot:
    """emoji-clip with a language, taught in a form; folds of scripts come with the default form."""
    if lang == "en":
        base = api.load("emoji-clip")
        base.base.text_form = form_for("en", form) if form == "none" else base.base.text_form  # type: ignore[arg-type]
        return base
    settings: dict[str, Any] = {"steps": steps, "text_form": form, "evaluate_every": 0}
    if form != "none" and lang in FOLDED:
        settings["fold"] = FOLDED[lang]
    out = folder / f"{lang}-{form}"
    made = api.extend("emoji-clip", [lang], data="emoji-cldr", out=out, settings=settings, benchmark=False)
    return made.load()


def measured(
    lang: str, models: list[Polyglot], benchmark: Benchmark, gallery: np.ndarray[Any, Any]
) -> list[dict[str, Any]]:
    """R@1 of every form in a language, as written and in the form, before and after."""
    captions = benchmark.captions[lang]
    plain = [caption.text for caption in captions]
    owner = np.array([caption.image for caption in captions])

    def hits(model: Polyglot, texts: list[str], wanted: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        features, _ = model.encode_counted(texts, lang)
        found: np.ndarray[Any, Any] = (features.numpy() @ gallery.T).argmax(axis=1) == wanted
        return found

    before, after = (hits(model, plain, owner) for model in models)
    rows = [row(lang, "as written", before, before, after, after)]
    for form in FORMS:
        if form.langs and lang not in form.langs:
            continue
        texts = [form.change(text) for text in plain]
        changed = np.array([one != other for one, other in zip(texts, plain, strict=True)])
        if changed.sum() >= 10:
            asked = [texts[place] for place in np.flatnonzero(changed)]
            first, second = (hits(model, asked, owner[changed]) for model in models)
            rows.append(row(lang, form.name, before[changed], first, after[changed], second))
    return rows


def row(lang: str, form: str, *four: np.ndarray[Any, Any]) -> dict[str, Any]:
    """One line: R@1 in percent over the queries that the form changes."""
    scores = [round(100 * float(each.mean()), 1) for each in four]
    names = ("as written, before", "in the form, before", "as written", "in the form")
    return {"form": form, "language": lang, "queries": len(four[0]), **dict(zip(names, scores, strict=True))}


def page(rows: list[dict[str, Any]], steps: int) -> str:
    """Two tables: forms on average over languages, and every form in every language."""
    order = {form.name: place for place, form in enumerate(FORMS, start=1)}
    ordered = sorted(rows, key=lambda each: order.get(each["form"], 0))
    note = f"R@1 in %, text → image, twemoji's pictures; {steps} steps a language; before: text_form=none"
    return f"{markdown(summary(ordered, note))}\n\n{markdown(Table.of(ordered, note=note, digits=1))}\n"


def summary(rows: list[dict[str, Any]], note: str) -> Table:
    """Each form on average over the languages it was asked in."""
    lines = []
    for form in dict.fromkeys(each["form"] for each in rows):
        some = [each for each in rows if each["form"] == form]
        means = {name: float(np.mean([each[name] for each in some])) for name in list(some[0])[3:]}
        lines.append({"form": form, "languages": " ".join(each["language"] for each in some), **means})
    return Table.of(lines, note=note, digits=1)


if __name__ == "__main__":
    main()
