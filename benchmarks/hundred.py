"""A hundred languages on photo-clip, each learnt from what there is of it without a gradient step.

    make bench-hundred        # python benchmarks/hundred.py [--langs de,fr] [--data ../shared/data] [--minutes 110]

For each language: FreeDict's dictionary where Debian has one, Tatoeba's and NTREX's sentences, and CLDR's names of
emoji where at least 97 % of the concepts have one. It is asked for the classes of 500 photographs, where their labels
have the language: R@1 and R@5, of names all of whose words are in its texts (known) and of others; beside it the
rivals: its texts as a dictionary, and photo-e5. A language that is done stays in the file of results, so that a run
that was stopped goes on; ``--minutes`` stops it after a language.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib.pyplot as plt

import glotclip
from glotclip.api.extending import extend
from glotclip.data import emoji
from glotclip.data.dataset import open_dataset
from glotclip.errors import GlotclipError
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.storage import read_json, write_json, write_text

BASE, COVERAGE = "photo-clip", 0.97
RIVALS = ("dictionary", "base:photo-e5")
NOTE = (
    "text → image among 500 photographs of 500 classes, in %; known: queries all of whose words are in the training "
    "texts. Seconds: wall clock of `extend`; MB: of the pack. dictionary: the same texts looked up, and asked in "
    "English; e5: photo-e5, untrained"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--langs", help="some languages; all if not given")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--minutes", type=float, default=110)
    asked = parser.parse_args()
    began, kept = time.monotonic(), asked.out / "hundred.json"
    rows: list[dict[str, Any]] = read_json(kept)["rows"] if kept.exists() else []
    labels = open_dataset(asked.data / "photos")
    done = {row["language"] for row in rows}
    for lang in asked.langs.split(",") if asked.langs else languages(asked.data, labels.languages()):
        if lang in done:
            continue
        if time.monotonic() - began > 60 * asked.minutes:
            print("time is up; the same command goes on")
            break
        rows.append(measured(lang, asked.data))
        print(rows[-1], flush=True)
        written(rows, asked.out)


def written(rows: list[dict[str, Any]], out: Path) -> None:
    """Write results, table and picture."""
    rows.sort(key=lambda row: row["language"])
    write_json(out / "hundred.json", {"command": "make bench-hundred", "rows": rows, "environment": environment()})
    write_text(out / "hundred.md", markdown(Table.of(rows, note=NOTE, digits=1)) + "\n")
    draw([row for row in rows if "R@5" in row], out / "hundred.svg")


def languages(data: Path, labelled: Mapping[str, Any] | Any) -> list[str]:
    """The languages with texts to learn from and labels to be asked for by, those with the fewest texts first."""
    found = set(names()).union(*(spoken for _, spoken in corpora(data).values())) & set(labelled) - {"en"}
    return sorted(found, key=lambda lang: (has_dictionary(lang), lang))


@cache
def corpora(data: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Corpora of sentences by name: how each is given, and its languages."""
    given = {name: f"{name}:{data / name}" for name in ("tatoeba", "ntrex")}
    return {name: (source, tuple(open_dataset(source).languages())) for name, source in given.items()}


@cache
def names() -> dict[str, dict[str, str]]:
    """By language, the names of emoji where nearly all have one."""
    english = emoji.texts("en")
    found = {}
    for lang in open_dataset("emoji").languages():
        own = {concept: text.name for concept, text in emoji.texts(lang).items() if concept in english}
        if len(own) >= COVERAGE * len(english):
            found[lang] = own
    return found


def has_dictionary(lang: str) -> bool:
    """Whether there is one, here or to be fetched."""
    try:
        return lang in open_dataset("freedict").languages()
    except GlotclipError:
        return False


def measured(lang: str, data: Path) -> dict[str, Any]:
    """The line of one language."""
    row: dict[str, Any] = {"language": lang}
    with TemporaryDirectory() as scratch:
        sources = texts(lang, data, Path(scratch))
        row["from"] = "+".join(name for name, _ in sources)
        given = [source for _, source in sources]
        began = time.perf_counter()
        try:
            extend(BASE, lang, data=given, out=Path(scratch) / "model", benchmark=False)
        except GlotclipError as error:
            return {**row, "why not": error.message}
        row["seconds"] = time.perf_counter() - began
        model = glotclip.load(Path(scratch) / "model")
        pack = model.pack_of(lang)
        assert pack is not None and pack.folder is not None
        row["pairs"] = sum(facts["captions"] for facts in pack.manifest.data.values())
        row["MB"] = sum(file.stat().st_size for file in pack.folder.iterdir()) / 1e6
        found = glotclip.evaluate(
            model, data / "photos", [lang], training_data=given, rivals=list(RIVALS), intervals=0
        )
    own = found["languages"][lang]
    row |= {"queries": own["text_to_image"]["n_queries"], **figures(own["text_to_image"], "")}
    for part in ("known", "unknown"):
        if part in own["subsets"]:
            its = own["subsets"][part]["text_to_image"]
            row |= {part: its["n_queries"], f"{part} R@1": its["r@1"]}
    for name, rival in (("dictionary", "dictionary"), ("e5", "base:photo-e5")):
        row |= figures(found["rivals"][rival]["languages"][lang]["text_to_image"], f"{name} ")
    return row


def figures(scores: Mapping[str, float], prefix: str) -> dict[str, float]:
    """R@1 and R@5."""
    return {f"{prefix}R@1": scores["r@1"], f"{prefix}R@5": scores["r@5"]}


def texts(lang: str, data: Path, scratch: Path) -> list[tuple[str, str]]:
    """What a language is learnt from: names of sources, and how they are given."""
    found = []
    if not has_dictionary(lang):
        command = [sys.executable, "-c", "from glotclip.cli.main import main; main()", "data", "get", "freedict"]
        subprocess.run([*command, "--lang", lang], capture_output=True, check=False)  # most have none
    if has_dictionary(lang):
        found.append(("freedict", "freedict"))
    found += [(name, source) for name, (source, spoken) in corpora(data).items() if lang in spoken]
    if lang in (named := names()):
        english = emoji.texts("en")
        rows = (f"{name}\t{english[concept].name}\t{lang}\n" for concept, name in named[lang].items())
        (scratch / "names.tsv").write_text("text\tenglish\tlang\n" + "".join(rows), encoding="utf-8")
        found.append(("cldr", str(scratch / "names.tsv")))
    return found


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Small multiples: R@5 of each language and of its rivals."""
    columns = 10
    lines = -(-len(rows) // columns)
    figure, grid = plt.subplots(lines, columns, figsize=(11, 0.95 * lines), squeeze=False, sharey=True)
    for axes in grid.flat:
        axes.axis("off")
    for axes, row in zip(grid.flat, sorted(rows, key=lambda row: -row["R@5"]), strict=False):
        bars = [row["R@5"], row.get("dictionary R@5", 0), row.get("e5 R@5", 0)]
        axes.bar(range(3), bars, color=("#0f766e", "#a3a3a3", "#d4d4d4"))
        axes.set_ylim(0, 100)
        axes.set_title(f"{row['language']} {row['R@5']:.0f}", fontsize=7, pad=1)
    figure.suptitle("R@5: the pack, its texts as a dictionary, photo-e5", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
