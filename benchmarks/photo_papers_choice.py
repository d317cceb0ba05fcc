"""Learning rates for the papers' systems on photographs, chosen on validation classes.

    python benchmarks/photo_papers_choice.py [--data ../shared/data] > benchmarks/results/photo_papers_choice.txt

The classes of the photographs are divided by a fixed draw (``glotclip.data.view.divide``): a tenth to train on, or
three fifths (all labels, and MLA's stages), a tenth for validation, the others for the tables of docs/results.md,
which nothing here looks at. R@1 in %, mean of both directions among the validation classes, one seed. ``--only``
chooses some by their titles. Captions are of a folder that ``benchmarks/caption_pictures.py`` writes, scored on its
validation split.
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
FULL = {"train_share": 0.6, "batch_size": 50, "steps": 100, "norms": True, "embedding": "base"}
ALIGNED_FULL = {**FULL, "target_encoder": "trained"}
CAPTIONS = {"batch_size": 50, "steps": 40, "norms": True, "embedding": "base", "target_encoder": "trained"}
TABLE = {"isolation": "shared", "vocabulary": 0, "own_vocabulary": False, "glossary": 0, "initial_rows": "drawn"}
SHARED = {**TABLE, "steps": 40, "batch_size": 64}
STAGED = {
    **TABLE, "teir": False, "english": "taught", "train_share": 0.6, "steps": 30, "batch_size": 64,
    "cross_modal": 1.0, "temperature": 0.07, "learn_temperature": False,
}  # fmt: skip
LE = {"stage": "le", "temperature": 0.07}
# Model, language, what it learns from, method, settings.
TRIED: dict[str, tuple[str, str, str, str, dict[str, Any]]] = {
    "LoRA, method 1": ("photo-e5", "fi", "photos", "lora", ALIGNED),
    "LoRA, baseline 1": ("photo-e5", "fi", "photos", "lora", {**PECT, "cross_lingual": 0}),
    "prefix, method 1": ("photo-e5", "fi", "photos", "prefix", ALIGNED),
    "full, method 1": ("photo-e5", "fi", "photos", "full", {**ALIGNED, "norms": False}),
    "all labels, LoRA, method 1": ("photo-e5", "fi", "photos", "lora", ALIGNED_FULL),
    "all labels, LoRA, baseline 1": ("photo-e5", "fi", "photos", "lora", {**FULL, "cross_lingual": 0}),
    "all labels, prefix, method 1": ("photo-e5", "fi", "photos", "prefix", ALIGNED_FULL),
    "all labels, full, method 1": ("photo-e5", "fi", "photos", "full", {**ALIGNED_FULL, "norms": False}),
    "captions, 40 shots, LoRA, method 1": ("photo-e5", "cs", "captions", "lora", ALIGNED),
    "captions, LoRA, method 1": ("photo-e5", "cs", "captions", "lora", CAPTIONS),
    "captions, prefix, method 1": ("photo-e5", "cs", "captions", "prefix", CAPTIONS),
    "captions, full, method 1": ("photo-e5", "cs", "captions", "full", {**CAPTIONS, "norms": False}),
    "CLL-CLIP": ("photo-clip", "fi", "freedict", "lexicon", {**SHARED, "teir": False}),
    "MLA": ("photo-clip", "fi", "freedict", "acquirer", {**SHARED, "teir": False, "english": "taught"}),
    "MLA, NLT": ("photo-clip", "fi", "both", "acquirer", {**STAGED, "stages": ["nlt"]}),
    "MLA, LE": ("photo-clip", "fi", "both", "acquirer", {**STAGED, "stages": [LE]}),
    "MLA, joint": ("photo-clip", "fi", "both", "acquirer", {**STAGED, "stages": []}),
}
RATES = (0.0001, 0.0003, 0.001, 0.003)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--captions", type=Path, default=Path("captions-as-pictures"))
    parser.add_argument("--only", nargs="*", default=list(TRIED))
    parser.add_argument("--rates", type=float, nargs="*", default=list(RATES))
    asked = parser.parse_args()
    labels = asked.data / "photos"
    sources = {"photos": labels, "freedict": "freedict", "both": ["freedict", labels], "captions": asked.captions}
    for title in asked.only:
        model, lang, source, method, settings = TRIED[title]
        share = settings.get("train_share")
        view = View(shots=SHOTS) if share is None else View(train_share=share)
        scored = asked.captions if source == "captions" else labels
        classes = validation(ViewedDataset(open_dataset(scored), view), [lang, "en"])
        for lr in asked.rates:
            with TemporaryDirectory() as folder:
                out = Path(folder) / "model"
                chosen = {**settings, "lr": lr}
                made = extend(
                    model, lang, data=sources[source], method=method, settings=chosen, out=out, benchmark=classes
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
