"""Learning rates for the papers' systems on photographs, chosen on validation classes.

    python benchmarks/photo_papers_choice.py [--data ../shared/data] > benchmarks/results/photo_papers_choice.txt

The classes of the photographs are divided by a fixed draw (``glotclip.data.view.divide``): a tenth to train on, a
tenth for validation, the others for the tables of docs/results.md, which nothing here looks at. R@1 in %, mean of
both directions among the validation classes, one seed. ``--only`` chooses some by their titles.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glotclip.api.extending import extend
from glotclip.data.dataset import open_dataset
from glotclip.data.view import View, ViewedDataset, validation

SHOTS = 40
PECT = {"shots": SHOTS, "batch_size": SHOTS, "steps": 40, "norms": True, "embedding": "base"}
ALIGNED = {**PECT, "target_encoder": "trained"}
TABLE = {"isolation": "shared", "vocabulary": 0, "own_vocabulary": False, "glossary": 0, "initial_rows": "drawn"}
SHARED = {**TABLE, "steps": 40, "batch_size": 64}
# Model, language, what it learns from, method, settings.
TRIED: dict[str, tuple[str, str, str, str, dict[str, Any]]] = {
    "LoRA, method 1": ("photo-e5", "fi", "photos", "lora", ALIGNED),
    "LoRA, baseline 1": ("photo-e5", "fi", "photos", "lora", {**PECT, "cross_lingual": 0}),
    "prefix, method 1": ("photo-e5", "fi", "photos", "prefix", ALIGNED),
    "full, method 1": ("photo-e5", "fi", "photos", "full", {**ALIGNED, "norms": False}),
    "CLL-CLIP": ("photo-clip", "fi", "freedict", "lexicon", {**SHARED, "teir": False}),
    "MLA": ("photo-clip", "fi", "freedict", "acquirer", {**SHARED, "teir": False, "english": "taught"}),
}
RATES = (0.0001, 0.0003, 0.001, 0.003)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="*", default=list(TRIED))
    asked = parser.parse_args()
    photos = ViewedDataset(open_dataset(asked.data / "photos"), View(shots=SHOTS), None)
    for title in asked.only:
        model, lang, source, method, settings = TRIED[title]
        classes = validation(photos, [lang, "en"])
        data = str(asked.data / "photos") if source == "photos" else source
        for lr in RATES:
            with TemporaryDirectory() as folder:
                out = Path(folder) / "model"
                made = extend(
                    model, lang, data=data, method=method, settings={**settings, "lr": lr}, out=out, benchmark=classes
                )
            scores = list(made.evaluations.values())[-1]
            said = ", ".join(
                f"{code} {(part['text_to_image']['r@1'] + part['image_to_text']['r@1']) / 2:.1f}"
                for code, part in scores.items()
                if code in (lang, "en")
            )
            print(f"{title}, lr={lr:g}: {said}", flush=True)


if __name__ == "__main__":
    main()
