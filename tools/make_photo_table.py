"""The table and the mean of the built-in bases of photographs, made of WordNet's nouns (Debian's ``wordnet-base``).

    python tools/make_photo_table.py photo-clip --choose      # compares settings, writes nothing
    python tools/make_photo_table.py photo-clip               # writes assets/photo-clip/classes.safetensors
    python tools/make_photo_table.py photo-e5

The table's row of an ImageNet class is a text feature, brought to length 1 after each step:

    the mean over what the class is called
    + GLOSS  · the text "name, first clause of the definition"
    + ABOVE  · the sum over what it is a kind of, each divided by the root of how many classes are of that kind
    − COMMON · the mean row

Settings are chosen without a photograph, by cross-validation over classes: a class's row in the classifier stands in
for a photograph of it, and the class's name must find it among all, as it is ("known") and with the class withheld
from its softmax. The mean of R@1, R@5 and R@10 of both decides (``benchmarks/results/photo_table_choice.txt``). The
softmax keeps its temperature, since how sure a stand-in is was set by hand.

Shapes: C classes, K kinds, E embedding.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from glotclip.models import photo_bases
from glotclip.models.checkpoints import load_base
from glotclip.models.classifier_tower import ClassifierConfig
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.known_keys import read_table
from glotclip.models.layouts import OWN_CONFIG
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.vision_tower import VisionConfig, VisionTransformer
from glotclip.storage import write_json, write_tensors

WORDNET = Path("/usr/share/wordnet/data.noun")
CLASSES = Path(__file__).with_name("imagenet_synsets.txt")
GLOSS, ABOVE, COMMON = 2.0, 0.5, 1.0
MOST_CLASSES = 100  # a kind of more classes says nothing
CONFIDENCE = 0.8  # least probability, on average, of a stand-in's own class; its row is scaled to that


@dataclass
class Synset:
    """A noun of WordNet: what it is called, its definition, and the places of what it is a kind of."""

    names: list[str]
    gloss: str
    above: list[str]


def read_wordnet(file: Path) -> dict[str, Synset]:
    """Read ``data.noun``, by the place in the file, which is also the number of an ImageNet class."""
    nouns = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith(" "):  # the licence
            continue
        facts, _, gloss = line.partition(" | ")
        words = facts.split()
        count = int(words[3], 16)
        names = [word.replace("_", " ") for word in words[4 : 4 + 2 * count : 2]]
        pointers = words[5 + 2 * count :]
        above = [pointers[k + 1] for k in range(0, len(pointers) - 3, 4) if pointers[k] in ("@", "@i")]
        nouns[words[0]] = Synset(names, gloss.strip().split(";")[0].strip(), above)
    return nouns


def kinds_of(place: str, nouns: dict[str, Synset]) -> set[str]:
    """All that a noun is a kind of, directly or not."""
    found: set[str] = set()
    waiting = list(nouns[place].above)
    while waiting:
        if (each := waiting.pop()) not in found:
            found.add(each)
            waiting += nouns[each].above
    return found


class Texts:
    """Text features of a base that has no mean yet."""

    def __init__(self, name: str) -> None:
        config = TextConfig(**read_table(photo_bases.ASSETS / name / OWN_CONFIG)["text"])
        state, tokenizer = photo_bases.read_text(name, config)
        tower = TextTower(config)
        tower.load_state_dict({**state, "center": torch.zeros(config.embed_dim)})
        unused = VisionTransformer(VisionConfig(width=64, layers=1, heads=1, embed_dim=config.embed_dim))
        self.base = DualEncoder(name, tower, unused, tokenizer, Preprocess(), 1.0)

    def mean(self, nouns: dict[str, Synset]) -> torch.Tensor:
        """Mean of the features of what nouns are called first; the tower takes it away from now on (E)."""
        names = list(dict.fromkeys(noun.names[0] for noun in nouns.values()))
        center = self(names).double().mean(0).half().float()
        self.base.text.center.copy_(center)
        print(f"mean of {len(names):,} texts, length {center.norm():.3f}")
        return center

    def __call__(self, texts: list[str]) -> torch.Tensor:
        """Features of length 1."""
        return F.normalize(self.base.encode_tokens(self.base.tokenizer.encode(texts)), dim=-1)


@dataclass
class Ingredients:
    """What rows are mixed of, each of length 1 (C, E)."""

    names: torch.Tensor
    glosses: torch.Tensor
    above: torch.Tensor

    @classmethod
    def of(cls, classes: list[str], nouns: dict[str, Synset], texts: Texts) -> Ingredients:
        """Encode names, definitions and kinds of the classes."""
        known = [nouns[place] for place in classes]
        names = torch.stack([F.normalize(texts(noun.names).mean(0), dim=-1) for noun in known])
        glosses = texts([f"{noun.names[0]}, {noun.gloss}" for noun in known])
        kinds = [kinds_of(place, nouns) for place in classes]
        counts = Counter(kind for each in kinds for kind in each)
        telling = {kind: row for row, kind in enumerate(k for k, n in counts.items() if n <= MOST_CLASSES)}
        features = texts([nouns[kind].names[0] for kind in telling])
        weights = torch.zeros(len(classes), len(telling))
        for row, each in enumerate(kinds):
            for kind in each & telling.keys():
                weights[row, telling[kind]] = counts[kind] ** -0.5
        return cls(names, glosses, F.normalize(weights @ features, dim=-1))

    def mixed(self, gloss: float = GLOSS, above: float = ABOVE, common: float = COMMON) -> torch.Tensor:
        """The table (C, E)."""
        rows = F.normalize(self.names + gloss * self.glosses, dim=-1)
        rows = F.normalize(rows + above * self.above, dim=-1)
        return F.normalize(rows - common * rows.mean(0), dim=-1)


def stand_ins(name: str) -> torch.Tensor:
    """The classifier's scores of its own rows, which stand in for photographs of the classes (C, C)."""
    recipe = photo_bases.RECIPES[name]
    file = photo_bases.located(recipe.image, recipe.extra, name)
    state = photo_bases.read_image(ClassifierConfig(), file)
    weight, bias = state["classifier.weight"], state["classifier.bias"]
    likeness = F.normalize(weight - weight.mean(0), dim=-1) @ weight.T
    scored: Iterator[torch.Tensor] = (scale * likeness + bias for scale in itertools.count(1))
    return next(scores for scores in scored if scores.softmax(1).diagonal().mean() >= CONFIDENCE)


def choose(parts: Ingredients, first: torch.Tensor, known: torch.Tensor) -> None:
    """Print how well each class is found by its first name among all, for every setting."""
    own = torch.arange(len(first))
    scores = (known, known.clone().fill_diagonal_(-torch.inf))
    print("gloss above common   known R@1   R@5  R@10   withheld R@1   R@5  R@10   mean  best logit scale")
    for gloss, above, common in itertools.product((0, 0.5, 1, 2, 4), (0, 0.5, 1, 2), (0, 0.5, 1)):
        table = parts.mixed(gloss, above, common)
        found = []
        for each in scores:
            cosines = first @ F.normalize(each.softmax(1) @ table, dim=-1).T
            ranks = (cosines > cosines[own, own, None]).sum(1)
            found += [100 * float((ranks < k).float().mean()) for k in (1, 5, 10)]
        likely = {scale: F.cross_entropy(scale * cosines, own).item() for scale in range(5, 80, 5)}  # withheld
        best = min(likely, key=likely.__getitem__)
        shown = "  ".join(f"{share:5.1f}" for share in (*found, sum(found) / 6))
        print(f"{gloss:5} {above:5} {common:6}   {shown}  {best}")


def main() -> None:
    """Parse the command line, and make the table or compare settings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("base", choices=sorted({recipe.table for recipe in photo_bases.RECIPES.values()}))
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="data.noun of WordNet 3.0")
    parser.add_argument("--choose", action="store_true", help="compare settings instead of writing the table")
    asked = parser.parse_args()
    classes = [line.removeprefix("n") for line in CLASSES.read_text(encoding="utf-8").split()]
    nouns = read_wordnet(asked.wordnet)
    texts = Texts(asked.base)
    center = texts.mean(nouns)
    parts = Ingredients.of(classes, nouns, texts)
    if asked.choose:
        choose(parts, texts([nouns[place].names[0] for place in classes]), stand_ins(asked.base))
        return
    target = photo_bases.ASSETS / asked.base / photo_bases.TABLE
    write_tensors(target, {"center": center.half(), "table": parts.mixed().half()})
    print(f"{target}: {target.stat().st_size:,} bytes")
    for name, recipe in photo_bases.RECIPES.items():
        if recipe.table == asked.base:
            record_fingerprint(name)


def record_fingerprint(name: str) -> None:
    """Put a base together anew, and write its fingerprint where it is checked from now on."""
    file = photo_bases.ASSETS / name / OWN_CONFIG
    config = read_table(file)
    write_json(file, {**config, "fingerprint": None})
    with tempfile.TemporaryDirectory() as folder:
        photo_bases.make(name, Path(folder) / name)
        made = load_base(Path(folder) / name)
    write_json(file, {**config, "fingerprint": made.fingerprint})
    print(f"{name}: {made.fingerprint}")


if __name__ == "__main__":
    main()
