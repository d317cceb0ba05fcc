"""Ten languages on photo-clip: how well each way of learning one finds photographs, and what else could be done.

    python benchmarks/photo_languages.py [--langs de,fr] [--long] [--data ../shared/data] [--out DIR] [--choose]

The photographs are 500, one a class; a query is a class's name in the language, text → image. ``known``: queries all
of whose words are in the dictionary. Training texts are FreeDict's dictionaries (``glotclip data get freedict``);
where the table says so, also sentences: at most 1,000 of Tatoeba's, NTREX's 2,000 (Spanish has 2,600), and in
German, French and Czech Multi30K's training captions. ``--long`` adds lessons of three times as many steps. Captions
are those of Multi30K's test 2016, in the language against their English, the mean of both directions.

Rivals: the base before it was taught anything, the dictionary itself looked up and asked in English, and photo-e5,
which knows a hundred languages. No translation engine for these languages can be had without a model hub.

``--choose`` measures instead how lessons are best given, where settings may be chosen: emoji's CLDR names in Finnish
and German against their English among all 1,644, and Multi30K's validation captions in German.

What is measured stays in the file of results: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import glotclip
from glotclip.api.extending import extend
from glotclip.data.dataset import open_dataset
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import read_json, write_json, write_text
from pack_sizes import emoji_names, recalls

BASE, WORDS = "photo-clip", "freedict"
LANGUAGES = ("de", "fr", "fi", "cs", "tr", "ja", "ar", "hi", "es", "sw")
CAPTIONED = ("de", "fr", "cs")
RIVALS = ("dictionary:freedict", "base:photo-e5")
ROWS_ALONE = {"method": "lexicon", "steps": 0}
LESSON = {"method": "acquirer", "batch_size": 128}
STEPS = 100  # of a lesson of about a minute
FIRST, GLOSSARY = "drawn rows", "solved rows, glossary"
NOTE = (
    "text → image among 500 photographs, %; captions: R@1 in %, mean of both directions. CPU-s: processor time of "
    "the whole `extend`, reading the dictionary included; MB: of the pack"
)


@dataclass(frozen=True)
class Way:
    """A way of learning a language.

    Attributes:
        title: what the table calls it.
        settings: of the method.
        sentences: whether it learns from sentences too.
    """

    title: str
    settings: Mapping[str, Any]
    sentences: bool = False


WAYS = (
    Way(FIRST, {**ROWS_ALONE, "initial_rows": "drawn", "glossary": 1}),
    Way("mean of translations", {**ROWS_ALONE, "initial_rows": "mean", "glossary": 0}),
    Way("solved rows", {**ROWS_ALONE, "glossary": 0}),
    Way(GLOSSARY, ROWS_ALONE),
    Way("… and sentences", ROWS_ALONE, sentences=True),
    Way("… and lessons of 1 min", {**LESSON, "steps": STEPS}, sentences=True),
)
LONG = Way("… and lessons of 3 min", {**LESSON, "steps": 3 * STEPS}, sentences=True)


def sentences(lang: str, data: Path) -> list[str]:
    """Where the sentences of a language are."""
    captioned = [str(data / "multi30k" / "human")] if lang in CAPTIONED else []
    return [*captioned, f"tatoeba:{data / 'tatoeba'}", f"ntrex:{data / 'ntrex'}"]


def taught(lang: str, way: Way, data: Path, out: Path) -> tuple[Polyglot, float]:
    """A model that was taught a language, and the processor's seconds that took."""
    settings = dict(way.settings)
    method = settings.pop("method")
    given = [WORDS, *(sentences(lang, data) if way.sentences else ())]
    began = time.process_time()
    extend(BASE, lang, data=given, method=method, settings=settings, out=out, benchmark=False)
    return glotclip.load(out), time.process_time() - began


def captions(model: Polyglot, lang: str, data: Path, split: str) -> float:
    """R@1 of Multi30K's captions against their English, the mean of both directions, in %."""
    rows = [row for row in open_dataset(data / "multi30k" / "human").corpus([lang]).rows if row.split == split]
    pairs = [(row.text, row.english) for row in rows if row.english]
    own = model.encode_text([text for text, _ in pairs], lang).numpy()
    english = model.encode_text([text for _, text in pairs], "en").numpy()
    place = np.arange(len(pairs))
    return (recalls(own, english, place)[0] + recalls(english, own, place)[0]) / 2


def photographs(model: Polyglot, lang: str, data: Path, rivals: Sequence[str]) -> dict[str, dict[str, float]]:
    """R@K of the model and of rivals."""
    found = glotclip.evaluate(
        model, data / "photos", [lang], training_data=[WORDS], rivals=list(rivals), intervals=0
    )  # fmt: skip
    every = {"": found["languages"]} | {name: each["languages"] for name, each in found.get("rivals", {}).items()}
    return {name: figures(each[lang]) for name, each in every.items() if lang in each}


def figures(scores: Mapping[str, Any]) -> dict[str, float]:
    """What the table shows of a language's scores."""
    own = scores["text_to_image"]
    row = {"R@1": own["r@1"], "R@5": own["r@5"]}
    for part in ("known", "unknown"):
        if part in scores["subsets"]:
            its = scores["subsets"][part]["text_to_image"]
            row |= {part: its["n_queries"], f"{part} R@1": its["r@1"], f"{part} R@5": its["r@5"]}
    return row


def measured(lang: str, way: Way, data: Path) -> list[dict[str, Any]]:
    """The line of one way of learning a language, and those of the rivals with the first."""
    with TemporaryDirectory() as folder:
        model, seconds = taught(lang, way, data, Path(folder) / "model")
        size = sum(file.stat().st_size for file in (Path(folder) / "model").glob("packs/**/*") if file.is_file())
        if way.settings.get("glossary") == 1:  # with 0, the features of all texts would have been computed
            model = Polyglot(model.base, [replace(pack, glossary=None) for pack in model.packs.values()])
        found = photographs(model, lang, data, RIVALS if way.title == FIRST else ())
        row: dict[str, Any] = {"language": lang, "what": way.title, **found.pop("")}
        if lang in CAPTIONED:
            row["captions"] = captions(model, lang, data, "test")
    own = {**row, "CPU-s": seconds, "MB": size / 1e6}
    return [own, *({"language": lang, "what": name, **each} for name, each in found.items())]


def choose(data: Path) -> None:
    """Print what ways of giving lessons reach on emoji's names and on captions for validation."""
    for lang in ("fi", "de"):
        names, english, place = emoji_names(lang)
        for lr in (0.0003, 0.001, 0.003):
            for embedding_rate in (1, 3):
                with TemporaryDirectory() as folder:
                    rates = {"lr": lr, "embedding_rate": embedding_rate}
                    way = Way("", {**LESSON, **rates, "steps": STEPS, "glossary": 0}, sentences=True)
                    model, seconds = taught(lang, way, data, Path(folder) / "model")
                    targets = model.encode_text(english, "en").numpy()
                    r1, r5 = recalls(model.encode_text(names, lang).numpy(), targets, place)
                    said = f"{lang} lr={lr} embedding_rate={embedding_rate}: "
                    said += f"emoji {r1:.1f}/{r5:.1f}, {seconds:.0f} CPU-s"
                    more = f", captions {captions(model, lang, data, 'validation'):.1f}" if lang in CAPTIONED else ""
                    print(said + more, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--langs", default=",".join(LANGUAGES))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--choose", action="store_true")
    asked = parser.parse_args()
    if asked.choose:
        choose(asked.data)
        return
    kept = asked.out / "photo_languages.json"
    rows = read_json(kept)["rows"] if kept.exists() else []
    for lang in asked.langs.split(","):
        for way in [*WAYS, *([LONG] if asked.long else [])]:
            if not any((row["language"], row["what"]) == (lang, way.title) for row in rows):
                rows += measured(lang, way, asked.data)
                print(rows[-1], flush=True)
                rows.sort(key=_place)
                written(rows, asked.out)


def written(rows: list[dict[str, Any]], out: Path) -> None:
    """Write results and table."""
    command = "python benchmarks/photo_languages.py --long"
    write_json(out / "photo_languages.json", {"command": command, "rows": rows, "environment": environment()})
    write_text(out / "photo_languages.md", markdown(Table.of(rows, note=NOTE, digits=1)) + "\n")


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    """Where a line comes in the table: by language, then rivals after what is taught."""
    titles = [*(way.title for way in (*WAYS, LONG)), *RIVALS]
    return LANGUAGES.index(row["language"]), titles.index(row["what"])


if __name__ == "__main__":
    main()
