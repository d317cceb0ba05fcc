"""Names of emoji that were never taught: those put together of taught words, and the rest; beside the rivals.

    python benchmarks/emoji_unseen.py [--langs de,tr,zh,…] [--rivals base,dictionary,…] [--out benchmarks/results]

Needs google's images: ``glotclip data get emoji-google``. ``emoji-clip`` learns each language from the names of the
1,150 concepts of split train (its recommended settings, 50 steps); nothing of a test concept is taught, neither its
name nor its keywords. An unseen name is *composable* if all its words occur in taught names; no method can know the
rest. The rival ``dictionary`` looks names up in the same taught pairs, ``base`` is the base untrained.

``photo-clip``, which was made for photographs and never saw an emoji, is asked the English names of the pictures;
with ``--photo-set NAME=VALUE`` (repeatable) it learns the languages too, with these settings.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glotclip import api
from glotclip.config import parse_assignments
from glotclip.data.sources.emoji_dataset import EmojiDataset
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Cell, Table, markdown
from glotclip.evaluation.taught import COMPOSABLE, OTHER, RULE
from glotclip.scores import headline
from glotclip.storage import write_json, write_text

LANGUAGES = "de,tr,zh,fi,ru,hi,ar,sw,th,ja"
RIVALS = "base,dictionary"
SUBSETS = ("seen", "unseen", COMPOSABLE, OTHER)
NOTE = (
    "R@1 in %, mean of both directions, google's pictures of all 1,644 concepts, names as in CLDR; taught: the names "
    f"of 1,150 concepts; {RULE}. One run; differences of 1–2 points mean nothing."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--langs", default=LANGUAGES)
    parser.add_argument("--rivals", default=RIVALS)
    parser.add_argument("--photo-set", action="append", metavar="NAME=VALUE", help="photo-clip learns, with this")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    asked = parser.parse_args()
    langs, dataset = asked.langs.split(","), EmojiDataset("google", "cldr")
    rows = measure("emoji-clip", langs, dataset, asked.rivals, {})
    photo = parse_assignments(asked.photo_set) if asked.photo_set else None
    rows += measure("photo-clip", langs if asked.photo_set else [], dataset, asked.rivals, photo)
    given = "".join(f" --photo-set {each}" for each in asked.photo_set or ())
    results = {
        "command": f"python benchmarks/emoji_unseen.py{given}", "languages": langs, "rivals": asked.rivals,
        "photo-clip learns with": photo, "rows": rows, "environment": environment(),
    }  # fmt: skip
    write_json(asked.out / "emoji_unseen.json", results)
    write_text(asked.out / "emoji_unseen.md", markdown(Table.of(rows, note=NOTE)))
    print(markdown(Table.of(rows, note=NOTE)))


def measure(
    base: str, langs: Sequence[str], dataset: EmojiDataset, rivals: str, settings: Mapping[str, Any] | None
) -> list[dict[str, Cell]]:
    """The lines of one base: English, then each language and its rivals, then their averages."""
    model = api.load(base)
    if not langs:
        scores = api.evaluate(model, dataset, ["en"], intervals=0)["languages"]["en"]
        return [line(base, "en", "base", scores)]
    with tempfile.TemporaryDirectory() as folder:
        made = api.extend(
            model, langs, data=dataset, out=Path(folder), settings=dict(settings or {}), benchmark=False
        )
        result = api.evaluate(made.load(), dataset, langs, rivals=rivals, training_data=dataset, intervals=0)
    systems = {"taught": result["languages"]} | {name: of["languages"] for name, of in result["rivals"].items()}
    english = systems.pop("English")["en"]
    rows = [line(base, "en", "base", english)]
    rows += [line(base, code, name, of[code]) for code in langs for name, of in systems.items()]
    for name in systems:
        own = [row for row in rows if row["by"] == name and row["language"] != "en"]
        means = {column: statistics.mean(float(row[column] or 0) for row in own) for column in SUBSETS}
        rows.append({"base": base, "language": "average", "by": name, **means})
    return rows


def line(base: str, code: str, by: str, scores: Mapping[str, Any]) -> dict[str, Cell]:
    """R@1 of each subset, and how many names are composable or not."""
    row: dict[str, Cell] = {"base": base, "language": code, "by": by}
    for name in SUBSETS:
        part = scores["subsets"].get(name)
        row[name] = headline(part) if part else None
        if name in (COMPOSABLE, OTHER):
            row[f"{name}: names"] = part["text_to_image"]["n_queries"] if part else None
    return row


if __name__ == "__main__":
    main()
