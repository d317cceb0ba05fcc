"""Heads that a base of photographs could have, among 250 photographs by which none was chosen.

    python benchmarks/photo_heads.py [--photos ../shared/data/photos] [--out benchmarks/results]

Figures are those of ``benchmarks/photo_base.py``, of ``photo-clip``. Heads were devised while looking at every other
photograph, the first of all among them, and their settings chosen without one (``tools/choose_photo_table.py``);
these are the others. Compared with the head that ships are

- the table of version 0.1.0, and today's without its regression;
- other temperatures of the softmax, and only the first 10 classes of it;
- the mean of the scores of several views of a photograph: mirrored, and the whole frame, squashed;
- a second head beside it: kernel ridge regression from texts to rows of the classifier, with kinds as more anchors,
  k(s, t) = exp((cos(s, t) − 1) / 0.5), λ = 0.1; cosines of both are added with weights a and 1 − a. Features would
  have 384 + 1,281 numbers, and 4 MB more would ship.

Shapes: N pictures, C classes, K kinds, E embedding, D features of the classifier.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

import glotclip
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.models.classifier_tower import ClassifierTower
from glotclip.storage import write_json, write_text

sys.path.append(str(Path(__file__).parents[1] / "tools"))
from choose_photo_table import FOLDS, Cosines, Judge, overall
from make_photo_table import (
    CHOSEN,
    FORMER,
    MOST_CLASSES,
    WORDNET,
    Ingredients,
    Kinds,
    Texts,
    classifier,
    read_classes,
    read_wordnet,
    unit,
)

BASE = "photo-clip"
WIDTH, RIDGE = 0.5, 0.1
NOTE = (
    "photo-clip, text → image, R@K and P@K in %, English names among 250 photographs, one a class, by which nothing "
    "was chosen. A standard error is about 2 points, 1.5 for a difference; views is how often a photograph is encoded"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/photos"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="data.noun of WordNet 3.0")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rows = compare(asked.photos, asked.wordnet)
    results = {"command": "python benchmarks/photo_heads.py", "rows": rows, "environment": environment()}
    write_json(asked.out / "photo_heads.json", results)
    write_text(asked.out / "photo_heads.md", markdown(Table.of(rows, note=NOTE, digits=1)) + "\n")


def compare(photos: Path, wordnet: Path) -> list[dict[str, str | int | float]]:
    """The lines of the table."""
    facts = json.loads((photos / "photos.json").read_text(encoding="utf-8"))[1::2]
    shown = torch.tensor([fact["class_index"] for fact in facts])
    views = encoded([photos / fact["file"] for fact in facts])
    texts, nouns, places = Texts(BASE), read_wordnet(wordnet), read_classes()
    texts.kept_mean()
    kinds = Kinds(places, nouns)
    weight, bias = classifier(BASE)
    parts = Ingredients.of([nouns[place] for place in places], kinds, texts, weight)
    judge = Judge(texts([fact["name"] for fact in facts]), shown, kinds, texts)
    scores = {name: features @ weight.T + bias for name, features in views.items()}
    plain, all_views = scores["plain"], sum(scores.values(), torch.zeros(())) / 3
    chosen = CHOSEN[BASE]
    rows: list[dict[str, str | int | float]] = []

    def add(head: str, cosines: Cosines, number: int = 1) -> None:
        figures = judge.figures(cosines)
        rows.append({"head": head, "views": number, **figures, "mean of the four": overall(figures)})
        print(rows[-1], flush=True)

    for head, settings in (("0.1.0", FORMER), ("without regression", chosen._replace(firm=None))):
        (cosines,) = judge.cosines(parts, settings, [plain])
        add(head, cosines)
    tenth = plain.topk(10).values[:, -1:]
    variants = {
        "**shipped**": (plain, 1),
        **{f"temperature {heat}": (plain / heat, 1) for heat in (0.5, 0.7, 1.5, 2.0)},
        "first 10 classes": (plain.masked_fill(plain < tenth, -torch.inf), 1),
        "whole frame": (scores["whole"], 1),
        "and mirrored": ((plain + scores["mirrored"]) / 2, 2),
        "and whole frame": ((plain + scores["whole"]) / 2, 2),
        "and both": (all_views, 3),
    }
    found = list(judge.cosines(parts, chosen, [score for score, _ in variants.values()]))
    for (head, (_, number)), cosines in zip(variants.items(), found, strict=True):
        add(head, cosines, number)
    second = second_head(judge, parts, torch.cat([weight, bias[:, None]], dim=1), views["plain"])
    for share in (0.0, 0.35, 0.5, 0.7):
        both = [share * one + (1 - share) * other for one, other in zip(found[0], second, strict=True)]
        add(f"second head, a = {share}", Cosines(*both))
    return rows


def encoded(files: list[Path]) -> dict[str, torch.Tensor]:
    """The trunk's features (N, D) of photographs as the base sees them, mirrored, and of the whole frame."""
    base = glotclip.load(BASE, device="cpu").base
    tower = base.vision
    assert isinstance(tower, ClassifierTower)
    whole = replace(base.preprocess, resize="squash", scaled=None)
    features: dict[str, list[torch.Tensor]] = {"plain": [], "mirrored": [], "whole": []}
    with torch.inference_mode():
        for file in files:
            pixels = torch.from_numpy(base.preprocess.load(file))[None]
            features["plain"].append(tower.trunk(pixels)[0])
            features["mirrored"].append(tower.trunk(pixels.flip(-1))[0])
            features["whole"].append(tower.trunk(torch.from_numpy(whole.load(file))[None])[0])
    return {name: torch.cat(rows).clone() for name, rows in features.items()}


def second_head(judge: Judge, parts: Ingredients, rows: torch.Tensor, features: torch.Tensor) -> Cosines:
    """Cosines by the second head; ``rows`` (C, D + 1): weight and bias, ``features`` (N, D)."""
    wanted = rows - rows.mean(0)
    pictures = unit(torch.cat([features, torch.ones(len(features), 1)], dim=1))
    everything = torch.ones(len(rows), dtype=torch.bool), torch.ones(len(parts.kinds), dtype=torch.bool)

    def cosines(texts: torch.Tensor, classes: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
        """Of texts, where the regression knows these classes (C) and kinds (K)."""
        counts = parts.member.sum(1)
        told = kinds & (counts > 0) & (counts <= MOST_CLASSES) & ((parts.member * classes).sum(1) > 0)
        member = parts.member[told] * classes
        anchors = torch.cat([parts.names[classes], parts.kinds[told]])
        target = torch.cat([wanted[classes], member @ wanted / member.sum(1, keepdim=True)])
        ridge = RIDGE * torch.eye(len(anchors))
        solved = torch.linalg.solve(kernel(anchors, anchors) + ridge, target)
        return unit(kernel(texts, anchors) @ solved) @ pictures.T

    withheld, unknown = torch.empty(len(features), len(features)), torch.empty(len(judge.kinds), len(features))
    for fold in range(FOLDS):
        one, other = judge.class_fold[judge.shown] == fold, judge.kind_fold[judge.rows] == fold
        withheld[one] = cosines(judge.asked[one], judge.class_fold != fold, everything[1])
        unknown[other] = cosines(judge.kinds[other], everything[0], judge.kind_fold != fold)
    known, kinds, seconds = (cosines(texts, *everything) for texts in (judge.asked, judge.kinds, judge.seconds))
    return Cosines(known, withheld, kinds, seconds, unknown)


def kernel(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    return ((some @ others.T - 1) / WIDTH).exp()


if __name__ == "__main__":
    main()
