"""Write the tables of docs/ from the committed results, narrow enough to be read there.

    python benchmarks/docs_tables.py           # reads benchmarks/results/, writes the docs
    python benchmarks/docs_tables.py --check   # fails where the docs say something else

A table stands between ``<!-- few scores -->`` and ``<!-- /few scores -->``; nothing else is touched.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
STRATEGIES = ("baseline 1", "method 1", "method 2", "baseline 2", "method 3")
PHOTOGRAPHED = ("photos", "photos_full", "captions")
LEAST = 20  # labels that a language must have to count in a mean
NAMED = 9  # languages that a cell lists; of more it gives the number

Numbers = Mapping[str, Mapping[str, Any]]
Rows = Sequence[Sequence[str]]


def main() -> None:
    """Write the tables, or check them."""
    for page in PAGES:
        path = ROOT / "docs" / page
        before = path.read_text(encoding="utf-8")
        after = filled(page, before)
        if "--check" not in sys.argv[1:]:
            path.write_text(after, encoding="utf-8")
        elif after != before:
            sys.exit(f"{page} does not say what the results say: run python benchmarks/docs_tables.py")


def filled(page: str, text: str) -> str:
    """A page of the docs with the tables between their marks."""
    for mark, rows in PAGES[page]().items():
        before, opened, rest = text.partition(f"<!-- {mark} -->\n")
        _, closed, after = rest.partition(f"<!-- /{mark} -->")
        if not (opened and closed):
            sys.exit(f"{page} has no place for the table {mark!r}")
        text = f"{before}{opened}{markdown(rows)}{closed}{after}"
    return text


def markdown(rows: Rows) -> str:
    """A table whose first row is its head; cells are not padded, which keeps lines short."""
    head, *body = ["| " + " | ".join(row) + " |\n" for row in rows]
    return head + "|" + " --- |" * len(rows[0]) + "\n" + "".join(body)


def committed(name: str) -> list[list[str]]:
    """The first table of a committed page, head first."""
    lines = (RESULTS / name).read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [rows[0], *rows[2:]]


def results() -> dict[str, Rows]:
    """The tables of docs/results.md: settings of ten languages as columns, and PECT's comparisons."""
    return {
        "table": list(zip(*committed("ten_languages.md"), strict=True)),
        "unseen names": unseen(),
        "photo languages": photo_languages(),
        "photo parts": photo_parts(),
        "hundred": hundred(),
        "starts": starts(),
        **pect("few"),
        **pect("full"),
        **{f"{scenario} scores": pect(scenario)[f"{scenario} scores"] for scenario in PHOTOGRAPHED},
        "sequence": sequence("sequence"),
        "stages": sequence("mla"),
    }


def unseen() -> Rows:
    """Taught and unseen names of emoji by language: the model, and the averages of its rivals."""
    head, *body = committed("emoji_unseen.md")
    return [
        head[1:],
        *(row[1:] for row in body if row[0] == "emoji-clip" and (row[2] == "taught" or row[1] == "average")),
    ]


def text() -> dict[str, Rows]:
    """The table of docs/text.md: forms, with few languages named."""
    head, *body = committed("text_forms.md")
    short = [[form, _few(codes.split()), *scores] for form, codes, *scores in body]
    return {"forms": [head, *short]}


def _few(codes: Sequence[str]) -> str:
    return " ".join(codes) if len(codes) <= NAMED else f"{len(codes)} languages"


def pect(scenario: str) -> dict[str, Rows]:
    """The tables of a comparison by their marks: modules × strategies, and what the modules cost."""
    found = json.loads((RESULTS / f"compare_pect_{scenario}.json").read_text(encoding="utf-8"))
    runs: dict[str, Numbers] = {run["name"]: run["numbers"] for run in found["runs"]}
    names = dict.fromkeys(name.rsplit(", ", 1)[0] for name in runs if name.endswith(STRATEGIES))
    modules = {name: [runs[f"{name}, {strategy}"] for strategy in STRATEGIES] for name in names}
    languages = len(found["recipe"]["languages"])

    def seconds(found: Numbers) -> str:
        return f"{found['seconds of training']['mean'] / languages:.1f}"

    cells = {"scores": score, "intervals": interval, "disparity": disparity, "seconds": seconds}
    made: dict[str, Rows] = {f"{scenario} {kind}": _modules(modules, cell) for kind, cell in cells.items()}
    head = [f"{text}: {what}" for text in ("own text", "machine English") for what in ("weights", "share")]
    costs = [[name, *weights(own[0]), *weights(own[3])] for name, own in modules.items()]
    return {**made, f"{scenario} costs": [["module", *head], *costs]}


def sequence(recipe: str) -> Rows:
    """Ten languages in sequence on photographs: what is learnt, and what English loses."""
    runs = json.loads((RESULTS / f"compare_{recipe}_photos.json").read_text(encoding="utf-8"))["runs"]
    columns = {"learnt": "learnt", "en before": "English before", "en after": "English after", "MB a language": "MB"}
    rows = [[run["name"], *(_spread(run["numbers"][key]) for key in columns)] for run in runs]
    return [["", *columns.values()], *rows]


def _spread(value: Mapping[str, Any]) -> str:
    return f"{value['mean']:.1f}" + ("" if not value["deviation"] else f" ± {value['deviation']:.1f}")


def _modules(modules: Mapping[str, Sequence[Numbers]], cell: Callable[[Numbers], str]) -> Rows:
    return [["module", *STRATEGIES], *([name, *map(cell, own)] for name, own in modules.items())]


def score(found: Numbers) -> str:
    """R@1 over the languages learnt: mean, and deviation over seeds where there are several."""
    value = found["learnt"]
    return f"{value['mean']:.1f}" + ("" if value["deviation"] is None else f" ± {value['deviation']:.1f}")


def interval(found: Numbers) -> str:
    """The bootstrap's interval of 95 % around the score."""
    low, high = (found[f"learnt interval {side}"]["mean"] for side in ("low", "high"))
    return f"{low:.1f}–{high:.1f}"


def disparity(found: Numbers) -> str:
    """Standard deviation over all languages and the worst gap to English, in points."""
    return f"{found['standard deviation']['mean']:.1f}, {found['worst gap']['mean']:.1f}"


def weights(found: Numbers) -> tuple[str, str]:
    """Trainable weights, and their share of the tower."""
    return f"{found['trainable weights']['mean']:,.0f}", f"{found['share of the tower']['mean']:.2f} %"


def encoders() -> dict[str, Rows]:
    """The table of text encoders."""
    head = ["", "de labels", "fr labels", "de captions", "fr captions", "CPU-s"]
    rows = []
    for row in json.loads((RESULTS / "encoder.json").read_text(encoding="utf-8"))["rows"]:
        if "de R@1" in row:
            labels = [f"{row[f'{code} R@1']} / {row[f'{code} R@5']}" for code in ("de", "fr")]
            captions = [str(row[f"{code} captions"]) for code in ("de", "fr")]
            rows.append([row["model"], *labels, *captions, str(row.get("CPU-s", ""))])
    return {"encoders": [head, *rows]}


def pack_sizes() -> Rows:
    """How small packs may be."""
    head = ["", "rows", "bytes a row", "entries", "MB", "R@1 / R@5", "of the best R@5"]
    found = json.loads((RESULTS / "pack_sizes.json").read_text(encoding="utf-8"))["rows"]
    rows = [
        [
            row["language"], row["rows"], f"{row['bytes a row']:,}", f"{row['entries']:,}", f"{row['MB']:.1f}",
            f"{row['R@1']:.1f} / {row['R@5']:.1f}", f"{row['kept']:.1f} %",
        ]
        for row in found
    ]  # fmt: skip
    return [head, *rows]


WAYS = {
    "drawn rows": "drawn",
    "mean of translations": "mean",
    "solved rows": "solved",
    "solved rows, glossary": "glossary",
    "… and sentences": "sentences",
    "… and lessons of 1 min": "1 min",
    "… and lessons of 3 min": "3 min",
    "dictionary:freedict": "dictionary",
    "base:photo-e5": "e5",
}


def photo_languages() -> Rows:
    """Languages on photo-clip: ways and rivals as columns, R@1/R@5 of each language."""
    found = json.loads((RESULTS / "photo_languages.json").read_text(encoding="utf-8"))["rows"]
    cells = {(row["what"], row["language"]): f"{row['R@1']:.1f}/{row['R@5']:.1f}" for row in found}
    languages = dict.fromkeys(row["language"] for row in found)
    return [
        ["", *WAYS.values()],
        *([lang, *(cells.get((way, lang), "") for way in WAYS)] for lang in languages),
    ]


def hundred() -> Rows:
    """A hundred languages, by what they are learnt from: how many, and the means over them."""
    found = json.loads((RESULTS / "hundred.json").read_text(encoding="utf-8"))["rows"]
    asked = [row for row in found if row["queries"] >= LEAST]
    groups = {
        "a dictionary": [row for row in asked if "freedict" in row["from"]],
        "names and sentences": [row for row in asked if row["from"].count("+") and "freedict" not in row["from"]],
        "names or sentences": [row for row in asked if "+" not in row["from"]],
    }
    head = [
        "learnt from",
        "languages",
        "R@1 / R@5",
        "dictionary",
        "e5",
        "beats the dictionary",
        "beats e5",
        "s",
        "MB",
    ]
    rows = []
    for title, some in groups.items():
        means = [_mean(some, f"{who}R@1") + " / " + _mean(some, f"{who}R@5") for who in ("", "dictionary ", "e5 ")]
        beaten = [str(sum(row["R@5"] > row[f"{who} R@5"] for row in some)) for who in ("dictionary", "e5")]
        rows.append([title, str(len(some)), *means, *beaten, _mean(some, "seconds"), _mean(some, "MB")])
    return [head, *rows]


def _mean(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    return f"{sum(row[key] for row in rows) / len(rows):.1f}"


def starts() -> Rows:
    """Starts of rows by steps: R@1 of the languages learnt, on taught names and on others."""
    found = json.loads((RESULTS / "compare_starts.json").read_text(encoding="utf-8"))["runs"]
    numbers = {tuple(run["name"].split(", ")): run["numbers"] for run in found}
    steps = dict.fromkeys(count for _, count in numbers)
    return [
        ["start", *(f"{count} steps" for count in steps)],
        *(
            [f"{start} rows", *(score(numbers[start, count]) for count in steps)]
            for start in ("drawn", "mean", "solved")
        ),
    ]


def photo_parts() -> Rows:
    """Known and unknown labels, captions, seconds and megabytes of the way that photo-clip recommends."""
    found = json.loads((RESULTS / "photo_languages.json").read_text(encoding="utf-8"))["rows"]
    head = ["", "way", "known", "R@1 / R@5", "unknown", "R@1 / R@5", "captions", "CPU-s", "MB"]
    rows = []
    for row in found:
        if row["what"] in ("… and sentences", "… and lessons of 1 min", "dictionary:freedict"):
            parts = [
                cell
                for part in ("known", "unknown")
                for cell in (
                    str(row.get(part, "")),
                    f"{row.get(f'{part} R@1', 0):.1f} / {row.get(f'{part} R@5', 0):.1f}",
                )
            ]
            rest = [f"{row[key]:.1f}" if key in row else "" for key in ("captions", "CPU-s", "MB")]
            rows.append([row["language"], WAYS[row["what"]], *parts, *rest])
    return [head, *rows]


def bases() -> dict[str, Rows]:
    """The table of docs/bases.md."""
    head = ["base", "known R@1 / R@5", "withheld R@1 / R@5", "kinds P@5 / P@10", "withheld kinds P@5", "MB"]
    found = json.loads((RESULTS / "photo_base.json").read_text(encoding="utf-8"))["rows"]
    rows = [
        [
            f"`{row['base']}`", f"{row['known R@1']} / {row['known R@5']}",
            f"{row['withheld R@1']} / {row['withheld R@5']}", f"{row['kinds P@5']} / {row['kinds P@10']}",
            str(row["withheld kinds P@5"]), f"{row['MB on disk']:.0f}",
        ]
        for row in found
    ]  # fmt: skip
    return {"photo bases": [head, *rows]}


def engines() -> Rows:
    """Time and memory of engines."""
    head = ["vectors", "engine", "query, ms (p99)", "among a tenth, ms", "recall@10", "build, s", "MB"]
    found = json.loads((RESULTS / "search.json").read_text(encoding="utf-8"))["rows"]
    rows = [
        [
            f"{row['vectors']:,}", row["engine"], f"{row['p50']:.1f} ({row['p99']:.1f})",
            f"{row['tenth p50']:.1f}" if "tenth p50" in row else "", f"{row['recall@10']:.3f}", f"{row['build']:.1f}",
            f"{row['MB']:.0f}",
        ]
        for row in found
    ]  # fmt: skip
    return [head, *rows]


def deploy() -> dict[str, Rows]:
    """The table of docs/deploy.md."""
    return {"cold start": committed("cold_start.md")}


def library() -> dict[str, Rows]:
    """The tables of docs/library.md: how often nothing is said to match, without the precision; engines."""
    return {"cutoff": [row[:7] for row in committed("cutoff.md")], "engines": engines()}


def methods() -> dict[str, Rows]:
    """The tables of docs/methods.md."""
    return {**encoders(), "pack sizes": pack_sizes()}


def serve() -> dict[str, Rows]:
    """The table of docs/serve.md."""
    return {"serve": committed("serve.md")}


PAGES: Mapping[str, Callable[[], dict[str, Rows]]] = {
    "results.md": results,
    "text.md": text,
    "methods.md": methods,
    "bases.md": bases,
    "serve.md": serve,
    "deploy.md": deploy,
    "library.md": library,
}


if __name__ == "__main__":
    main()
