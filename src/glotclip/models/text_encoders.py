"""Text encoders without an image tower: what the method ``encoder`` teaches to speak a base's features.

A source is a folder or an id of the hub with a BERT, XLM-R or DistilBERT of transformers, also in a folder of
sentence-transformers, or a base, whose text tower is meant. A linear map of another size is put on the tower's pooled
hidden state; what the encoder had there itself (a pooler, sentence-transformers' dense layers) is not read.

Shapes: B texts, W width, E embedding of the base.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from weakref import WeakValueDictionary

import torch

from glotclip import storage
from glotclip.errors import CheckpointError, ConfigError, FingerprintError, MissingExtraError
from glotclip.fingerprint import fingerprint
from glotclip.models import layouts, tokenizer_files, weights
from glotclip.models.bert import FAMILIES, bert_config, bert_names, bert_tensors
from glotclip.models.checkpoints import load_base
from glotclip.models.hooks import TextHooks
from glotclip.models.hub import is_name, locate
from glotclip.models.known_keys import read_table
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import HfTokenizer, Tokenizer

Pooling = Literal["auto", "mean", "first"]
KINDS = f"{', '.join(FAMILIES)} of transformers, or any base's text tower"
PUT_ASIDE = "encoders"  # the folder of the cache in which an encoder is looked for that is not where it was


@dataclass(frozen=True, eq=False)
class TextEncoder:
    """A frozen text tower with its tokenizer; packs of many languages share one in memory.

    Attributes:
        source: where it is loaded from: a built-in name, an id of the hub, or an absolute path.
        text: the tower; its own projection is passed over.
        tokenizer: the tower's.
    """

    source: str
    text: TextTower
    tokenizer: Tokenizer
    _towers: dict[tuple[int, torch.device], TextTower] = field(default_factory=dict)

    def __deepcopy__(self, memo: object) -> TextEncoder:
        return self

    @property
    def width(self) -> int:
        """W, of what a projection reads."""
        return self.text.config.width

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides what a projection reads: weights, geometry, tokenizer."""
        held = {name: tensor for name, tensor in self.text.state_dict().items() if not _on_top(name)}
        geometry = str(sorted(projected(self.text.config, 1).record().items()))
        return fingerprint(held, text=geometry, tokenizer=self.tokenizer.identity)

    def tower(self, embed_dim: int, device: torch.device) -> TextTower:
        """The tower under a linear map with bias to E dimensions, which is zero until hooks give another.

        Its other weights are this encoder's own, on a device that is not the processor a copy.
        """
        key = (embed_dim, device)
        if key not in self._towers:
            self._towers[key] = under_projection(self.text, embed_dim, device)
        return self._towers[key]

    def reading(self) -> Reading:
        """Hooks that give the pooled hidden state (B, W) instead of features."""
        return Reading(self)


class Reading(TextHooks):
    """Hooks that put a text encoder in the tower's place, under the identity: features are what it pools, (B, W)."""

    replaces_tower = True

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self._encoder = encoder
        self._identity = torch.eye(encoder.width)

    def tower(self, own: TextTower) -> TextTower:
        """The encoder's."""
        self._identity = self._identity.to(own.table.device)
        return self._encoder.tower(self._encoder.width, own.table.device)

    def parameter_overrides(self) -> Mapping[str, torch.Tensor]:
        """The identity as projection."""
        return {"projection.weight": self._identity}


def projected(config: TextConfig, embed_dim: int) -> TextConfig:
    """A tower's geometry under a linear map with bias to so many dimensions."""
    return replace(config, embed_dim=embed_dim, projection_bias=True, centred=False)


def under_projection(text: TextTower, embed_dim: int, device: torch.device) -> TextTower:
    """A frozen tower of the same weights, but for its projection, which is zero."""
    with torch.device("meta"):
        tower = TextTower(projected(text.config, embed_dim))
    state = {name: tensor.to(device) for name, tensor in text.state_dict().items() if not _on_top(name)}
    state["projection.weight"] = torch.zeros(embed_dim, text.config.width, device=device)
    state["projection.bias"] = torch.zeros(embed_dim, device=device)
    tower.load_state_dict(state, assign=True)
    return tower.eval().requires_grad_(False)


def _on_top(name: str) -> bool:
    return name.startswith("projection.") or name == "center"


_loaded: WeakValueDictionary[tuple[Any, ...], TextEncoder] = WeakValueDictionary()


def load_encoder(source: str, *, pooling: Pooling = "auto", prefix: str = "") -> TextEncoder:
    """Load a text encoder, or return the one that this process has loaded of the same files.

    Args:
        source: a folder, an id of the hub, or a base.
        pooling: ``mean`` over a text's tokens, or the ``first``; ``auto``: as the folder says
            (``1_Pooling/config.json``, of sentence-transformers), else the mean. A base is read as it reads itself.
        prefix: put before every text, as E5 wants "query: ". photo-e5 has it already.

    Raises:
        CheckpointError: not found, of a family that is not read, damaged, or without a tokenizer.
        ConfigError: pooling or prefix do not go with the encoder, or its tower reads padding.
    """
    here = Path(source).expanduser()
    name = str(here.absolute()) if here.exists() else source
    path = None if "+" in name and not here.exists() else locate(name)  # two of them: a Multilingual-CLIP and a CLIP
    key = (name, pooling, prefix, *(_stamps(path) if path else ()))
    if (known := _loaded.get(key)) is not None:
        return known
    folder = None if path is None else _transformer(path)
    if folder is not None and path is not None:
        text, tokenizer = _read(folder, pooling_of(path) if pooling == "auto" else pooling)
    else:
        text, tokenizer = _of_base(name, path, pooling)
    made = TextEncoder(name, text.eval().requires_grad_(False), _prefixed(tokenizer, prefix, source))
    _loaded[key] = made
    return made


def find_encoder(source: str, *, pooling: Pooling, prefix: str, wanted: str) -> TextEncoder:
    """Load the text encoder of a pack; one that is no longer where it was is looked for by its name in the cache.

    Args:
        source: where it was when the pack was made.
        pooling: as it was.
        prefix: as it was.
        wanted: its fingerprint.

    Raises:
        CheckpointError: it is nowhere, or cannot be read; the hint says how to get it.
        FingerprintError: what is found has other weights or another tokenizer.
    """
    aside = storage.cache_root() / PUT_ASIDE / Path(source.replace("\\", "/")).name
    name = str(aside) if not is_name(source) and not Path(source).exists() and aside.exists() else source
    try:
        found = load_encoder(name, pooling=pooling, prefix=prefix)
    except MissingExtraError:
        raise  # which says what to install
    except CheckpointError as error:
        way = f"hf download {source}" if is_name(source) else f"put its folder back there, or at {aside}"
        raise CheckpointError(
            f"the pack needs the text encoder {source} ({wanted}), which cannot be loaded: {error.message}", hint=way
        ) from error
    if found.fingerprint != wanted:
        raise FingerprintError(
            f"the pack was made with the text encoder {source} ({wanted}); what is there now has other weights or "
            f"another tokenizer ({found.fingerprint})",
            hint=f"put the files back that it was made with, or learn the language again: --set encoder={source}",
        )
    return found


def pooling_of(folder: Path) -> Literal["mean", "first"]:
    """How sentence-transformers pools an encoder; the mean where no file says it.

    Raises:
        CheckpointError: it pools in a way that is not read.
    """
    file = folder / "1_Pooling" / "config.json"
    if not file.exists():
        return "mean"
    ways = [name for name, value in read_table(file).items() if name.startswith("pooling_mode_") and value is True]
    read: dict[str, Literal["mean", "first"]] = {
        "pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "first"
    }  # fmt: skip
    if len(ways) != 1 or ways[0] not in read:
        raise CheckpointError(
            f"{file} pools by {' and '.join(ways) or 'nothing'}, which glotclip does not compute",
            hint="choose what is read of its tokens: --set encoder_pooling=mean, or first",
        )
    return read[ways[0]]


def _stamps(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every file at a path, so that one replaced since is loaded anew."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    yield from ((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def _transformer(path: Path) -> Path | None:
    """The folder with an encoder that :mod:`glotclip.models.bert` reads, or None."""
    for folder in (path, path / "0_Transformer"):
        file = folder / layouts.HF_CONFIG
        if file.exists() and read_table(file).get("model_type") in FAMILIES:
            return folder
    return None


def _read(folder: Path, pooling: Literal["mean", "first"]) -> tuple[TextTower, Tokenizer]:
    config = read_table(folder / layouts.HF_CONFIG)
    kind = config["model_type"]
    bert = bert_config(config, pooling, str(folder / layouts.HF_CONFIG))
    with torch.device("meta"):
        text = TextTower(bert.text)
    tensors = bert_names(weights.read_folder(folder, "model"), kind)
    text.load_state_dict(bert_tensors(tensors, bert.text, str(folder), bert.unused), assign=True)
    tokenizer = tokenizer_files.read_hugging_face(
        folder, _context(folder, bert.text.context_length), usual=FAMILIES[kind].tokenizer, pad_id=bert.pad_id,
        sees_padding=False,
    )  # fmt: skip
    if tokenizer.vocab_size > bert.text.vocab_size:
        raise CheckpointError(
            f"the tokenizer in {folder} has {tokenizer.vocab_size} ids, the table {bert.text.vocab_size} rows",
            hint="use the tokenizer files of the same checkpoint",
        )
    return text, tokenizer


def _context(folder: Path, positions: int) -> int:
    """Most tokens of a text: the tower's positions, or what sentence-transformers cuts texts to."""
    file = folder / "sentence_bert_config.json"
    given = read_table(file).get("max_seq_length") if file.exists() else None
    return min(positions, given) if isinstance(given, int) and given > 2 else positions


def _of_base(name: str, path: Path | None, pooling: Pooling) -> tuple[TextTower, Tokenizer]:
    """The text tower of a base, which reads texts as it always does."""
    found = None if path is None else layouts.identify(path)
    if found is not None and found.layout is None:
        raise CheckpointError(f"{name} is {found.what}", hint=f"as a text encoder glotclip reads {KINDS}")
    base = load_base(name)
    if pooling not in ("auto", base.text.config.pooling):
        raise ConfigError(
            f"the text tower of {name} is read by {base.text.config.pooling!r}, not by {pooling!r}",
            hint="leave encoder_pooling out",
        )
    if not base.text.trims:
        raise ConfigError(
            f"the text tower of {name} reads the padding behind its texts, as its own tokenizer fills it",
            hint=f"name another text encoder: {KINDS}",
        )
    return base.text, base.tokenizer


def _prefixed(tokenizer: Tokenizer, prefix: str, source: str) -> Tokenizer:
    """The tokenizer with a prefix before every text; the space between them is none of its own pieces."""
    if not (prefix := prefix.strip()):
        return tokenizer
    if not isinstance(tokenizer, HfTokenizer):
        raise ConfigError(
            f"the tokenizer of {source} takes no prefix", hint="leave encoder_prefix out; E5 and its like want one"
        )
    return tokenizer.with_prefix(prefix)
