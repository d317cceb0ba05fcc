"""Training an English base from a frozen image trunk: how the built-in ``emoji-clip`` was made.

The trunk's features are computed once; what trains is the whole text tower, the head on the trunk, and the
temperature, with CLIP's symmetric contrastive loss.

Shapes: N images, B batch, D trunk features, E embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from pydantic import Field
from torch import nn

import glotclip
from glotclip.config import digest
from glotclip.data import emoji
from glotclip.data.emoji import EmojiNames
from glotclip.data.emoji_images import TRAINING_VENDORS, find
from glotclip.data.features import FeatureCache
from glotclip.methods.losses import multi_positive_contrastive
from glotclip.methods.module import ParameterGroup
from glotclip.methods.objective import Targets
from glotclip.models import bpe
from glotclip.models.device import DTYPES, choose_precision
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.efficientnet import EfficientNetTower
from glotclip.models.image_files import WHITE, on_white
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import ClipTokenizer
from glotclip.storage import read_json
from glotclip.training.module import Batch, Encoded, LanguageBatch, TrainingModule
from glotclip.training.settings import TrainerSettings
from glotclip.training.trainer import FitResult, Trainer

Progress = Callable[[str, int, int], None]
View = Literal["plain", "mirrored", "smaller", "turned"]
VIEWS: tuple[View, ...] = ("plain", "mirrored", "smaller", "turned")
LOGIT_SCALE_LIMIT = 100.0  # CLIP (Radford et al. 2021, § 2.5) clips the scale there


class BaseSettings(TrainerSettings):
    """Settings of an English base."""

    vocabulary: int = Field(4000, ge=300, description="size of the English byte-level BPE")
    width: int = Field(192, description="of the text tower")
    layers: int = Field(4, ge=1, description="of the text tower")
    heads: int = Field(3, ge=1, description="of the text tower")
    context_length: int = Field(32, ge=4, description="most tokens of a text")
    embed_dim: int = Field(192, ge=8, description="width of the shared space")
    temperature: float = Field(0.07, gt=0, description="initial temperature")
    names_share: float = Field(0.5, ge=0, le=1, description="share of texts that are names; the others are keywords")
    views: tuple[View, ...] = Field(VIEWS, description="ways to look at every image")
    feature_dropout: float = Field(0.0, ge=0, lt=1, description="share of trunk features dropped per image")

    def text_config(self, vocab_size: int) -> TextConfig:
        """The geometry of the text tower."""
        return TextConfig(
            width=self.width,
            layers=self.layers,
            heads=self.heads,
            mlp_width=4 * self.width,
            vocab_size=vocab_size,
            context_length=self.context_length,
            embed_dim=self.embed_dim,
        )


class BaseModule(TrainingModule):
    """Trains text tower, head and temperature from scratch."""

    def __init__(self, text: TextTower, head: nn.Linear, settings: BaseSettings, dtype: torch.dtype) -> None:
        self.text, self.head, self.dtype = text, head, dtype
        self.temperature = nn.Parameter(torch.tensor(settings.temperature))

    def groups(self) -> Sequence[ParameterGroup]:
        """All weights; matrices are decayed, vectors and scalars are not."""
        weights = [*self.text.parameters(), *self.head.parameters()]
        return [
            ParameterGroup("matrices", [w for w in weights if w.ndim > 1]),
            ParameterGroup("vectors", [*(w for w in weights if w.ndim <= 1), self.temperature], weight_decay=False),
        ]

    def encode(self, batch: Batch) -> Encoded:
        """Text features (B, E)."""
        (texts,) = batch.texts
        return Encoded(self.text(texts.ids, texts.lengths, precision=self.dtype))

    def loss(self, features: torch.Tensor, targets: Targets) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """CLIP's loss; images of one concept are positives of each other."""
        with torch.no_grad():
            self.temperature.clamp_(min=1 / LOGIT_SCALE_LIMIT)
        images = self.head(targets.images)
        loss = multi_positive_contrastive(features, images, targets.groups, self.temperature)
        return loss, {"temperature": self.temperature.detach()}


@dataclass(frozen=True)
class EmojiTexts:
    """Batches of (English text, trunk features) as a pure function of the step.

    Args:
        names: English names and keywords by concept.
        concepts: ids of the concepts, one a row of ``rows``.
        trunk: features (N, D).
        rows: int64 (concepts, variants): the images of each concept, in every view.
        tokenizer: the base's tokenizer.
        settings: batch size, seed, shares and dropout.
    """

    names: Mapping[str, EmojiNames]
    concepts: Sequence[str]
    trunk: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]
    tokenizer: ClipTokenizer
    settings: BaseSettings

    def __call__(self, step: int) -> list[Batch]:
        """The batch of a step: distinct concepts, each with one of its images and one of its texts."""
        rng = np.random.default_rng([self.settings.seed, step])
        size = min(self.settings.batch_size, len(self.concepts))
        chosen = rng.permutation(len(self.concepts))[:size]
        texts = [self._text(self.names[self.concepts[place]], rng) for place in chosen]
        images = self.rows[chosen, rng.integers(self.rows.shape[1], size=size)]
        features = torch.from_numpy(self.trunk[images])
        if self.settings.feature_dropout:
            kept = rng.random(features.shape, dtype=np.float32) >= self.settings.feature_dropout
            features = features * torch.from_numpy(kept) / (1 - self.settings.feature_dropout)
        tokens = self.tokenizer.encode(texts)
        ids, lengths = tokens.padded(np.arange(size), self.tokenizer.pad_id)
        groups, every = torch.from_numpy(chosen), torch.ones(size, dtype=torch.bool)
        targets = Targets(torch.zeros(size, 0), features, ~every, every, groups)
        return [Batch((LanguageBatch(torch.from_numpy(ids), torch.from_numpy(lengths), "en"),), targets)]

    def _text(self, names: EmojiNames, rng: np.random.Generator) -> str:
        if not names.keywords or rng.random() < self.settings.names_share:
            return names.name
        count = int(rng.integers(1, len(names.keywords) + 1))
        return ", ".join(names.keywords[int(place)] for place in rng.permutation(len(names.keywords))[:count])


def train_emoji_base(
    settings: BaseSettings,
    *,
    cache: Path | None = None,
    checkpoint: Path | None = None,
    log: Callable[[dict[str, Any]], None] = lambda numbers: None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[DualEncoder, FitResult]:
    """Train the English emoji base on twemoji's and OpenMoji's images of all concepts.

    English sees every concept; only languages learnt later keep the test concepts' names from training.

    Args:
        settings: geometry, loop and augmentation.
        cache: root of the feature cache.
        checkpoint: file to resume from after a kill.
        log: called after every step with its numbers.
        progress: called with (what, done, total) while trunk features are computed.

    Returns:
        The base, frozen, and what the run did.
    """
    torch.manual_seed(settings.seed)
    tower = EfficientNetTower(settings.embed_dim)
    concepts = list(emoji.concepts())
    names = emoji.texts("en", "cldr")
    concepts = [concept for concept in concepts if concept in names]
    found = [find(vendor, concepts) for vendor in TRAINING_VENDORS]
    paths = [images[concept] for concept in concepts for images in found]
    trunk = np.concatenate([_trunk_features(tower, paths, view, cache, progress) for view in settings.views])
    texts = [text for each in names.values() for text in (each.name, *each.keywords)]
    tokenizer = _english_tokenizer(texts, settings)
    text = TextTower(settings.text_config(tokenizer.vocab_size))
    variants = len(found) * len(settings.views)
    by_view = np.arange(len(trunk), dtype=np.int64).reshape(len(settings.views), len(concepts), len(found))
    rows = by_view.transpose(1, 0, 2).reshape(len(concepts), variants)
    loader = EmojiTexts(names, concepts, trunk, rows, tokenizer, settings)
    precision = choose_precision(settings.precision, torch.device("cpu"))
    module = BaseModule(text, tower.head, settings, DTYPES[precision])
    trainer = Trainer(
        module, loader, settings.total_steps(len(paths)), settings, precision=precision,
        checkpoint=checkpoint, identity=digest(settings.model_dump(mode="json")), log=log,
    )  # fmt: skip
    result = trainer.fit()
    encoder = DualEncoder(
        name="emoji-clip",
        text=text,
        vision=tower,
        tokenizer=tokenizer,
        preprocess=tower.preprocess,
        logit_scale=1 / float(module.temperature.detach()),
        recommended=recommended(),
        text_form="unicode-1+curly",  # as CLDR writes: woman’s hat
    )
    return encoder.round_to(torch.float16), result  # what is shipped is what was measured


def recommended() -> dict[str, dict[str, Any]]:
    """What the base that is shipped recommends, by method.

    A small table learns in few, large steps (benchmarks/ten_languages.py). It has few rows, so languages share many
    of them, and a row's earlier uses must weigh more than the paper lets them. Modules want a smaller rate than rows,
    at which a temperature that trains runs away (recipes/compare_mla.yaml, benchmarks/acquirer_defaults.py).
    """
    shipped = Path(glotclip.__file__).parent / "assets" / "emoji-clip" / "glotclip.json"
    return dict(read_json(shipped)["recommended"])


def _english_tokenizer(texts: Sequence[str], settings: BaseSettings) -> ClipTokenizer:
    """A byte-level BPE with all 256 bytes, so that any text of any language can be written in it."""
    learnt = bpe.learn(texts, settings.vocabulary - 512, "clip")
    alphabet = list(bpe.byte_characters().values())
    tokens = [*alphabet, *(byte + bpe.END_OF_WORD for byte in alphabet)]
    tokens += [token for token in learnt.tokens if token not in set(tokens)]
    vocabulary = {token: place for place, token in enumerate([*tokens, bpe.START, bpe.END])}
    return ClipTokenizer(vocabulary, learnt.merges, context_length=settings.context_length)


def _trunk_features(
    tower: EfficientNetTower,
    paths: Sequence[Path],
    view: View,
    cache: Path | None,
    progress: Progress,
) -> npt.NDArray[np.float32]:
    """Features (N, D) of the frozen trunk for one view of all images, from the cache or computed into it."""

    def encode(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return tower.trunk(torch.from_numpy(pixels)).cpu().numpy()

    def load(path: Path) -> npt.NDArray[np.float32]:
        if view == "plain":
            return tower.preprocess.load(path)
        with Image.open(path) as image:
            return tower.preprocess.load(_seen(on_white(image), view))

    store = FeatureCache(f"trunk-{tower.trunk_fingerprint()}-{view}", cache)
    return store.images(paths, load, encode, progress=partial(progress, f"images, {view}")).take()


def _seen(image: Image.Image, view: View) -> Image.Image:
    """An image mirrored, at 85 % of its size, or turned by 10 degrees: what an artist's style does not change."""
    if view == "mirrored":
        return ImageOps.mirror(image)
    if view == "smaller":
        border = round(max(image.size) * (1 / 0.85 - 1) / 2)
        return ImageOps.expand(image, border, fill=WHITE)
    return image.rotate(10, resample=Image.Resampling.BICUBIC, fillcolor=WHITE)
