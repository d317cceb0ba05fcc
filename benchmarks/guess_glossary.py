"""What glossaries add to the guess of a short text's language, and how much they are to count.

    glotclip extend photo-clip --lang de,fr,fi,cs,tr,es,sw --data freedict --out MODEL
    python benchmarks/guess_glossary.py MODEL [--out benchmarks/results]

Names of emoji (CLDR) in the languages of a model that was taught by dictionaries, and in English, are guessed with
the model's profiles alone (a weight of 0) and with how much of them is in its glossaries. The weight is chosen on
the concepts of split validation; the others are of split test. Nothing of these names was taught, but a dictionary
has the words that names are made of.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from glotclip.api.bases import load
from glotclip.data import emoji
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.storage import write_json, write_text

WEIGHTS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
NOTE = "in %: guesses that are right, of all and by language; sure: guesses that say so; right of these"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    asked = parser.parse_args()
    guesser = load(asked.model)._installed.guesser
    settings, splits = guesser.settings, emoji.concepts()
    names = [
        (lang, splits[concept], each.name)
        for lang in guesser.codes
        for concept, each in emoji.texts(lang, "cldr").items()
    ]
    rows: list[dict[str, Any]] = []
    for split, weights in (("validation", WEIGHTS), ("test", (0.0, settings.listed))):
        chosen = [(lang, text) for lang, its, text in names if its == split]
        langs = np.array([lang for lang, _ in chosen])
        for weight in weights:
            guesser.settings = replace(settings, listed=weight)
            guesses = guesser.guess([text for _, text in chosen])
            right = np.array([guess.lang == lang for guess, lang in zip(guesses, langs, strict=True)])
            sure = np.array([guess.sure for guess in guesses])
            row = {"split": split, "weight": weight, "names": len(chosen), "right": right.mean(), "sure": sure.mean()}
            row |= {
                "right of sure": right[sure].mean(),
                **{code: right[langs == code].mean() for code in guesser.codes},
            }
            rows.append({key: 100 * value if isinstance(value, np.floating) else value for key, value in row.items()})
            print(rows[-1], flush=True)
    command = "python benchmarks/guess_glossary.py MODEL"
    write_json(asked.out / "guess_glossary.json", {"command": command, "rows": rows, "environment": environment()})
    write_text(asked.out / "guess_glossary.md", markdown(Table.of(rows, note=NOTE, digits=1)) + "\n")


if __name__ == "__main__":
    main()
