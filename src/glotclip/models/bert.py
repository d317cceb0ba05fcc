"""BERT and its relatives (RoBERTa, XLM-R, DistilBERT, MiniLM, E5, LaBSE) of transformers, as post-norm towers.

Shapes: W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch

from glotclip.errors import CheckpointError, ConfigError
from glotclip.models import configs, keymaps
from glotclip.models.known_keys import known_keys
from glotclip.models.text_tower import TextConfig, TextTower


class Family(NamedTuple):
    """What a model type of transformers does of itself.

    Attributes:
        prefix: what its tensors' names begin with where a head stands beside it.
        tokenizer: its tokenizer's class where no file names one.
        pad_id: its padding id where the configuration is silent.
        counts: whether positions are counted from the padding id on, not from 0.
    """

    prefix: str
    tokenizer: str
    pad_id: int = 0
    counts: bool = False


FAMILIES = {
    "bert": Family("bert.", "BertTokenizer"),
    "distilbert": Family("distilbert.", "DistilBertTokenizer"),
    "roberta": Family("roberta.", "RobertaTokenizer", 1, counts=True),
    "xlm-roberta": Family("roberta.", "XLMRobertaTokenizer", 1, counts=True),
}

# Our names of sizes → BERT's.
_SIZES = {
    "width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads",
    "mlp_width": "intermediate_size", "vocab_size": "vocab_size", "context_length": "max_position_embeddings",
}  # fmt: skip
# DistilBERT's names → BERT's.
_SETTINGS = {
    "dim": "hidden_size", "hidden_dim": "intermediate_size", "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads", "activation": "hidden_act",
}  # fmt: skip
_TENSORS = {
    "transformer.layer.": "encoder.layer.", "attention.q_lin": "attention.self.query",
    "attention.k_lin": "attention.self.key", "attention.v_lin": "attention.self.value",
    "attention.out_lin": "attention.output.dense", "sa_layer_norm": "attention.output.LayerNorm",
    "ffn.lin1": "intermediate.dense", "ffn.lin2": "output.dense", "output_layer_norm": "output.LayerNorm",
}  # fmt: skip
_OLD = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}  # BERT's first checkpoints
_KINDS, _PLACES = "embeddings.token_type_embeddings.weight", "embeddings.position_embeddings.weight"


class Bert(NamedTuple):
    """What the configuration of one says.

    Attributes:
        text: the tower, whose projection is the identity.
        pad_id: fills a batch.
        unused: rows of the table of positions before that of a text's first token.
    """

    text: TextConfig
    pad_id: int
    unused: int


def bert_config(config: Mapping[str, Any], pooling: Literal["mean", "first"], where: str) -> Bert:
    """The geometry that a ``config.json`` describes, of a model type among :data:`FAMILIES`.

    Raises:
        CheckpointError: naming the keys that are not understood, or what is missing or wrong.
    """
    kind = config["model_type"]
    values = known_keys("distilbert encoder" if kind == "distilbert" else "encoder").read(config, where)
    values = {"layer_norm_eps": 1e-12, **{_SETTINGS.get(key, key): value for key, value in values.items()}}
    pad_id = values.get("pad_token_id", FAMILIES[kind].pad_id)
    try:
        unused = int(pad_id) + 1 if FAMILIES[kind].counts else 0
        sizes: dict[str, Any] = {ours: int(values[theirs]) for ours, theirs in _SIZES.items()}
        sizes["context_length"] -= unused
        text = TextConfig(
            **sizes, embed_dim=sizes["width"], activation=configs.activation(values["hidden_act"]), causal=False,
            pooling=pooling, norm_eps=values["layer_norm_eps"], norms="post",
        )  # fmt: skip
    except (TypeError, ValueError, ZeroDivisionError, ConfigError) as error:
        raise CheckpointError(f"{where}: {error}", hint="fetch the checkpoint again") from error
    if min(sizes.values()) < 1:
        raise CheckpointError(f"{where}: sizes of {sizes} make no tower", hint="fetch the checkpoint again")
    return Bert(text, int(pad_id), unused)


def bert_names(source: Mapping[str, torch.Tensor], kind: str) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors under the names of transformers' ``BertModel``, without heads that stand beside it."""
    prefix = FAMILIES[kind].prefix
    if any(name.startswith(prefix) for name in source):
        source = {name.removeprefix(prefix): tensor for name, tensor in source.items() if name.startswith(prefix)}
    renames = {**_OLD, **(_TENSORS if kind == "distilbert" else {})}
    named = {}
    for name, tensor in source.items():
        for theirs, ours in renames.items():
            name = name.replace(theirs, ours)
        named[name] = tensor
    if kind == "distilbert" and _PLACES in named:
        named.setdefault(_KINDS, torch.zeros(1, named[_PLACES].shape[-1]))  # it has no types of tokens
    return named


def bert_tensors(
    source: Mapping[str, torch.Tensor], config: TextConfig, where: str, unused: int = 0
) -> dict[str, torch.Tensor]:
    """The tensors of a ``BertModel`` as those of a post-norm tower whose projection is the identity.

    Every token is of the first type, whose row is added to all positions; ``unused`` positions come before that of a
    text's first token (XLM-R).

    Raises:
        CheckpointError: naming every tensor that is missing, of a wrong shape, or unknown.
    """
    with torch.device("meta"):
        shapes = {f"text.{key}": tensor.shape for key, tensor in TextTower(config).state_dict().items()}
    named = {f"transformer.{key}": tensor[:1] if key == _KINDS else tensor for key, tensor in source.items()}
    named["LinearTransformation.weight"] = torch.eye(config.width)
    rules = [rule for rule in keymaps.rules("multilingual", {"text": config.layers}) if rule.ours in shapes]
    tensors = keymaps.convert(named, rules, shapes, where=where, also=keymaps.MULTILINGUAL_POOLER, unused=unused)
    return {key.removeprefix("text."): tensor for key, tensor in tensors.items()}
