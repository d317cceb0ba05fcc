"""The table and the mean of the built-in bases of photographs, made of WordNet's nouns (Debian's ``wordnet-base``).

    python tools/make_photo_table.py photo-clip               # writes assets/photo-clip/classes.safetensors
    python tools/make_photo_table.py photo-e5

The table's row of an ImageNet class is a text feature, mixed of three, each brought to length 1 as is every sum:

    the mean over what the class is called
    + gloss · the text "name, first clause of the definition"
    + above · the sum over what it is a kind of, each times the number of classes of that kind to the power ``shared``

Then the mean row is taken away, and ridge regression moves the rows M from there (M₀) towards the classifier's own
idea of which classes look alike, as far as texts can tell:

    minimise  Σ_a ‖ t_a · Mᵀ − LIKE · s_a ‖² + firm · ‖M − M₀‖²

over the names t_a of classes and kinds; s_a (C) are the cosines of the classifier's rows, less their mean, with the
row of the class, or with the sum of the rows of the kind's classes. The mean row is taken away once more.

Settings were chosen without a photograph, by ``tools/choose_photo_table.py``.

Shapes: C classes, K kinds, E embedding, D features of the classifier.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional as F

from glotclip.models import photo_bases
from glotclip.models.built_in import ASSETS
from glotclip.models.checkpoints import load_base
from glotclip.models.classifier_tower import ClassifierConfig
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.known_keys import read_table
from glotclip.models.layouts import OWN_CONFIG
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.vision_tower import VisionConfig, VisionTransformer
from glotclip.storage import read_tensors, write_json, write_tensors

WORDNET = Path("/usr/share/wordnet/data.noun")
CLASSES = Path(__file__).with_name("imagenet_synsets.txt")
MOST_CLASSES = 100  # a kind of more classes says nothing
LIKE = 0.5  # a class's name should have this cosine with its row, about as it has before the regression
ASKED = (0.01, 0.12)  # kinds that are asked for hold this share of what is searched


class Settings(NamedTuple):
    """What rows are mixed with; ``firm`` is None without the regression."""

    gloss: float = 2.0
    above: float = 2.0
    shared: float = 0.0
    firm: float | None = 3.0


CHOSEN = {"photo-clip": Settings(), "photo-e5": Settings()}
FORMER = Settings(gloss=2.0, above=0.5, shared=-0.5, firm=None)  # the tables of version 0.1.0, about


@dataclass
class Synset:
    """A noun of WordNet: what it is called, its definition, and the places of what it is a kind of."""

    names: list[str]
    gloss: str
    above: list[str]

    @property
    def defined(self) -> str:
        """The first name and the definition."""
        return f"{self.names[0]}, {self.gloss}"


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


def read_classes() -> list[str]:
    """The places of the classes' nouns, in the classifier's order."""
    return [line.removeprefix("n") for line in CLASSES.read_text(encoding="utf-8").split()]


def kinds_of(place: str, nouns: dict[str, Synset]) -> set[str]:
    """All that a noun is a kind of, directly or not."""
    found: set[str] = set()
    waiting = list(nouns[place].above)
    while waiting:
        if (each := waiting.pop()) not in found:
            found.add(each)
            waiting += nouns[each].above
    return found


class Kinds:
    """What classes are kinds of."""

    def __init__(self, classes: list[str], nouns: dict[str, Synset]) -> None:
        """Find all kinds; their order follows from WordNet alone."""
        above = [kinds_of(place, nouns) for place in classes]
        self.places = sorted(set().union(*above))
        self.nouns = [nouns[place] for place in self.places]
        self._all = nouns
        self.member = torch.tensor([[float(place in each) for each in above] for place in self.places])  # (K, C)

    def asked(self, shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The kinds to ask for among pictures of classes ``shown`` (N): their numbers (Q), and what is one (Q, N).

        Those that hold :data:`ASKED` of the pictures; of several that hold the same ones, the one of fewest classes,
        and the deepest of those, which is the one that is a kind of all the others.
        """
        relevant = self.member[:, shown]
        share = relevant.mean(1)
        deepest: dict[tuple[float, ...], int] = {}
        for row in torch.nonzero((share >= ASKED[0]) & (share <= ASKED[1])).flatten().tolist():
            same = deepest.get(key := tuple(relevant[row].tolist()))
            if same is None or self._lower(row, same):
                deepest[key] = row
        rows = torch.tensor(sorted(deepest.values()))
        return rows, relevant[rows].bool()

    def _lower(self, row: int, other: int) -> bool:
        """Whether one kind has fewer classes than another, or as many and is one of it."""
        counts = self.member.sum(1)
        if counts[row] != counts[other]:
            return bool(counts[row] < counts[other])
        return self.places[other] in kinds_of(self.places[row], self._all)


class Texts:
    """Text features of a base."""

    def __init__(self, name: str) -> None:
        config = TextConfig(**read_table(ASSETS / name / OWN_CONFIG)["text"])
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

    def kept_mean(self) -> torch.Tensor:
        """The mean that ships, which the tower takes away from now on (E)."""
        tensors = read_tensors(ASSETS / self.base.name / photo_bases.TABLE)
        center: torch.Tensor = tensors["center"].float()
        self.base.text.center.copy_(center)
        return center

    def __call__(self, texts: list[str]) -> torch.Tensor:
        """Features of length 1."""
        return F.normalize(self.base.encode_tokens(self.base.tokenizer.encode(texts)), dim=-1)


def unit(rows: torch.Tensor) -> torch.Tensor:
    """Rows at length 1."""
    return F.normalize(rows, dim=-1)


def centred(rows: torch.Tensor) -> torch.Tensor:
    """Rows without their mean, at length 1."""
    return unit(rows - rows.mean(0))


@dataclass
class Ingredients:
    """What rows are mixed of, each of length 1.

    Attributes:
        names: what classes are called (C, E).
        glosses: their names and definitions (C, E).
        kinds: what kinds are called (K, E).
        kind_glosses: their names and definitions (K, E).
        member: 1 where a class is of a kind (K, C).
        looks: the classifier's rows without their mean (C, D).
    """

    names: torch.Tensor
    glosses: torch.Tensor
    kinds: torch.Tensor
    kind_glosses: torch.Tensor
    member: torch.Tensor
    looks: torch.Tensor

    @classmethod
    def of(cls, nouns: list[Synset], kinds: Kinds, texts: Texts, weight: torch.Tensor) -> Ingredients:
        """Encode names and definitions of the classes and of what they are kinds of; ``weight``: the classifier's."""

        def called(things: list[Synset]) -> torch.Tensor:
            features = texts([name for thing in things for name in thing.names])
            return torch.stack([unit(part.mean(0)) for part in torch.split(features, [len(t.names) for t in things])])

        glosses, kind_glosses = (texts([thing.defined for thing in things]) for things in (nouns, kinds.nouns))
        return cls(called(nouns), glosses, called(kinds.nouns), kind_glosses, kinds.member, centred(weight))

    def mixed(
        self,
        settings: Settings,
        no_kinds: torch.Tensor | None = None,
        no_classes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The table (C, E).

        Args:
            settings: what to mix.
            no_kinds: bool (K): kinds that the table must not know of.
            no_classes: bool (C): classes whose names and looks the regression must not know of.
        """
        counts = self.member.sum(1)
        told = (counts > 0) & (counts <= MOST_CLASSES)
        if no_kinds is not None:
            told &= ~no_kinds
        member, kinds = self.member[told], self.kinds[told]
        weights = (member * counts[told, None] ** settings.shared).T
        rows = unit(self.names + settings.gloss * self.glosses)
        rows = unit(rows + settings.above * unit(weights @ unit(kinds + self.kind_glosses[told])))
        rows = centred(rows)
        if settings.firm is None:
            return rows
        known = torch.ones(len(self.names), dtype=torch.bool) if no_classes is None else ~no_classes
        anchors, alike = self._anchors(known, member, kinds)
        normal = anchors.T @ anchors + settings.firm * torch.eye(anchors.shape[1])
        moved = torch.linalg.solve(normal, anchors.T @ (LIKE * alike - anchors @ rows.T)).T
        return centred(rows + moved)

    def _anchors(
        self, known: torch.Tensor, member: torch.Tensor, kinds: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Texts of known classes and of kinds that have one (A, E), and how alike all classes look to each (A, C)."""
        member = member * known
        some = member.sum(1) > 0
        looks = torch.cat([self.looks[known], unit(member[some] @ self.looks)])
        return torch.cat([self.names[known], kinds[some]]), looks @ self.looks.T


def classifier(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (C, D) and bias (C) of the classifier of a base."""
    recipe = photo_bases.RECIPES[name]
    file = photo_bases.located(recipe.image, recipe.extra, name)
    state = photo_bases.read_image(ClassifierConfig(), file)
    return state["classifier.weight"], state["classifier.bias"]


def main() -> None:
    """Parse the command line, and make the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("base", choices=sorted(CHOSEN))
    parser.add_argument("--wordnet", type=Path, default=WORDNET, help="data.noun of WordNet 3.0")
    parser.add_argument("--keep-mean", action="store_true", help="take the mean that ships, which no setting changes")
    asked = parser.parse_args()
    nouns, texts = read_wordnet(asked.wordnet), Texts(asked.base)
    center = texts.kept_mean() if asked.keep_mean else texts.mean(nouns)
    classes = read_classes()
    kinds = Kinds(classes, nouns)
    weight, _ = classifier(asked.base)
    parts = Ingredients.of([nouns[place] for place in classes], kinds, texts, weight)
    target = ASSETS / asked.base / photo_bases.TABLE
    write_tensors(target, {"center": center.half(), "table": parts.mixed(CHOSEN[asked.base]).half()})
    print(f"{target}: {target.stat().st_size:,} bytes")
    for name, recipe in photo_bases.RECIPES.items():
        if recipe.table == asked.base:
            record_fingerprint(name)


def record_fingerprint(name: str) -> None:
    """Put a base together anew, and write its fingerprint where it is checked from now on."""
    file = ASSETS / name / OWN_CONFIG
    config = read_table(file)
    write_json(file, {**config, "fingerprint": None})
    with tempfile.TemporaryDirectory() as folder:
        photo_bases.make(name, Path(folder) / name)
        made = load_base(Path(folder) / name)
    write_json(file, {**config, "fingerprint": made.fingerprint})
    print(f"{name}: {made.fingerprint}")


if __name__ == "__main__":
    main()
