"""Teacher and student: another text encoder in the place of the base's tower, taught to give the base's features.

The base's features of English texts are what the student aims at, by their mean square error, for translations
(Multilingual-CLIP: Carlsson et al. 2022, "Cross-lingual and Multilingual CLIP") and for the English texts themselves
(Reimers & Gurevych 2020, "Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation", § 2). A
linear map with bias takes what the student pools to the base's space; before the first step it is solved by ridge
regression (:mod:`glotclip.methods.ridge`).

Shapes: B texts, N texts that are solved from, W width of the student, E embedding of the base, V rows of its table.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
import torch
from pydantic import Field, ValidationError, model_validator
from torch import nn
from torch.nn import functional as F

from glotclip.config import Settings
from glotclip.errors import ConfigError, PackError
from glotclip.methods.module import ALL, TextModule, check_same, check_tensors, draw_linear, register_method
from glotclip.methods.objective import Learns, MethodSettings
from glotclip.methods.ridge import Ridge
from glotclip.methods.tuning import around, own_weights
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.hooks import BlockHooks
from glotclip.models.text_encoders import KINDS, Pooling, TextEncoder, find_encoder, load_encoder, projected
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import HfTokenizer, Tokenizer

if TYPE_CHECKING:
    from glotclip.methods.task import TrainingTask

_DAMAGED = "get the pack again"
_USUAL_WIDTH = 768  # of XLM-R base, BERT, LaBSE: what a projection is counted at where no encoder is named
_CHUNK = 4096  # texts that are encoded before they are summed up


class EncoderConfig(MethodSettings):
    """A text encoder that stands in for the base's tower, and what of it trains."""

    encoder: str | None = Field(
        None,
        description="the text encoder: a folder or an id of the hub with a BERT, XLM-R, RoBERTa or DistilBERT, or a "
        "base, whose text tower is taken; required",
    )
    encoder_pooling: Pooling = Field(
        "auto",
        description="what of the encoder's tokens is read: the 'mean', or the 'first'; 'auto': as its folder says "
        "(1_Pooling), else the mean",
    )
    encoder_prefix: str = Field("", description="put before every text; E5 wants 'query: ' (photo-e5 has it already)")
    encoder_start: Literal["solved", "random"] = Field(
        "solved", description="the projection before the first step: 'solved' by ridge regression, or drawn"
    )
    encoder_ridge: float = Field(
        0.1, gt=0, description="solved: the penalty λ, as a share of the mean variance of the encoder's numbers"
    )
    encoder_pairs: int = Field(
        10_000, ge=1, description="solved: texts it is solved from, drawn where there are more"
    )
    encoder_layers: int = Field(
        2, ge=-1, description="last layers of the encoder that train; 0: its projection alone; -1: all"
    )
    encoder_table: bool = Field(
        False, description="train its token table, positions and outer norms too: with encoder_layers=-1, everything"
    )
    learns: Learns = Field(
        "both",
        description="which texts it is taught to read: the 'captions', their 'english' counterparts and English "
        "captions alone, or 'both'",
    )

    @property
    def learnt_texts(self) -> Learns:
        """As set."""
        return self.learns

    @model_validator(mode="after")
    def _solvable(self) -> EncoderConfig:
        if self.encoder_start == "solved" and (not self.cross_lingual or self.target_encoder != "frozen"):
            raise ValueError("encoder_start=solved needs target_encoder=frozen and cross_lingual above 0")
        return self


class Stored(Settings):
    """What a pack says of its encoder, beside the weights.

    ``geometry`` is there where all weights are stored, and then no other file is needed.
    """

    source: str
    fingerprint: str
    pooling: Pooling
    prefix: str
    layers: int
    table: bool
    geometry: dict[str, Any] | None = None


@register_method(
    "encoder",
    "another text encoder in the tower's place, under a projection (Multilingual-CLIP, sentence-transformers)",
    defaults={"cross_modal": 0.0, "lr": 1e-4, "weight_decay": 0.0},
)
class Encoder(TextModule):
    """A text encoder in the place of the base's tower: its projection, and changed copies of weights of its own.

    What does not train is the encoder's, which a pack names by its source and fingerprint.

    Args:
        encoder: the frozen encoder.
        embed_dim: E.
        facts: as in :class:`Stored`, pooling and prefix as they were asked for.
    """

    Config = EncoderConfig
    replaces_tower = True
    replaces_embedding = True  # by the encoder's own

    def __init__(self, encoder: TextEncoder, embed_dim: int, facts: Stored) -> None:
        nn.Module.__init__(self)
        self.encoder, self.embed_dim, self.stored = encoder, embed_dim, facts
        layers = encoder.text.config.layers
        self.first = layers - facts.layers  # the first block that trains
        self.projection = nn.Parameter(torch.empty(embed_dim, encoder.width))
        self.bias = nn.Parameter(torch.empty(embed_dim))
        self.blocks = nn.ModuleList(
            nn.ParameterDict({name: torch.empty(tensor.shape) for name, tensor in own_weights(block).items()})
            for block in encoder.text.blocks[self.first :]
        )
        outer = _outer(encoder.text) if facts.table else {}
        self._names = {name: name.replace(".", "_") for name in outer}  # a parameter's name must have no dots
        self.around = nn.ParameterDict({self._names[name]: torch.empty(each.shape) for name, each in outer.items()})
        self.rows = nn.Parameter(torch.empty(encoder.text.table.shape)) if facts.table else None

    # --- in the tower ----------------------------------------

    def tower(self, own: TextTower) -> TextTower:
        """The encoder's, on the device of the base's."""
        return self.encoder.tower(self.embed_dim, own.table.device)

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        """The projection; positions and norms where they train."""
        changed = {name: self.around[held] for name, held in self._names.items()}
        return {**changed, "projection.weight": self.projection, "projection.bias": self.bias}

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids among the rows that train, or in the encoder's table (V, W)."""
        return F.embedding(ids, table if self.rows is None else self.rows)

    def block_hooks(self, k: int) -> BlockHooks | None:
        """All weights of block ``k``, if it trains."""
        return BlockHooks(weights=self._block(k)) if k >= self.first else None

    def _block(self, k: int) -> dict[str, torch.Tensor]:
        return dict(cast(nn.ParameterDict, self.blocks[k - self.first]).items())

    # --- training ----------------------------------------

    @classmethod
    def check_base(cls, config: Any, base: DualEncoder) -> None:
        """Load the encoder, and see whether it has what shall train."""
        with torch.device("meta"):
            cls._made(config, base.embed_dim)

    @classmethod
    def sources(cls, config: Any) -> Mapping[str, str]:
        """The encoder's fingerprint."""
        return {"encoder": _named(config).fingerprint}

    @classmethod
    def scopes(cls, config: Any, task: TrainingTask) -> tuple[str, ...]:
        """One for all languages of a shared pack, else one a language."""
        return (ALL,) if config.isolation == "shared" else task.languages

    @classmethod
    def tokenizer_for(cls, config: Any, task: TrainingTask) -> Tokenizer | None:
        """The encoder's own."""
        return _named(config).tokenizer

    @classmethod
    def new(cls, config: Any, task: TrainingTask) -> Encoder:
        """A module with the encoder's weights and a projection, on the processor."""
        module = cls._made(config, task.base.embed_dim)
        with torch.no_grad():
            module.copy_encoder()
            module.start(config, task)
        return module

    @classmethod
    def for_task(cls, config: Any, task: TrainingTask) -> dict[str, TextModule]:
        """New modules, or those of the pack, which go on training; nothing is solved anew for them."""
        modules: dict[str, TextModule] = {}
        for scope in cls.scopes(config, task):
            present = task.previous_module(cls.kind, scope)
            module = (
                cls.new(config, task) if present is None else present.resumed(cls._made(config, task.base.embed_dim))
            )
            modules[scope] = module.to(task.base.device)
        return modules

    @classmethod
    def _made(cls, config: EncoderConfig, embed_dim: int) -> Self:
        """The module that settings ask for, without values."""
        encoder = _named(config)
        geometry = encoder.text.config
        layers = geometry.layers if config.encoder_layers < 0 else config.encoder_layers
        if layers > geometry.layers:
            raise ConfigError(
                f"{encoder.source} has {geometry.layers} layers, and {layers} of them shall train",
                hint=f"set encoder_layers to at most {geometry.layers}, or to -1",
            )
        # CLIP's tokenizer cannot be stored in a pack of its own, so its tower is always referred to.
        whole = config.encoder_table and layers == geometry.layers and isinstance(encoder.tokenizer, HfTokenizer)
        facts = Stored(
            source=encoder.source, fingerprint=encoder.fingerprint, pooling=config.encoder_pooling,
            prefix=config.encoder_prefix, layers=layers, table=config.encoder_table,
            geometry=projected(geometry, embed_dim).record() if whole else None,
        )  # fmt: skip
        module = cls(encoder, embed_dim, facts)
        module.config = config
        return module

    def copy_encoder(self) -> None:
        """Set everything but the projection to the encoder's weights."""
        text = self.encoder.text
        for k in range(self.first, text.config.layers):
            theirs = own_weights(text.blocks[k])
            for name, tensor in self._block(k).items():
                tensor.copy_(theirs[name])
        for name, tensor in _outer(text).items() if self._names else ():
            self.around[self._names[name]].copy_(tensor)
        if self.rows is not None:
            self.rows.copy_(text.table)

    def start(self, config: EncoderConfig, task: TrainingTask) -> None:
        """Solve or draw the projection."""
        if config.encoder_start == "random":
            draw_linear(self.projection, self.bias, task.generator)
            return
        texts, targets = _pairs(task, config.encoder_pairs)
        if len(texts) < 2:
            raise ConfigError(
                f"the projection cannot be solved from {len(texts)} texts with English counterparts",
                hint="give more texts, or set encoder_start=random",
            )
        solve = Ridge(self.encoder.width, self.embed_dim)
        reading = self.encoder.reading()
        for begin in range(0, len(texts), _CHUNK):
            tokens = self.encoder.tokenizer.encode(texts[begin : begin + _CHUNK])
            solve.add(task.base.encode_tokens(tokens, reading).cpu(), targets[begin : begin + _CHUNK])
        weight, bias = solve.solved(config.encoder_ridge)
        self.projection.copy_(weight)
        self.bias.copy_(bias)

    def resumed(self, new: TextModule) -> TextModule:
        """A trainable copy; the same encoder may lie elsewhere by now."""
        assert isinstance(new, Encoder)
        check_same(self.kind, {**self.description(), "source": new.stored.source}, new.description())
        module = copy.deepcopy(self).requires_grad_(True)
        module.config, module.stored = new.config, new.stored
        return module

    # --- storing ----------------------------------------

    @property
    def own_tokenizer(self) -> Tokenizer | None:
        """The encoder's, unless the pack holds all of the encoder, and so its tokenizer as well."""
        return None if self.stored.geometry else self.encoder.tokenizer

    @classmethod
    def stored_weights(cls, text: TextConfig, config: Any) -> int:
        """The projection of an encoder of usual width, 768; layers that train come on top."""
        return text.embed_dim * (_USUAL_WIDTH + 1)

    def description(self) -> dict[str, Any]:
        """Which encoder it is, and what of it is stored."""
        return self.stored.model_dump(mode="json")

    @classmethod
    def restore(cls, base: DualEncoder, tensors: Mapping[str, torch.Tensor], description: Mapping[str, Any]) -> Self:
        """Rebuild the module from what a pack stores and the encoder that it names.

        Raises:
            PackError: if the pack is damaged.
            CheckpointError: if the encoder cannot be found.
            FingerprintError: if another encoder lies in its place.
        """
        try:
            facts = Stored.model_validate(dict(description))
            geometry = TextConfig(**facts.geometry) if facts.geometry else None
        except (ValidationError, TypeError, ConfigError) as error:
            raise PackError(
                f"the {cls.kind} module's description does not make sense: {error}", hint=_DAMAGED
            ) from error
        if geometry is not None:
            with torch.device("meta"):
                text = TextTower(geometry)
            encoder = TextEncoder(facts.source, text, base.tokenizer)  # the pack's tokenizer is read with the pack
        else:
            encoder = find_encoder(facts.source, pooling=facts.pooling, prefix=facts.prefix, wanted=facts.fingerprint)
        if not 0 <= facts.layers <= encoder.text.config.layers:
            raise PackError(f"the {cls.kind} module names {facts.layers} layers", hint=_DAMAGED)
        with torch.device("meta"):
            module = cls(encoder, base.embed_dim, facts)
        check_tensors(cls.kind, {name: p.shape for name, p in module.named_parameters()}, tensors)
        module.load_state_dict({name: t.float().to(base.device) for name, t in tensors.items()}, assign=True)
        if geometry is not None:
            encoder.text.load_state_dict(module.whole_state(), assign=True)
        return module.requires_grad_(False)

    def whole_state(self) -> dict[str, torch.Tensor]:
        """The tower's tensors by name, where the module has all of them."""
        blocks = {
            f"blocks.{k}.{stem}": self._block(k)[name].detach()
            for k in range(len(self.blocks))
            for name, stem in _STEMS.items()
        }
        assert self.rows is not None
        around = {name: tensor.detach() for name, tensor in self.parameter_overrides().items()}
        return {**blocks, **around, "table": self.rows.detach()}


_STEMS = {
    f"{stem}{ending}": f"{stem}.{leaf}"
    for stem in ("norm1", "qkv", "out", "norm2", "up", "down")
    for ending, leaf in (("", "weight"), ("_bias", "bias"))
}  # a block's weights by the hooks' names → by the tower's


def _named(config: EncoderConfig) -> TextEncoder:
    """The encoder that settings name."""
    if not config.encoder:
        raise ConfigError(
            "the method encoder needs a text encoder",
            hint=f"name its folder, or its id on the hub: --set encoder=FOLDER. It reads {KINDS}",
        )
    return load_encoder(config.encoder, pooling=config.encoder_pooling, prefix=config.encoder_prefix)


def _outer(text: TextTower) -> dict[str, torch.Tensor]:
    """A tower's tensors around its blocks, by name, without table and projection."""
    return {name: tensor for name, tensor in around(text).items() if not name.startswith("projection.")}


def _pairs(task: TrainingTask, most: int) -> tuple[list[str], torch.Tensor]:
    """Texts of a task that have a target, at most so many, and their target features (N, E)."""
    texts: list[str] = []
    targets: list[np.ndarray[Any, np.dtype[np.float32]]] = []
    for code, own in task.texts.items():
        if (features := task.target_features.get(code)) is None:
            continue
        places = np.flatnonzero(features.rows >= 0)
        texts += [own[place] for place in places.tolist()]
        targets.append(np.asarray(features.array[features.rows[places]]))
    if not texts:
        return [], torch.zeros(0)
    chosen = torch.randperm(len(texts), generator=task.generator)[:most].sort().values
    return [texts[place] for place in chosen.tolist()], torch.from_numpy(np.concatenate(targets))[chosen]
