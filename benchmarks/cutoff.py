"""How well a library knows that it has nothing for a query.

    python benchmarks/cutoff.py [--photos ../shared/data/photos] [--models photo-clip …] [--choose] [--out DIR]

500 photographs, each of one ImageNet class, are asked for by the class's English name; of ``emoji-clip`` 500 emoji,
as an artist drew them whom it was not trained on (``glotclip data get emoji-google``), by their English names. A
query *has* a match while its picture is there, and has *none* when it was removed (``removed``), or when it was
removed together with all pictures whose names mean nearly the same (``removed with kin``: cosine of the names'
vectors from 0.5). ``broad`` are words that many of the pictures fit, such as "animal".
``nonsense`` are two random words of random letters. *Said* is that nothing matches: no hit is as probable as the
cutoff. The constants of a base (:class:`glotclip.models.calibration.Calibration`) are chosen by ``--choose`` on the
classes of even number, and measured on those of odd number, whose random words are others, too. Two minutes on one
core.
"""

from __future__ import annotations

import argparse
import json
import random
import string
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glotclip import api
from glotclip.data import emoji, emoji_images
from glotclip.data.features import FeatureCache
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.library.calibration import CUTOFF, Background
from glotclip.models.calibration import Calibration
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_json, write_text

KIN = 0.5
NONSENSE = 250
SMALL = 100  # photographs of the smaller libraries
BROAD = (
    "animal", "mammal", "dog", "bird", "insect", "reptile", "fish", "snake", "vehicle", "ship", "musical instrument",
    "furniture", "clothing", "tool", "food", "fruit", "building", "weapon", "machine", "container",
)  # fmt: skip
EMOJI, ARTIST, EMOJI_COUNT = "emoji-clip", "google", 500
SLOPES = np.round(np.arange(0.2, 3.01, 0.1), 2)
LOST = 0.1  # queries with a match that may be told to have none
MIDDLES = np.round(np.arange(-1.0, 8.01, 0.1), 2)
Array = NDArray[np.floating]


def excess(query: Array, photos: Array) -> float:
    """By how many deviations the best hit of a query (E,) in a library (N, E) is above chance."""
    scores = photos @ query
    background = Background.of(scores)
    assert background is not None
    return background.excess(float(scores.max()))


def nonsense(seed: int) -> list[str]:
    """Queries of two random words."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(string.ascii_lowercase, k=draw.randint(3, 9))) for _ in range(2 * NONSENSE)]
    return [f"{one} {other}" for one, other in zip(words[::2], words[1::2], strict=True)]


def named(model: str, photos: Path) -> dict[Path, str]:
    """The pictures of a benchmark with their English names: photographs, or emoji in an order drawn at random."""
    if model != EMOJI:
        listed = json.loads((photos / "photos.json").read_text(encoding="utf-8"))
        return {photos / each["file"]: each["name"] for each in listed}
    drawn, names = emoji_images.sources(ARTIST, emoji.concepts()), emoji.texts("en")
    chosen = random.Random(0).sample(sorted(drawn.keys() & names.keys()), EMOJI_COUNT)
    return {drawn[concept]: names[concept].name for concept in chosen}


def encoded(polyglot: Polyglot, photos: Path) -> tuple[Array, Array, Array, Array, Array]:
    """Vectors of pictures and their names (N, E), of both halves' nonsense, and of broad words."""
    pictures = named(polyglot.base.name, photos)
    cache = FeatureCache(polyglot.base.fingerprint)
    found = cache.images(list(pictures), polyglot.base.preprocess.load, polyglot.image_features)
    assert not found.skipped
    images = found.array[found.rows].astype(np.float32)
    images /= np.linalg.norm(images, axis=1, keepdims=True)

    def texts(words: list[str]) -> Array:
        vectors: Array = polyglot.encode_text(words, "en").numpy()
        return vectors

    return (
        images,
        texts(list(pictures.values())),
        texts(nonsense(0)),
        texts(nonsense(1)),
        texts(list(BROAD)),
    )


def cases(images: Array, names: Array, words: Array, chosen: NDArray[np.int64]) -> dict[str, Array]:
    """The excess of the best hit in every case, for the classes ``chosen``."""
    alike = names @ names.T >= KIN
    rows = np.arange(len(names))
    own = [row for row in chosen if row < len(images)]
    return {
        "has a match": np.array([excess(names[row], images) for row in own]),
        "removed": np.array([excess(names[row], images[rows[: len(images)] != row]) for row in own]),
        "removed with kin": np.array([excess(names[row], images[~alike[row, : len(images)]]) for row in own]),
        "nonsense": np.array([excess(word, images) for word in words]),
    }


def probabilities(values: Array, slope: float, middle: float) -> Array:
    """As :meth:`Background.probability`, of excesses."""
    return np.asarray(1 / (1 + np.exp(-np.clip(slope * (values - middle), -60, 60))))


def choose(found: dict[str, Array]) -> tuple[float, float]:
    """The constants with the best likelihood of those at which few enough matches are lost.

    Matches count as much as all that have none.
    """
    none = np.concatenate([found["removed with kin"], found["nonsense"]])
    best = min(
        (
            -np.log(probabilities(found["has a match"], slope, middle) + 1e-9).mean()
            - np.log(1 - probabilities(none, slope, middle) + 1e-9).mean(),
            slope,
            middle,
        )
        for slope in SLOPES
        for middle in MIDDLES
        if np.mean(probabilities(found["has a match"], slope, middle) < CUTOFF) <= LOST
    )
    return float(best[1]), float(best[2])


def measured(found: dict[str, Array], means: Calibration) -> dict[str, Any]:
    """Of each kind of query the share in % that is told to have none; and precision and recall of saying so."""
    said = {name: probabilities(values, means.slope, means.middle) < CUTOFF for name, values in found.items()}
    result: dict[str, Any] = {name: round(100 * float(each.mean()), 1) for name, each in said.items()}
    wrong = float(said["has a match"].mean())
    for name in [name for name in found if name != "has a match"]:
        right = float(said[name].mean())
        result[f"precision ({name})"] = round(100 * right / max(right + wrong, 1e-9), 1)
    return result


def tables(results: dict[str, Any]) -> str:
    """Markdown of the results."""
    rows = []
    for model, sizes in results["measured"].items():
        for size, values in sizes.items():
            matches = {name: values.get(name) for name in ("has a match", "broad")}
            rows.append({"model": model, "pictures": size, **matches, **values})
    note = (
        "Queries in % of which the library says that nothing matches: the fewer the better for those that have a "
        f"match, and for the {len(BROAD)} broad words; the more the better for the others (that is the recall). "
        "Precision is of saying so where as many queries have a match as have none. "
        f"Cutoff {CUTOFF:g}, classes of odd number."
    )
    return markdown(Table.of(rows, title="No good match", note=note))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/photos"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--models", nargs="+", default=["photo-clip", "photo-e5", EMOJI])
    parser.add_argument("--choose", action="store_true", help="only choose the constants, and print them")
    arguments = parser.parse_args()
    results_of: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    for model in arguments.models:
        polyglot = api.load(model, device="cpu")
        images, names, words, others, broad = encoded(polyglot, arguments.photos)
        if arguments.choose:
            found = cases(images, names, words, np.arange(0, len(names), 2, dtype=np.int64))
            slope, middle = choose(found)
            lost = float(np.mean(probabilities(found["has a match"], slope, middle) < CUTOFF))
            print(f"{model}: slope {slope}, middle {middle}; {lost:.1%} of those with a match are lost")
            continue
        means, odd = polyglot.base.calibration, np.arange(1, len(names), 2, dtype=np.int64)
        constants[model] = asdict(means)
        results_of[model] = {
            str(size): measured(cases(images[:size], names, others, odd), means) for size in (len(images), SMALL)
        }
        wide = np.array([excess(word, images) for word in broad])
        results_of[model][str(len(images))] |= {"broad": measured({"has a match": wide}, means)["has a match"]}
    if arguments.choose:
        return
    results = {
        "command": "python benchmarks/cutoff.py",
        "constants": {**constants, "cutoff": CUTOFF},
        "measured": results_of,
        "environment": environment(),
    }
    write_json(arguments.out / "cutoff.json", results)
    write_text(arguments.out / "cutoff.md", tables(results))
    print(tables(results))


if __name__ == "__main__":
    main()
