"""How small a pack with solved rows may be, and what that costs: how its rows are stored, and its glossary's size.

    python benchmarks/pack_sizes.py [--langs de,fi] [--out benchmarks/results]

A pack is learnt from FreeDict as `glotclip extend photo-clip --lang de --data freedict` learns it, and written again
in each way. Quality is measured where settings may be chosen: emoji's CLDR names in the language, each of which has
to find its English name among all 1,644 (R@1 and R@5 in %, text → text). No photograph is looked at.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import glotclip
from glotclip.api.extending import extend
from glotclip.data.dataset import open_dataset
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.packs.pack import LanguagePack, write_pack
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_json, write_text

BASE = "photo-clip"
EVERY = 10**9
STORES: list[tuple[str, int]] = [
    ("fp32", 0),
    ("fp16", 0),
    ("int8", 0),
    ("pq", 96),
    ("pq", 48),
    ("pq", 32),
    ("pq", 24),
    ("pq", 16),
]
WHOLE = {"fp32": 1536, "fp16": 768, "int8": 386}  # bytes of a row of 384 numbers
GLOSSARIES = [0, 10_000, 30_000, 100_000, EVERY]
NOTE = (
    "MB of the whole pack on disk; R@K: names of emoji → their English names, in %. kept: share of what the best "
    "pack of the language reaches in R@5"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--langs", default="de,fi")
    parser.add_argument("--data", default="freedict")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for lang in asked.langs.split(","):
        own = measured(lang, asked.data)
        best = max(row["R@5"] for row in own)
        rows += [{**row, "kept": round(100 * row["R@5"] / best, 1)} for row in own]
        print(markdown(Table.of(rows[-len(own) :], note=NOTE, digits=1)), flush=True)
    results = {"command": "python benchmarks/pack_sizes.py", "rows": rows, "environment": environment()}
    write_json(asked.out / "pack_sizes.json", results)
    write_text(asked.out / "pack_sizes.md", markdown(Table.of(rows, note=NOTE, digits=1)) + "\n")


def measured(lang: str, data: str) -> list[dict[str, Any]]:
    """One line for each way of storing rows with the whole glossary, and for each size of it at 96 bytes a row."""
    names, english, place = emoji_names(lang)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        extend(
            BASE,
            lang,
            data=data,
            out=folder / "model",
            settings={"store": "fp32", "glossary": EVERY},
            benchmark=False,
        )
        model = glotclip.load(folder / "model")
        pack = model.pack_of(lang)
        assert pack is not None and pack.glossary is not None
        targets = model.encode_text(english, "en").numpy()
        ways = [(*way, EVERY) for way in STORES] + [("pq", 96, size) for size in GLOSSARIES[:-1]]
        rows = []
        for number, (store, row_bytes, size) in enumerate(ways):
            at = folder / str(number)
            settings = {**pack.manifest.settings, "store": store, "row_bytes": row_bytes}
            facts = pack.manifest
            glossary = pack.glossary.shortest(size) if size else None
            write_pack(
                at, pack.state, name=facts.name, method=facts.method, learnt=facts.learnt, base=model.base,
                settings=settings, data=facts.data, scores={}, profiles=pack.profiles, glossary=glossary,
                text_forms=facts.text_forms,
            )  # fmt: skip
            again = Polyglot(model.base, [LanguagePack.load(at, model.base)])
            r1, r5 = recalls(again.encode_text(names, lang).numpy(), targets, place)
            files = {file.name: file.stat().st_size / 1e6 for file in at.iterdir()}
            rows.append({
                "language": lang, "rows": store, "bytes a row": row_bytes or WHOLE[store],
                "entries": len(glossary or ()), "MB of rows": files["pack.safetensors"],
                "MB of entries": files.get("glossary.txt.xz", 0.0), "MB": sum(files.values()), "R@1": r1, "R@5": r5,
            })  # fmt: skip
            print(rows[-1], flush=True)
    return rows


def emoji_names(lang: str) -> tuple[list[str], list[str], np.ndarray[Any, Any]]:
    """Names in the language, all English names, and where among these each belongs."""
    by_concept: dict[str | None, dict[str, str]] = {}
    for row in open_dataset("emoji").corpus(["en", lang]).rows:
        by_concept.setdefault(row.group, {}).setdefault(row.lang, row.text)
    both = [names for names in by_concept.values() if len(names) == 2]
    english = list(dict.fromkeys(names["en"] for names in both))
    number = {text: place for place, text in enumerate(english)}
    return [names[lang] for names in both], english, np.array([number[names["en"]] for names in both])


def recalls(
    asked: np.ndarray[Any, Any], targets: np.ndarray[Any, Any], place: np.ndarray[Any, Any]
) -> tuple[float, float]:
    """R@1 and R@5 in %; of equal cosines the other is put first."""
    cosines = asked @ targets.T
    ranks = (cosines >= cosines[np.arange(len(place)), place][:, None]).sum(axis=1)
    return 100 * float((ranks <= 1).mean()), 100 * float((ranks <= 5).mean())


if __name__ == "__main__":
    main()
