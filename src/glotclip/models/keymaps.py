"""How the tensors of other projects' checkpoints are named, and what they are called here.

A rule says which tensors of the checkpoint make up one of ours, and how: ``same`` as it is, ``join`` several rows
upon rows (we keep queries, keys and values in one map), ``turn`` transposed, ``flat`` as a vector, ``fold`` without
the rows of positions that no token ever gets, and with a row added to all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import torch

from glotclip.errors import CheckpointError

LEAVES = ("weight", "bias")

# Constants that some versions saved beside the weights.
IGNORED = (".position_ids", "attn_mask", "input_resolution", "context_length", "vocab_size", ".num_batches_tracked")


class Rule(NamedTuple):
    """Our tensor ``ours`` is made of the tensors ``theirs``."""

    ours: str
    theirs: tuple[str, ...]
    how: Literal["same", "join", "turn", "flat", "fold"] = "same"
    unused: int = 0  # rows that "fold" leaves out at the start


def hugging_face(layers: tuple[int, int], *, siglip: bool) -> list[Rule]:
    """Rules for ``CLIPModel`` and ``SiglipModel``; ``layers`` counts text and vision blocks."""
    text, vision = "text_model.", "vision_model."
    rules = [
        Rule("text.table", (f"{text}embeddings.token_embedding.weight",)),
        Rule("text.positions", (f"{text}embeddings.position_embedding.weight",)),
        Rule("vision.positions", (f"{vision}embeddings.position_embedding.weight",)),
        *_pair("vision.patch", f"{vision}embeddings.patch_embedding", LEAVES if siglip else LEAVES[:1]),
        *_pair("text.norm", f"{text}final_layer_norm"),
        *_pair("vision.post_norm", f"{vision}post_layernorm"),
    ]
    for side, count in (("text", layers[0]), ("vision", layers[1])):
        for k in range(count):
            ours, theirs = f"{side}.blocks.{k}.", f"{side}_model.encoder.layers.{k}."
            rules += _pair(f"{ours}norm1", f"{theirs}layer_norm1")
            rules += _pair(f"{ours}norm2", f"{theirs}layer_norm2")
            rules += _pair(f"{ours}out", f"{theirs}self_attn.out_proj")
            rules += _pair(f"{ours}up", f"{theirs}mlp.fc1")
            rules += _pair(f"{ours}down", f"{theirs}mlp.fc2")
            for leaf in LEAVES:
                parts = tuple(f"{theirs}self_attn.{part}_proj.{leaf}" for part in "qkv")
                rules.append(Rule(f"{ours}qkv.{leaf}", parts, "join"))
    if not siglip:
        return [
            *rules,
            Rule("text.projection.weight", ("text_projection.weight",)),
            Rule("vision.projection.weight", ("visual_projection.weight",)),
            Rule("vision.class_token", (f"{vision}embeddings.class_embedding",), "flat"),
            *_pair("vision.pre_norm", f"{vision}pre_layrnorm"),
        ]
    head = f"{vision}head."
    return [
        *rules,
        *_pair("text.projection", f"{text}head"),
        Rule("vision.head.probe", (f"{head}probe",), "flat"),
        Rule("vision.head.qkv.weight", (f"{head}attention.in_proj_weight",)),
        Rule("vision.head.qkv.bias", (f"{head}attention.in_proj_bias",)),
        *_pair("vision.head.out", f"{head}attention.out_proj"),
        *_pair("vision.head.norm", f"{head}layernorm"),
        *_pair("vision.head.up", f"{head}mlp.fc1"),
        *_pair("vision.head.down", f"{head}mlp.fc2"),
    ]


# What a Multilingual-CLIP checkpoint holds and never uses: the mean is read instead.
MULTILINGUAL_POOLER = tuple(f"transformer.pooler.dense.{leaf}" for leaf in LEAVES)


def multilingual(layers: int, *, unused: int) -> list[Rule]:
    """Rules for the text tower of Multilingual-CLIP: an ``XLMRobertaModel`` and a linear map.

    Args:
        layers: of the transformer.
        unused: rows of the position table before that of a text's first token. XLM-R counts positions from its
            padding id plus one on; and since all tokens are of one type, the type's row is part of every position.
    """
    embeddings = "transformer.embeddings."
    position, kind = (f"{embeddings}{name}_embeddings.weight" for name in ("position", "token_type"))
    rules = [
        Rule("text.table", (f"{embeddings}word_embeddings.weight",)),
        Rule("text.positions", (position, kind), "fold", unused),
        *_pair("text.embed_norm", f"{embeddings}LayerNorm"),
        *_pair("text.projection", "LinearTransformation"),
    ]
    for k in range(layers):
        ours, theirs = f"text.blocks.{k}.", f"transformer.encoder.layer.{k}."
        rules += _pair(f"{ours}out", f"{theirs}attention.output.dense")
        rules += _pair(f"{ours}norm1", f"{theirs}attention.output.LayerNorm")
        rules += _pair(f"{ours}up", f"{theirs}intermediate.dense")
        rules += _pair(f"{ours}down", f"{theirs}output.dense")
        rules += _pair(f"{ours}norm2", f"{theirs}output.LayerNorm")
        for leaf in LEAVES:
            parts = tuple(f"{theirs}attention.self.{part}.{leaf}" for part in ("query", "key", "value"))
            rules.append(Rule(f"{ours}qkv.{leaf}", parts, "join"))
    return rules


Projection = Literal["matrix", "linear", "biased"]


def openai(layers: tuple[int, int], *, text: str = "", projection: Projection = "matrix") -> list[Rule]:
    """Rules for OpenAI's layout, which open_clip shares.

    Args:
        layers: text and vision blocks.
        text: what the text tower's names begin with (``text.`` in some of open_clip's models).
        projection: whether the text projection is a matrix (W, E), or a linear map without or with a bias.
    """
    rules = [
        Rule("text.table", (f"{text}token_embedding.weight",)),
        Rule("text.positions", (f"{text}positional_embedding",)),
        *_pair("text.norm", f"{text}ln_final"),
        *_blocks("text", f"{text}transformer.", layers[0]),
        Rule("vision.patch.weight", ("visual.conv1.weight",)),
        Rule("vision.class_token", ("visual.class_embedding",)),
        Rule("vision.positions", ("visual.positional_embedding",)),
        *_pair("vision.pre_norm", "visual.ln_pre"),
        *_pair("vision.post_norm", "visual.ln_post"),
        *_blocks("vision", "visual.transformer.", layers[1]),
        Rule("vision.projection.weight", ("visual.proj",), "turn"),
    ]
    if projection == "matrix":
        return [*rules, Rule("text.projection.weight", (f"{text}text_projection",), "turn")]
    leaves = LEAVES if projection == "biased" else LEAVES[:1]
    return [*rules, *_pair("text.projection", f"{text}text_projection", leaves)]


def _pair(ours: str, theirs: str, leaves: Iterable[str] = LEAVES) -> list[Rule]:
    return [Rule(f"{ours}.{leaf}", (f"{theirs}.{leaf}",)) for leaf in leaves]


def _blocks(side: str, prefix: str, count: int) -> list[Rule]:
    rules: list[Rule] = []
    for k in range(count):
        ours, theirs = f"{side}.blocks.{k}.", f"{prefix}resblocks.{k}."
        rules += _pair(f"{ours}norm1", f"{theirs}ln_1")
        rules += _pair(f"{ours}norm2", f"{theirs}ln_2")
        rules += _pair(f"{ours}out", f"{theirs}attn.out_proj")
        rules += _pair(f"{ours}up", f"{theirs}mlp.c_fc")
        rules += _pair(f"{ours}down", f"{theirs}mlp.c_proj")
        rules += [Rule(f"{ours}qkv.{leaf}", (f"{theirs}attn.in_proj_{leaf}",)) for leaf in LEAVES]
    return rules


def convert(
    source: Mapping[str, torch.Tensor],
    rules: Iterable[Rule],
    shapes: Mapping[str, torch.Size],
    *,
    where: str,
    also: Iterable[str] = (),
) -> dict[str, torch.Tensor]:
    """Rename and reshape a checkpoint's tensors to ours, in float32.

    Args:
        source: the checkpoint.
        rules: one for each of our tensors.
        shapes: what each of our tensors must have.
        where: what an error calls the checkpoint.
        also: tensors of the checkpoint that are read elsewhere.

    Raises:
        CheckpointError: naming every tensor that is missing, of a wrong shape, or unknown.
    """
    result: dict[str, torch.Tensor] = {}
    missing: list[str] = []
    wrong: list[str] = []
    used = set(also)
    for rule in rules:
        used.update(rule.theirs)
        absent = [name for name in rule.theirs if name not in source]
        if absent:
            missing += absent
            continue
        parts = [source[name] for name in rule.theirs]
        tensor = _combine(parts, rule)
        if tensor is None or tensor.shape != shapes[rule.ours]:
            got = ", ".join(str(tuple(part.shape)) for part in parts)
            wrong.append(f"{' + '.join(rule.theirs)} is {got}, for {tuple(shapes[rule.ours])}")
            continue
        result[rule.ours] = tensor.to(torch.float32).contiguous()
    unknown = [name for name in source if name not in used and not name.endswith(IGNORED)]
    complaints = [
        f"{title}: {', '.join(names[:8])}{f' and {len(names) - 8} more' if len(names) > 8 else ''}"
        for title, names in (("missing", missing), ("of a wrong shape", wrong), ("unknown", sorted(unknown)))
        if names
    ]
    if complaints:
        raise CheckpointError(
            f"the tensors of {where} do not fit its configuration — {'; '.join(complaints)}",
            hint="the file may be damaged, or belong to another configuration; fetch weights and configuration again",
        )
    return result


def _combine(parts: list[torch.Tensor], rule: Rule) -> torch.Tensor | None:
    """Apply a rule; None where shapes forbid it."""
    first = parts[0]
    if rule.how == "join":
        return torch.cat(parts) if all(part.shape == first.shape and part.dim() for part in parts) else None
    if rule.how == "turn":
        return first.t() if first.dim() == 2 else None
    if rule.how == "fold":
        return first[rule.unused :].float() + parts[1].float() if parts[1].shape == (1, *first.shape[1:]) else None
    return first.reshape(-1) if rule.how == "flat" else first
