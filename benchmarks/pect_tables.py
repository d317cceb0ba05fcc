"""Turn the two comparisons of PECT's modules and strategies into the tables of docs/results.md.

    python benchmarks/pect_tables.py           # reads benchmarks/results/compare_pect_*.json, writes the docs
    python benchmarks/pect_tables.py --check   # fails where the docs say something else

A table stands between ``<!-- few scores -->`` and ``<!-- /few scores -->``; nothing else is touched.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from glotclip.evaluation.tables import Table, markdown

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "results.md"
RESULTS = ROOT / "benchmarks" / "results"
STRATEGIES = ("baseline 1", "method 1", "method 2", "baseline 2", "method 3")

Numbers = Mapping[str, Mapping[str, Any]]


def score(found: Numbers) -> str:
    """R@1 over the languages learnt: mean ± deviation over seeds, and the bootstrap interval of 95 %."""
    low, high = (found[f"learnt interval {side}"]["mean"] for side in ("low", "high"))
    return f"{spread(found['learnt'])} ({low:.1f}–{high:.1f})"


def disparity(found: Numbers) -> str:
    """Standard deviation over all languages and the worst gap to English, in points."""
    return f"{found['standard deviation']['mean']:.1f}, {found['worst gap']['mean']:.1f}"


def spread(value: Mapping[str, Any]) -> str:
    """Mean ± deviation, where there are several seeds."""
    return f"{value['mean']:.1f}" + ("" if value["deviation"] is None else f" ± {value['deviation']:.1f}")


CELLS: Mapping[str, Callable[[Numbers], str]] = {"scores": score, "disparity": disparity}


def tables(scenario: str) -> dict[str, str]:
    """The tables of a comparison by their marks: modules × strategies, and what the modules cost."""
    found = json.loads((RESULTS / f"compare_pect_{scenario}.json").read_text(encoding="utf-8"))
    runs: dict[str, Numbers] = {run["name"]: run["numbers"] for run in found["runs"]}
    names = dict.fromkeys(name.rsplit(", ", 1)[0] for name in runs)
    modules = {name: [runs[f"{name}, {strategy}"] for strategy in STRATEGIES] for name in names}
    made = {
        f"{scenario} {kind}": Table.of(
            [
                {"module": name, **{strategy: cell(each) for strategy, each in zip(STRATEGIES, own, strict=True)}}
                for name, own in modules.items()
            ]
        )
        for kind, cell in CELLS.items()
    }
    languages = len(found["recipe"]["languages"])
    made[f"{scenario} costs"] = Table.of(
        [
            {
                "module": name,
                **{
                    f"{text}: {what}": shown
                    for text, each in (("own text", own[0]), ("machine English", own[3]))
                    for what, shown in (
                        ("trainable weights", f"{each['trainable weights']['mean']:,.0f}"),
                        ("share of the tower", f"{each['share of the tower']['mean']:.2f} %"),
                    )
                },
                **{
                    f"seconds a language, {strategy}": f"{each['seconds of training']['mean'] / languages:.1f}"
                    for strategy, each in zip(STRATEGIES, own, strict=True)
                },
            }
            for name, own in modules.items()
        ]
    )
    return {mark: markdown(table) for mark, table in made.items()}


def filled(text: str) -> str:
    """The docs with the tables between their marks."""
    for scenario in ("few", "full"):
        for mark, table in tables(scenario).items():
            before, opened, rest = text.partition(f"<!-- {mark} -->\n")
            _, closed, after = rest.partition(f"<!-- /{mark} -->")
            if not (opened and closed):
                sys.exit(f"{DOCS.name} has no place for the table {mark!r}")
            text = f"{before}{opened}{table.strip()}\n{closed}{after}"
    return text


def main() -> None:
    """Write the tables, or check them."""
    before = DOCS.read_text(encoding="utf-8")
    after = filled(before)
    if "--check" not in sys.argv[1:]:
        DOCS.write_text(after, encoding="utf-8")
    elif after != before:
        sys.exit(f"{DOCS.name} does not say what the results say: run python benchmarks/pect_tables.py")


if __name__ == "__main__":
    main()
