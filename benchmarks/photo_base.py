"""The built-in bases of photographs: what they find among 500 photographs, and what making and loading them costs.

    python benchmarks/photo_base.py [--photos ../shared/data/photos] [--out benchmarks/results]

Each photograph shows one of 500 ImageNet classes and is asked for by the class's English name, text → image.
``known`` is the base as it is: its image tower was trained on these classes, perhaps on these photographs. In
``withheld`` every photograph is encoded without its own class (the others' probabilities are scaled up), by a table
that was made without what the class looks like: what to expect of a thing that ImageNet has no class for.

``kinds`` are what classes are: all nouns of WordNet of which 5 to 60 of the 500 classes are one, by their first names
("dog", "musical instrument"), ``second names`` the same by other names, where there are ("domestic dog",
"instrument"); ``withheld kinds`` are asked of tables that were made without them, in fifths. P@K is the share of the
first K photographs that are of the kind.

Making a base includes checking the hashes; it happens once.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import glotclip
from glotclip.data.dataset import open_dataset
from glotclip.data.encodings import read_objects
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.models import photo_bases
from glotclip.models.classifier_tower import ClassifierTower
from glotclip.models.dual_encoder import BATCH_IMAGES_CPU
from glotclip.storage import write_json, write_text

sys.path.append(str(Path(__file__).parents[1] / "tools"))
from choose_photo_table import Judge
from make_photo_table import CHOSEN, WORDNET, Ingredients, Kinds, Texts, classifier, read_classes, read_wordnet

NOTE = (
    "text → image, R@K and P@K in %, English names among 500 photographs, one a class; known classes are optimistic: "
    "the photographs may have been among the tower's training images. Seconds are of one thread"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/photos"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="data.noun of WordNet 3.0")
    parser.add_argument("--base", choices=list(photo_bases.RECIPES), help="measure one, and print it as JSON")
    asked = parser.parse_args()
    if asked.base:
        print(json.dumps(measure(asked.base, asked.photos, asked.wordnet)))
        return
    rows = []
    for base in photo_bases.RECIPES:  # each in a process of its own, whose memory is its own
        command = [sys.executable, __file__, "--base", base]
        command += ["--photos", str(asked.photos), "--wordnet", str(asked.wordnet)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(rows[-1], flush=True)
    results = {"command": "python benchmarks/photo_base.py", "rows": rows, "environment": environment()}
    write_json(asked.out / "photo_base.json", results)
    write_text(asked.out / "photo_base.md", markdown(Table.of(rows, note=NOTE, digits=1)) + "\n")


def measure(base: str, photos: Path, wordnet: Path) -> dict[str, Any]:
    """One line of the table."""
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp())
    making, _ = timed(lambda: photo_bases.make(base, folder / base))
    size = sum(file.stat().st_size for file in (folder / base).iterdir())
    loading, model = timed(lambda: glotclip.load(folder / base, device="cpu"))
    shutil.rmtree(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    labelled = open_dataset(photos).benchmark(["en"])
    class_of = {fact["file"]: fact["class_index"] for fact in read_objects(photos / "photos.json")}
    names = [caption.text for caption in labelled.captions["en"]]
    shown = torch.tensor([class_of[path.relative_to(photos.absolute()).as_posix()] for path in labelled.images])
    asking, asked = timed(lambda: model.encode_text(names, "en"))
    tower = model.base.vision
    assert isinstance(tower, ClassifierTower)
    pixels = [torch.from_numpy(model.base.preprocess.load(path)) for path in labelled.images]
    with torch.inference_mode():
        seeing, scores = timed(
            lambda: torch.cat([tower.probabilities(torch.stack(part)).log() for part in batches(pixels)])
        )
    row = found(photo_bases.RECIPES[base].table, wordnet, tower.table, asked, scores, shown)
    row |= {
        "top-1": 100 * float((scores.argmax(1) == shown).float().mean()),
        "made in s": making, "loaded in s": loading, "peak MB": peak, "MB on disk": size / 2**20,
        "ms a photograph": 1000 * seeing / len(names), "ms a text": 1000 * asking / len(names),
    }  # fmt: skip
    return {"base": base, **{title: round(value, 1) for title, value in row.items()}}


def found(
    base: str, wordnet: Path, table: torch.Tensor, asked: torch.Tensor, scores: torch.Tensor, shown: torch.Tensor
) -> dict[str, float]:
    """What texts ``asked`` (N, E) and kinds find of pictures of classes ``shown`` (N), by their ``scores`` (N, C)."""
    texts, nouns, places = Texts(base), read_wordnet(wordnet), read_classes()
    texts.kept_mean()
    kinds = Kinds(places, nouns)
    parts = Ingredients.of([nouns[place] for place in places], kinds, texts, classifier(base)[0])
    # What ships is what the recipe makes, here too.
    torch.testing.assert_close(table, parts.mixed(CHOSEN[base]), rtol=0, atol=1e-3)
    judge = Judge(asked, shown, kinds, texts)
    (cosines,) = judge.cosines(parts, CHOSEN[base], [scores])
    return judge.figures(cosines)


def batches(pixels: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    return [pixels[k : k + BATCH_IMAGES_CPU] for k in range(0, len(pixels), BATCH_IMAGES_CPU)]


def timed(task: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    result = task()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
