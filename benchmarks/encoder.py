"""A multilingual text encoder taught to give ``photo-clip``'s features: German and French, solved and trained on.

    python benchmarks/encoder.py [--data ../shared/data] [--out benchmarks/results]
    python benchmarks/encoder.py --choose    (which learning rate, on Multi30K's validation captions)

The student is multilingual-e5-small (``encoder=photo-e5``); one pack serves both languages. It learns from 1,000
sentences of Tatoeba and 2,000 captions of Multi30K's training split a language: from their English alone, or from
both. *Solved* is the projection by ridge regression without a step; then its last two layers train. Beside it are the
student untrained, as the base ``photo-e5``, and English asked of ``photo-clip`` itself, the ceiling.

Labels: R@K, text → image, of the photographs' class names among 500 photographs. Captions: R@1, the mean of both
directions, of Multi30K's test_2016_flickr against its English under the base. Seconds are of one thread.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import glotclip
from glotclip import api
from glotclip.evaluation.metrics import image_to_text_ranks, recall_at, text_to_image_ranks
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_json, write_text

LANGUAGES = {"de": "deu", "fr": "fra"}
CAPTIONS, SEED, VALIDATED = 2000, 0, 400
STEPS, BATCH = 80, 64
SETTINGS: dict[str, Any] = {
    "encoder": "photo-e5", "isolation": "shared", "encoder_pairs": 5000, "batch_size": BATCH, "encoder_layers": 2,
    "lr": 1e-3,  # the best of --choose, which differ by little
}  # fmt: skip
TOLD = {"english": "English alone", "both": "parallel text"}
RATES = (3e-5, 1e-4, 3e-4, 1e-3)


class Data(NamedTuple):
    """Where the data lies."""

    root: Path

    def captions(self, split: str, code: str) -> list[str]:
        """Multi30K's captions of a split, in the order of the images."""
        path = self.root / "multi30k" / "human" / f"{split}.{code}.gz"
        return gzip.decompress(path.read_bytes()).decode().splitlines()

    def table(self, folder: Path) -> Path:
        """The training pairs of both languages as a table."""
        chosen = sorted(random.Random(SEED).sample(range(len(self.captions("train", "en"))), CAPTIONS))
        file = folder / "pairs.tsv"
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, delimiter="\t")
            writer.writerow(["lang", "text", "english"])
            for code, name in LANGUAGES.items():
                theirs, english = (
                    (self.root / "tatoeba" / f"tatoeba.{name}-eng.{side}").read_text(encoding="utf-8").splitlines()
                    for side in (name, "eng")
                )
                own, their_english = self.captions("train", code), self.captions("train", "en")
                writer.writerows([code, *pair] for pair in zip(theirs, english, strict=True))
                writer.writerows([code, own[place], their_english[place]] for place in chosen)
        return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--choose", action="store_true", help="try learning rates on validation captions")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data, scratch = Data(asked.data), Path(tempfile.mkdtemp())
    table = data.table(scratch)
    rows = choose(data, table, scratch) if asked.choose else measure(data, table, scratch)
    name = "encoder_choice" if asked.choose else "encoder"
    command = f"python benchmarks/encoder.py{' --choose' * asked.choose}"
    total = round(cpu_seconds())
    results = {"command": command, "cpu_seconds": total, "rows": rows, "environment": environment()}
    note = f"`{command}`, {total} CPU-seconds in all. {'Validation captions alone.' if asked.choose else ''}".strip()
    write_json(asked.out / f"{name}.json", results)
    write_text(asked.out / f"{name}.md", markdown(Table.of(rows, note=note, digits=1)) + "\n")


def measure(data: Data, table: Path, scratch: Path) -> list[dict[str, Any]]:
    """The rows of the table."""
    base = glotclip.load("photo-clip", device="cpu")
    images, english = photographs(base, data), base.encode_text(data.captions("test_2016_flickr", "en"))
    rows = [{"model": "photo-clip, asked in English", **labels(base, images, data, "en")}]
    show(rows)
    e5 = glotclip.load("photo-e5", device="cpu")
    rows.append(
        {
            "model": "photo-e5, untrained",
            **scores(e5, photographs(e5, data), e5.encode_text(data.captions("test_2016_flickr", "en")), data),
        }
    )
    show(rows)
    del e5
    for learns in ("english", "both"):
        out = scratch / learns
        for steps in (0, STEPS):
            began = cpu_seconds()
            teach(out, base.source, table, scratch, learns=learns, steps=steps)
            seconds = cpu_seconds() - began
            model = glotclip.load(out, device="cpu")
            told = f"{TOLD[learns]}, {f'then {steps} steps' if steps else 'solved'}"
            rows.append({"model": told, **scores(model, images, english, data), "CPU-s": round(seconds)})
            show(rows)
    return rows


def choose(data: Data, table: Path, scratch: Path) -> list[dict[str, Any]]:
    """R@1 of validation captions by learning rate, from one solved start."""
    base = glotclip.load("photo-clip", device="cpu")
    english = base.encode_text(data.captions("val", "en")[:VALIDATED])
    teach(scratch / "solved", base.source, table, scratch, learns="both", steps=0)
    rows: list[dict[str, Any]] = []
    for rate in (None, *RATES):
        out = scratch / "solved"
        if rate is not None:
            out = Path(shutil.copytree(out, scratch / f"rate-{rate}"))
            teach(out, base.source, table, scratch, learns="both", steps=STEPS // 2, lr=rate)
        model = glotclip.load(out, device="cpu")
        found = {code: captions(model, code, data.captions("val", code)[:VALIDATED], english) for code in LANGUAGES}
        rows.append({"lr": "solved, no step" if rate is None else f"{rate:g}, {STEPS // 2} steps", **found})
        show(rows)
    return rows


def teach(out: Path, base: str, table: Path, scratch: Path, *, lr: float | None = None, **settings: Any) -> None:
    """Teach both languages at once; a folder that is there goes on learning."""
    values = {**SETTINGS, **settings, **({} if lr is None else {"lr": lr})}
    api.extend(
        out if out.exists() else base, list(LANGUAGES), data=table, out=out, method="encoder", joint=True,
        settings=values, benchmark=False, device="cpu", cache=scratch / "cache", continue_learning=out.exists(),
    )  # fmt: skip


def scores(model: Polyglot, images: torch.Tensor, english: torch.Tensor, data: Data) -> dict[str, float]:
    """Labels and captions of both languages."""
    found: dict[str, float] = {}
    for code in LANGUAGES:
        found |= labels(model, images, data, code)
        found[f"{code} captions"] = captions(model, code, data.captions("test_2016_flickr", code), english)
    return found


def photographs(model: Polyglot, data: Data) -> torch.Tensor:
    return model.encode_image([data.root / "photos" / fact["file"] for fact in facts(data)])


def facts(data: Data) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads((data.root / "photos" / "photos.json").read_text(encoding="utf-8"))
    return read


def labels(model: Polyglot, images: torch.Tensor, data: Data, code: str) -> dict[str, float]:
    """R@1 and R@5 of the classes' labels in a language, among all photographs."""
    named = {fact["class_index"]: fact["name"] for fact in facts(data)}
    if code != "en":
        every = json.loads((data.root / "photos" / "labels.json").read_text(encoding="utf-8"))
        named = {int(index): label for index, label in every[code.upper()].items()}
    owners = [place for place, fact in enumerate(facts(data)) if fact["class_index"] in named]
    texts = model.encode_text([named[facts(data)[place]["class_index"]] for place in owners], code)
    ranks = text_to_image_ranks(texts.numpy(), images.numpy(), np.array(owners))
    return {f"{code} R@{k}": round(recall_at(ranks, k), 1) for k in (1, 5)}


def captions(model: Polyglot, code: str, texts: list[str], english: torch.Tensor) -> float:
    """R@1 of captions and their English, the mean of both directions."""
    own, owner = model.encode_text(texts, code).numpy(), np.arange(len(texts))
    both = (text_to_image_ranks(own, english.numpy(), owner), image_to_text_ranks(own, english.numpy(), owner))
    return round(sum(recall_at(ranks, 1) for ranks in both) / 2, 1)


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def show(rows: list[dict[str, Any]]) -> None:
    print(rows[-1], flush=True)


if __name__ == "__main__":
    main()
