"""Compare two methods on the same captions: python examples/compare_methods.py [OUT]

The same as `glotclip compare RECIPE --out OUT`: every run and seed is a trial, finished trials are kept, and the
report is OUT/report.html. Only the steps are fewer than one would take.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from glotclip.compare.experiment import Experiment
from glotclip.compare.recipe import Recipe, RunEntry

RECIPE = Recipe(
    title="Rows of the token table against acquirers",
    languages=("de",),
    common={"steps": 10},
    runs=(RunEntry(name="rows", method="lexicon"), RunEntry(name="acquirers", method="acquirer")),
    intervals=0,
)


def main(folder: Path) -> None:
    """Run the trials that have no result yet, and print the report's first table."""
    experiment = Experiment.open(RECIPE, folder)
    experiment.run(experiment.unfinished())
    experiment.write_report()
    report = (folder / "report.md").read_text(encoding="utf-8").splitlines()
    print(*[line for line in report if line.startswith("|")][:4], sep="\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else name))
