"""A memory of fixed size in which every sample that ever came by is equally likely to be.

Every draw is a pure function of the seed and of how many samples came by, so that resuming needs no random state.

Shapes: E embedding, K samples held.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

_ADD, _DRAW = 2, 3  # tell the draws for the same count apart


class Sample(NamedTuple):
    """One caption as it is remembered.

    Attributes:
        language: its code.
        text: as written; it is tokenised anew in every task, for its ids change with the vocabulary.
        target: feature (E,) float32 that it is to be held to, or None.
        image: the raw feature (E,) of its image, or None.
        group: equal for captions of one image.
    """

    language: str
    text: str
    target: torch.Tensor | None
    image: torch.Tensor | None
    group: int


class Reservoir:
    """A uniform sample of all that was offered (Vitter 1985, algorithm R).

    Args:
        capacity: how many samples are held at most.
        seed: of which are held, and which are drawn.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity, self.seed = capacity, seed
        self.samples: list[Sample] = []
        self.seen = 0

    def __len__(self) -> int:
        return len(self.samples)

    def add(self, count: int, make: Callable[[int], Sample]) -> None:
        """Offer the next ``count`` samples, in order; ``make(i)`` gives the i-th of them if it is kept."""
        numbers = np.arange(self.seen, self.seen + count)
        drawn = np.random.default_rng([self.seed, _ADD, self.seen]).integers(0, numbers + 1)
        self.seen += count
        slots = np.where(numbers < self.capacity, numbers, drawn)
        # Where two of them fall into one slot, the later stays.
        kept = {int(slot): place for place, slot in enumerate(slots) if slot < self.capacity}
        for slot, place in sorted(kept.items()):
            self.samples[slot : slot + 1] = [make(place)]

    def draw(self, count: int) -> npt.NDArray[np.int64]:
        """Slots of ``count`` different samples, or of all where there are fewer; the same until more are offered."""
        rng = np.random.default_rng([self.seed, _DRAW, self.seen])
        return rng.choice(len(self), size=min(count, len(self)), replace=False)

    def texts(self) -> dict[str, list[str]]:
        """The texts held, by language, languages in alphabetical order."""
        found: dict[str, list[str]] = {}
        for sample in self.samples:
            found.setdefault(sample.language, []).append(sample.text)
        return dict(sorted(found.items()))

    def copy(self) -> Reservoir:
        """The same memory, which goes its own way from here."""
        other = Reservoir(self.capacity, self.seed)
        other.samples, other.seen = list(self.samples), self.seen
        return other

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything held, as tensors that safetensors can hold: texts as UTF-8 bytes of JSON."""
        texts = json.dumps([[sample.language, sample.text] for sample in self.samples], ensure_ascii=False)
        stored = {
            "seen": torch.tensor(self.seen),
            "texts": torch.from_numpy(np.frombuffer(texts.encode(), np.uint8).copy()),
            "groups": torch.tensor([sample.group for sample in self.samples], dtype=torch.int64),
        }
        for name in ("target", "image"):
            rows = [getattr(sample, name) for sample in self.samples]
            stored[f"{name}.present"] = torch.tensor([row is not None for row in rows], dtype=torch.bool)
            if kept := [row for row in rows if row is not None]:
                stored[f"{name}.rows"] = torch.stack(kept)
        return stored

    @classmethod
    def restored(cls, tensors: Mapping[str, torch.Tensor], capacity: int, seed: int) -> Reservoir:
        """The memory that :meth:`tensors` describes.

        With a smaller capacity than before, a uniform part of it.
        """
        memory = cls(capacity, seed)
        memory.seen = int(tensors["seen"])
        texts = json.loads(bytes(tensors["texts"].cpu().numpy()))
        targets, images = (_rows(tensors, name) for name in ("target", "image"))
        memory.samples = [
            Sample(language, text, target, image, int(group))
            for (language, text), target, image, group in zip(texts, targets, images, tensors["groups"], strict=True)
        ]
        if len(memory) > capacity:
            memory.samples = [memory.samples[slot] for slot in memory.draw(capacity)]
        elif len(memory) < min(capacity, memory.seen):
            # A larger capacity now: what was dropped is gone, so the count goes on from what is there; else the slots
            # between would stay empty.
            memory.seen = len(memory)
        return memory


def _rows(tensors: Mapping[str, torch.Tensor], name: str) -> Sequence[torch.Tensor | None]:
    rows = iter(tensors[f"{name}.rows"].clone().unbind() if f"{name}.rows" in tensors else ())
    return [next(rows) if present else None for present in tensors[f"{name}.present"]]
