"""Which settings acquirers have by default on ``emoji-clip``, and whether they are then above embeddings alone.

    python benchmarks/acquirer_defaults.py [--limit HOURS] [--out benchmarks/results]

Needs google's images: ``glotclip data get emoji-google``. Every
candidate teaches each language alone, for 60 steps, under three seeds, and is scored on two galleries: google's
pictures, which nothing was trained on, and twemoji's, which is what a score is on where google's are not installed.
The candidate is chosen by the mean of R@1, R@5 and R@10 over the **validation** concepts alone, whose names are never
taught, on both galleries; the other columns are what the choice is worth and had no part in it. Finished cells are
kept, so a run that was stopped goes on.
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
from glotclip.api.common import PolyglotEncoder, gallery_features
from glotclip.data.sources.emoji_dataset import EmojiDataset
from glotclip.evaluation import retrieval
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.packs.polyglot import Polyglot
from glotclip.scores import headline
from glotclip.storage import write_json, write_text

LANGUAGES = ("de", "zh", "ru", "tr")
GALLERIES = ("google", "twemoji")
CHOICE = "validation, mean recall"
SUBSETS = ("validation", "all", "seen", "unseen")
STEPS = 60
RIVAL = "lexicon, its defaults"
CANDIDATES: dict[str, dict[str, Any]] = {
    "both losses at once, pictures 1": {"stages": [], "cross_modal": 1.0},
    "both losses at once, pictures 0.1": {"stages": [], "cross_modal": 0.1},
    "NLT, then LE with the MSE": {"stages": ["nlt", {"stage": "le", "temperature": 0.07, "cross_lingual": 1.0}]},
}


def main() -> None:
    """Run what is missing, and write the table over what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=24.0, help="begin no cell after so many hours")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "glotclip-acquirer-defaults")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    began = time.monotonic()
    for seed in range(arguments.seeds):
        for name in (RIVAL, *CANDIDATES):
            done = arguments.work / f"{name.replace(' ', '-').replace(',', '')}-{seed}.json"
            if not done.exists():
                if time.monotonic() - began > 3600 * arguments.limit:
                    print("stopped before", name, seed)
                    return
                write_json(done, cell(name, seed))
            records.append(json.loads(done.read_text(encoding="utf-8")))
            print(name, seed, {gallery: shown(records[-1], gallery) for gallery in GALLERIES}, flush=True)
    report(records, arguments.out)


def cell(name: str, seed: int) -> dict[str, Any]:
    """Teach every language with one candidate under one seed; mean R@1 of both directions by gallery and subset."""
    method = "lexicon" if name == RIVAL else "acquirer"
    settings = {"steps": STEPS, "seed": seed, **CANDIDATES.get(name, {})}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = api.extend(
            "emoji-clip", LANGUAGES, data="emoji-cldr", method=method, out=folder, settings=settings, benchmark=False
        )
        seconds = time.monotonic() - began
        model = run.load()
        encoder = Remembering(PolyglotEncoder(model))
        scores = {gallery: _scored(model, encoder, gallery) for gallery in GALLERIES}
    return {
        "run": name,
        "method": method,
        "settings": settings,
        "seed": seed,
        "seconds": round(seconds, 1),
        "scores": scores,
    }


class Remembering:
    """An encoder that encodes no text twice: the galleries are asked with the same names."""

    def __init__(self, encoder: retrieval.TextEncoder) -> None:
        self._encoder, self._known = encoder, dict[tuple[str, tuple[str, ...]], Any]()

    def encode_text(self, texts: Sequence[str], lang: str) -> Any:
        """Features (M, E) of texts in one language."""
        key = (lang, tuple(texts))
        if key not in self._known:
            self._known[key] = self._encoder.encode_text(texts, lang)
        return self._known[key]


def _scored(model: Polyglot, encoder: retrieval.TextEncoder, gallery: str) -> dict[str, dict[str, float]]:
    """Scores of every language on one gallery: R@1 by subset, and what candidates are chosen by."""
    benchmark = EmojiDataset(gallery, "cldr").benchmark(LANGUAGES)
    features = gallery_features(model, benchmark, None, lambda what, done, total: None)
    result = retrieval.evaluate(encoder, benchmark, image_features=features.array, image_rows=features.rows, draws=0)
    return {
        code: {subset: round(headline(each if subset == "all" else each["subsets"][subset]), 4) for subset in SUBSETS}
        | {CHOICE: each["subsets"]["validation"]["mean_recall"]}
        for code, each in result["languages"].items()
    }


def shown(record: Mapping[str, Any], gallery: str) -> dict[str, float]:
    """A cell's scores on one gallery, averaged over languages."""
    scores = record["scores"][gallery].values()
    return {subset: round(statistics.mean(each[subset] for each in scores), 2) for subset in (CHOICE, *SUBSETS)}


def chosen(records: Sequence[Mapping[str, Any]]) -> str:
    """The candidate that is best on validation concepts: mean over galleries, languages and seeds."""
    return max(CANDIDATES, key=lambda name: _validation([each for each in records if each["run"] == name]))


def _validation(records: Sequence[Mapping[str, Any]]) -> float:
    return statistics.mean(shown(record, gallery)[CHOICE] for record in records for gallery in GALLERIES)


def report(records: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write the cells as JSON and two tables as Markdown: the choice, and the defaults language by language."""
    best = chosen(records)
    rows = []
    for name in (RIVAL, *CANDIDATES):
        own = [record for record in records if record["run"] == name]
        row: dict[str, Any] = {
            "run": f"{name} (chosen)" if name == best else name,
            CHOICE: f"{_validation(own):.2f}",
        }
        for gallery in GALLERIES:
            each = [shown(record, gallery) for record in own]
            for subset in ("validation", "all"):
                values = [scores[subset] for scores in each]
                row[f"{gallery}: {subset}"] = f"{statistics.mean(values):.1f} ± {statistics.pstdev(values):.1f}"
        rows.append(row)
    note = (
        f"R@1 in %, mean of both directions, over {', '.join(LANGUAGES)}; {STEPS} steps; mean ± deviation over seeds."
    )
    text = markdown(Table.of(rows, note=note)) + "\n" + markdown(_by_language(records, best))
    write_json(
        out / "acquirer_defaults.json",
        {
            "command": "python benchmarks/acquirer_defaults.py",
            "chosen": best,
            "candidates": CANDIDATES,
            "cells": list(records),
            "environment": environment(),
        },
    )
    write_text(out / "acquirer_defaults.md", text)
    print(text)


def _by_language(records: Sequence[Mapping[str, Any]], best: str) -> Table:
    rows = []
    for gallery in GALLERIES:
        for name in (RIVAL, best):
            own = [record["scores"][gallery] for record in records if record["run"] == name]
            means = {code: statistics.mean(scores[code]["all"] for scores in own) for code in LANGUAGES}
            rows.append({"gallery": gallery, "run": name, **{code: f"{value:.1f}" for code, value in means.items()}})
    return Table.of(rows, note="R@1 in % over all concepts, mean of both directions and of the seeds.")


if __name__ == "__main__":
    main()
