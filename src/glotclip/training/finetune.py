"""Fine-tuning a base on English pairs, both towers at once: MLA's FT-En, and the start of its FT-All (§2).

What comes of it is a new base with a fingerprint of its own. Packs that were made for the old one can be moved onto
it (:func:`glotclip.packs.exchange.rebase`), which is the protocol's "plug the acquirers in unchanged".

Shapes: B batch.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import nn

from glotclip.config import digest
from glotclip.data.sampling import EpochSampler
from glotclip.data.schema import Corpus, Row, SkippedItem
from glotclip.errors import DataError, ImageError, TruncationWarning
from glotclip.methods.losses import multi_positive_contrastive
from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import Targets
from glotclip.methods.stack import ModuleStack
from glotclip.models.device import DTYPES, choose_precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.training.captions import group_of
from glotclip.training.dropout import dropout_seed, seeded, with_dropout
from glotclip.training.module import Batch, Encoded, LanguageBatch, TrainingModule
from glotclip.training.settings import DropoutSettings, TrainerSettings
from glotclip.training.trainer import FitResult, Trainer


class FinetuneSettings(TrainerSettings, DropoutSettings):
    """Settings of a base's fine-tuning; the defaults are MLA's (5 epochs of 128 pairs at 3e-6, scale 100)."""

    epochs: float = Field(5, gt=0, description="passes over the pairs, where steps is not given")
    lr: float = Field(3e-6, gt=0, description="peak learning rate")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="after the warm-up")
    temperature: float = Field(0.01, gt=0, description="of the contrastive loss, fixed")
    images: bool = Field(True, description="whether the image tower trains too; false leaves galleries as they are")


class TowersModule(TrainingModule):
    """Trains both towers with CLIP's symmetric loss; images of one group are positives of each other."""

    def __init__(self, base: DualEncoder, settings: FinetuneSettings, precision: str) -> None:
        self.base, self.settings, self.dtype = base, settings, DTYPES[precision]

    def groups(self) -> Sequence[ParameterGroup]:
        """All weights; matrices are decayed, the token table, vectors and scalars are not."""
        towers = [self.base.text, *([cast(nn.Module, self.base.vision)] if self.settings.images else [])]
        weights = [weight for tower in towers for weight in tower.parameters()]
        for weight in weights:
            weight.requires_grad_(True)
        table = self.base.text.table
        matrices = [weight for weight in weights if weight.ndim > 1 and weight is not table]
        vectors = [table, *(weight for weight in weights if weight.ndim <= 1)]
        return [ParameterGroup("matrices", matrices), ParameterGroup("vectors", vectors, weight_decay=False)]

    def encode(self, batch: Batch) -> Encoded:
        """Text features (B, E)."""
        (texts,) = batch.texts
        with seeded(batch.dropout, self.base.device):
            hooks = None if batch.dropout is None else with_dropout(ModuleStack([]), batch.dropout)
            return Encoded(self.base.text(texts.ids, texts.lengths, hooks, precision=self.dtype))

    def loss(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """CLIP's loss. ``targets.images`` are pixels (B, 3, H, W): the image tower is part of what trains."""
        images = self.base.vision(targets.images, precision=self.dtype).float()
        loss = multi_positive_contrastive(features, images, targets.groups, self.settings.temperature)
        return loss, {"cross_modal": loss.detach()}


class Pairs:
    """Batches of captions with their images' pixels, as a pure function of the step.

    An image that cannot be read gives way to the next pair, and is listed in ``skipped``.
    """

    def __init__(self, rows: Sequence[Row], base: DualEncoder, settings: FinetuneSettings) -> None:
        self.rows, self.base, self.settings = rows, base, settings
        self.tokens = base.tokenizer.encode([base.text_form(row.text, row.lang) for row in rows])
        if cut := len(self.tokens.truncated):
            limit = base.tokenizer.context_length
            warnings.warn(TruncationWarning(cut, len(rows), limit, what="captions"), stacklevel=3)
        self.sampler = EpochSampler(len(rows), settings.batch_size, settings.seed)
        self.groups = np.array([group_of(row.key, row.text) for row in rows], dtype=np.int64)
        self.skipped: dict[Path, SkippedItem] = {}

    def __call__(self, step: int) -> list[Batch]:
        """The batch of a step."""
        chosen, pixels = [], []
        for index in self.sampler.indices(step):
            place, values = self._readable(int(index))
            chosen.append(place)
            pixels.append(values)
        device, width = self.base.device, None if self.base.text.trims else self.base.text.config.context_length
        ids, lengths = self.tokens.padded(chosen, self.base.tokenizer.pad_id, to=width)
        every = torch.ones(len(chosen), dtype=torch.bool, device=device)
        targets = Targets(
            torch.zeros(len(chosen), 0, device=device),
            torch.from_numpy(np.stack(pixels)).to(device),
            ~every,
            every,
            torch.from_numpy(self.groups[chosen]).to(device),
        )
        texts = LanguageBatch(torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device), "en")
        return [Batch((texts,), targets, dropout=dropout_seed(self.settings.dropout, self.settings.seed, step))]

    def _readable(self, index: int) -> tuple[int, np.ndarray[Any, np.dtype[np.float32]]]:
        """The first pair from ``index`` on whose image can be read."""
        for place in (*range(index, len(self.rows)), *range(index)):
            path = self.rows[place].image
            assert path is not None
            if path in self.skipped:
                continue
            try:
                return place, self.base.preprocess.load(path)
            except ImageError as error:
                self.skipped[path] = SkippedItem(str(path), None, error.message)
        raise DataError("not one image can be read", hint="check the folder of the images")


def finetune(
    base: DualEncoder,
    corpus: Corpus,
    settings: FinetuneSettings,
    *,
    language: str = "en",
    name: str | None = None,
    checkpoint: Path | None = None,
    log: Callable[[dict[str, Any]], None] = lambda numbers: None,
) -> tuple[DualEncoder, FitResult, tuple[SkippedItem, ...]]:
    """Fine-tune a copy of a base on a corpus's training pairs.

    Args:
        base: stays as it is.
        corpus: rows of split "train" in ``language`` that have an image are used.
        settings: of the loop and the loss.
        language: of the pairs.
        name: of the new base; by default the old one's with ``-ft``.
        checkpoint: file to resume from after a kill.
        log: called after every step with its numbers.

    Returns:
        The new base, what the run did, and the images that could not be read.

    Raises:
        DataError: if there are no such pairs.
    """
    rows = [row for row in corpus.select(lang=language, split="train").rows if row.image is not None]
    if not rows:
        raise DataError(f"{corpus.name} has no training images with {language!r} captions", hint="check the data")
    encoder = DualEncoder(
        name or f"{base.name}-ft",
        copy.deepcopy(base.text),
        copy.deepcopy(base.vision),
        base.tokenizer,
        base.preprocess,
        1 / settings.temperature,
        recommended=base.recommended,
        languages=base.languages,
        text_form=base.text_form.name,
        calibration=base.calibration,
    )
    precision = choose_precision(settings.precision, base.device)
    loader = Pairs(rows, encoder, settings)
    identity = {"base": base.fingerprint, "settings": settings.model_dump(mode="json"), "pairs": len(rows)}
    trainer = Trainer(
        TowersModule(encoder, settings, precision), loader, settings.total_steps(len(rows)), settings,
        precision=precision, checkpoint=checkpoint, identity=digest(identity), log=log,
    )  # fmt: skip
    result = trainer.fit()
    encoder.text.requires_grad_(False)
    cast(nn.Module, encoder.vision).requires_grad_(False)
    return encoder, result, tuple(loader.skipped.values())
