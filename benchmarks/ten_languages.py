"""Ten languages one after another on emoji: what they reach, and what the earlier ones lose.

    python benchmarks/ten_languages.py [--seeds 3] [--out benchmarks/results]

Needs google's images: ``glotclip data get emoji-google``. Every
model is evaluated on the pictures of an artist that none was trained on, over all 1,644 concepts, after every
language. Resumable: a finished or interrupted run is not repeated. About two minutes a run on two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from glotclip import api
from glotclip.data.sources.emoji_dataset import EmojiDataset
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.scores import DIRECTIONS, headline
from glotclip.storage import write_json, write_text

LANGUAGES = ("de", "zh", "ru", "ar", "sw", "th", "fi", "ja", "hi", "tr")
SAME_SCRIPT = ("de", "sw", "fi", "tr")  # these share English's letters, hence most of its rows
PAPER = {"teir_damps": "gradient", "teir_strength": 1.0}
RUNS: dict[str, dict[str, Any]] = {
    "plain fine-tuning": {"isolation": "shared", "teir": False},
    "TEIR": {"isolation": "shared"},
    "per language": {"isolation": "per-language"},
    "TEIR as in the paper": {"isolation": "shared", **PAPER},
    "per language, 150 steps": {"isolation": "per-language", "steps": 150},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "glotclip-ten-languages")
    arguments = parser.parse_args()
    dataset = EmojiDataset("google", "cldr")
    base = api.load("emoji-clip")
    records: list[dict[str, Any]] = []
    for title, settings in RUNS.items():
        for seed in range(arguments.seeds):
            folder = arguments.work / f"{title.replace(' ', '-').replace(',', '')}-{seed}"
            done = arguments.work / f"{folder.name}.json"
            if not done.exists():
                began = time.monotonic()
                run = api.extend(
                    base, LANGUAGES, data=dataset, out=folder, settings={**settings, "seed": seed}, progress=_quiet
                )
                seconds = time.monotonic() - began
                write_json(done, {"title": title, "seed": seed, "seconds": seconds, "scores": run.evaluations})
            records.append(json.loads(done.read_text(encoding="utf-8")))
            print(title, seed, _numbers(records[-1]), flush=True)
    table = _table(records)
    write_json(
        arguments.out / "ten_languages.json",
        {
            "command": "python benchmarks/ten_languages.py",
            "protocol": dataset.benchmark(["en"]).protocol,
            "settings": RUNS,
            "runs": [{**record, "scores": _compact(record["scores"])} for record in records],
            "environment": environment(),
        },
    )
    write_text(arguments.out / "ten_languages.md", table)
    print(table)


def _quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _compact(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """R@1 as [text → image, image → text, seen, unseen] (the latter two are means of both directions)."""
    return {
        task: {
            code: [*(each[direction]["r@1"] for direction in DIRECTIONS), *_subsets(each)]
            for code, each in by.items()
        }
        for task, by in scores.items()
    }


def _subsets(scores: Mapping[str, Any]) -> list[float]:
    return [round(headline(scores["subsets"][name]), 4) for name in ("seen", "unseen")]


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The figures of one run, in points of R@1 (mean of both directions)."""
    matrices = {name: _matrix(record["scores"], name) for name in (None, "seen", "unseen")}
    whole = matrices[None]
    end, start = whole.rows[-1], whole.rows[0]
    lost = {code: whole.at(whole.known_since(code), code) - end[code] for code in whole.languages}
    return {
        "average": statistics.mean(end[code] for code in LANGUAGES),
        "seen": statistics.mean(matrices["seen"].rows[-1][code] for code in LANGUAGES),
        "unseen": statistics.mean(matrices["unseen"].rows[-1][code] for code in LANGUAGES),
        "right after learning": statistics.mean(whole.at(whole.known_since(code), code) for code in LANGUAGES),
        "English before": start["en"],
        "English after": end["en"],
        "English loses": lost["en"],
        "de, sw, fi lose": statistics.mean(lost[code] for code in SAME_SCRIPT[:-1]),  # tr is learnt last
        "all lose": statistics.mean(lost[code] for code in LANGUAGES[:-1]),
        "seconds": record["seconds"],
    }


def _matrix(scores: Mapping[str, Any], subset: str | None) -> AccuracyMatrix:
    matrix = api.accuracy_matrix(scores, subset)
    assert matrix is not None
    return matrix


def _table(records: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for title in RUNS:
        numbers = [_numbers(record) for record in records if record["title"] == title]
        row: dict[str, Any] = {"setting": title}
        for name in numbers[0]:
            values = [each[name] for each in numbers]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            row[name] = (
                f"{statistics.mean(values):.1f} ± {spread:.1f}" if spread else f"{statistics.mean(values):.1f}"
            )
        rows.append(row)
    note = "R@1 in %, mean of both directions, google's pictures of all 1,644 concepts; mean ± deviation over seeds."
    return markdown(Table.of(rows, title="Ten languages in sequence", note=note))


if __name__ == "__main__":
    main()
