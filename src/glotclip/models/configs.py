"""Geometry of both towers from other projects' configurations, or from the shapes of a checkpoint's tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from glotclip.errors import CheckpointError, ConfigError
from glotclip.models.blocks import Activation
from glotclip.models.known_keys import known_keys, stated
from glotclip.models.naflex_tower import NaflexConfig
from glotclip.models.text_tower import TextConfig
from glotclip.models.vision_tower import VisionConfig


class Geometry(NamedTuple):
    """Both towers of a checkpoint."""

    text: TextConfig
    vision: VisionConfig | NaflexConfig


ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}

# Fields of our configurations → transformers' names, the same in all of its towers.
_HUGGING_FACE = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "mlp_width": "intermediate_size",
    "norm_eps": "layer_norm_eps",
}


def hugging_face(config: Mapping[str, Any], where: str = "config.json") -> Geometry:
    """Geometry of a ``CLIPModel``, ``SiglipModel`` or ``Siglip2Model`` from its ``config.json``.

    Raises:
        CheckpointError: naming the keys that are not understood, or what is missing or wrong.
    """
    kind = config["model_type"]
    siglip = kind != "clip"
    known_keys(kind).check(config, where)
    text, vision = (_hugging_face_side(config, side, where) for side in ("text", "vision"))
    with _wrong_values_named(where):
        embed = vision["hidden_size"] if siglip else config.get("projection_dim", 512)
        text_config = TextConfig(
            **_hugging_face_tower(text),
            vocab_size=text["vocab_size"],
            context_length=text["max_position_embeddings"],
            embed_dim=text.get("projection_size", text["hidden_size"]) if siglip else embed,
            causal=not siglip,
            pooling="last" if siglip else "eot",
            projection_bias=siglip,
        )
        tower = {**_hugging_face_tower(vision), "patch_size": _one_side(vision["patch_size"])}
        if kind == "siglip2":
            return Geometry(text_config, NaflexConfig(**tower, patches=vision["num_patches"]))
        tower |= {"image_size": _one_side(vision["image_size"]), "embed_dim": embed}
        return Geometry(text_config, VisionConfig(**tower, pooling="attention" if siglip else "class"))


def _hugging_face_side(config: Mapping[str, Any], side: str, where: str) -> dict[str, Any]:
    """One tower's settings with the class's defaults; ``text_config_dict``, where given, overrules all."""
    known = known_keys(f"{config['model_type']} {side}")
    values = dict(known.defaults)
    for name in (f"{side}_config", f"{side}_config_dict"):
        given = config.get(name)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise CheckpointError(f"{where}: {name} is no table")
        # transformers completes the second table with its defaults before it replaces the first one's values.
        values |= known.read(given, f"{where} ({name})")
    return values


def _hugging_face_tower(side: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{ours: side[theirs] for ours, theirs in _HUGGING_FACE.items()},
        "activation": activation(side["hidden_act"]),
    }


def open_clip(config: Mapping[str, Any], where: str) -> Geometry:
    """Geometry from the ``model_cfg`` of an ``open_clip_config.json`` (its own ViT and transformer).

    Raises:
        CheckpointError: naming towers that are not open_clip's own, keys that are not understood, or what is missing.
    """
    with _wrong_values_named(where):
        text, vision = ({**known_keys(f"open_clip {side}").defaults, **_table(config[f"{side}_cfg"])}
                        for side in ("text", "vision"))  # fmt: skip
        foreign = text.get("hf_model_name") or vision.get("timm_model_name")
        if foreign or isinstance(vision["layers"], list):
            raise CheckpointError(
                f"{where}: the tower {foreign or 'ResNet'} is not one of open_clip's own transformers",
                hint="use this model's version for transformers if there is one (SigLIP has), or a ViT",
            )
        known_keys("open_clip model").check(config, f"{where} (model_cfg)")
        known_keys("open_clip text").check(text, f"{where} (text_cfg)")
        known_keys("open_clip vision").check(vision, f"{where} (vision_cfg)")
        quick = bool(config.get("quick_gelu"))
        return Geometry(
            TextConfig(
                **_open_clip_tower(text, quick, config["embed_dim"], f"{where} (text_cfg)"),
                heads=text["heads"],
                vocab_size=text["vocab_size"],
                context_length=text["context_length"],
                projection_bias=bool(text.get("proj_bias", False)),
            ),
            VisionConfig(
                **_open_clip_tower(vision, quick, config["embed_dim"], f"{where} (vision_cfg)"),
                heads=vision["width"] // vision["head_width"],
                image_size=_one_side(vision["image_size"]),
                patch_size=_one_side(vision["patch_size"]),
            ),
        )


def _open_clip_tower(side: Mapping[str, Any], quick: bool, embed_dim: int, where: str) -> dict[str, Any]:
    return {
        "width": side["width"],
        "layers": side["layers"],
        "mlp_width": int(side["width"] * side["mlp_ratio"]),
        "embed_dim": embed_dim,
        "activation": _open_clip_activation(side, quick, where),
        "norm_eps": _open_clip_eps(side, where),
    }


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("a table of a tower's settings")
    return stated(value)


@contextmanager
def _wrong_values_named(where: str) -> Iterator[None]:
    """Turn what a missing or impossible value raises into an error of the checkpoint."""
    try:
        yield
    except (KeyError, TypeError, ValueError, ZeroDivisionError, ConfigError) as error:
        reason = error.message if isinstance(error, ConfigError) else f"{error} is missing or wrong"
        raise CheckpointError(f"{where}: {reason}") from error


def _open_clip_activation(side: Mapping[str, Any], quick: bool, where: str) -> Activation:
    """The activation, which ``act_kwargs`` may turn into the one approximated by tanh."""
    given = side.get("act_kwargs") or {}
    if not quick and given in ({}, {"approximate": "none"}):
        return "gelu"
    if not quick and given == {"approximate": "tanh"}:
        return "gelu_tanh"
    if quick and not given:
        return "quick_gelu"
    raise CheckpointError(
        f"{where}: act_kwargs = {given!r} with quick_gelu = {quick} is not understood",
        hint="of act_kwargs, approximate: tanh or none is read, without quick_gelu; use a plain CLIP",
    )


def _open_clip_eps(side: Mapping[str, Any], where: str) -> float:
    """What the norms add to the variance, which ``norm_kwargs`` may change."""
    given = dict(side.get("norm_kwargs") or {})
    eps = given.pop("eps", 1e-5)
    if given or not isinstance(eps, float):
        raise CheckpointError(
            f"{where}: norm_kwargs = {side['norm_kwargs']!r} is not understood",
            hint="of norm_kwargs, eps is read; use a plain CLIP",
        )
    return eps


def _one_side(value: Any) -> int:
    """The side of a square, given as a number or as height and width."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or pair[0] != pair[1] or not isinstance(pair[0], int):
        raise ConfigError(f"size {value!r} is no square", hint="glotclip reads towers of square images and patches")
    return pair[0]


def multilingual(facts: Mapping[str, Any], source: Mapping[str, torch.Tensor], where: str) -> TextConfig:
    """Geometry of Multilingual-CLIP's text tower, an XLM-R under a linear map.

    Args:
        facts: what its ``config.json`` says (``numDims`` for E, ``transformerDimensions`` for W), and that of the
            XLM-R it was made from, if there is one. The rest is seen in the shapes; heads are 64 wide then.
        source: the checkpoint.
        where: what an error calls it.
    """
    names = [f"transformer.embeddings.{name}_embeddings.weight" for name in ("word", "position")]
    names += ["transformer.encoder.layer.0.intermediate.dense.weight", "LinearTransformation.weight"]
    missing = [name for name in names if name not in source or source[name].dim() != 2]
    if missing:
        raise CheckpointError(
            f"{where} is not a Multilingual-CLIP over XLM-R: it lacks {', '.join(missing)}",
            hint="of Multilingual-CLIP's models, those over XLM-R can be read",
        )
    (vocabulary, width), (places, _), (inner, _), (embed, _) = (source[name].shape for name in names)
    width = facts.get("transformerDimensions", facts.get("hidden_size", width))
    return TextConfig(
        width=width,
        layers=facts.get("num_hidden_layers", _count(source, "transformer.encoder.layer.")),
        heads=facts.get("num_attention_heads", max(1, width // 64)),
        mlp_width=facts.get("intermediate_size", inner),
        vocab_size=facts.get("vocab_size", vocabulary),
        context_length=facts.get("max_position_embeddings", places) - unused_positions(facts),
        embed_dim=facts.get("numDims", embed),
        activation=activation(facts.get("hidden_act", "gelu")),
        causal=False,
        pooling="mean",
        norm_eps=facts.get("layer_norm_eps", 1e-5),
        projection_bias=True,
        norms="post",
    )


def unused_positions(facts: Mapping[str, Any]) -> int:
    """Rows of XLM-R's position table before that of a text's first token: it counts from the padding id on."""
    return int(facts.get("pad_token_id", 1)) + 1


def openai(source: Mapping[str, torch.Tensor], where: str) -> Geometry:
    """Geometry of a state dict in OpenAI's layout, from its shapes; heads are 64 wide, the activation quick-GELU."""
    names = ["token_embedding.weight", "positional_embedding", "text_projection"]
    names += ["visual.conv1.weight", "visual.positional_embedding", "visual.proj"]
    missing = [name for name in names if name not in source]
    if missing:
        resnet = "; a ResNet image tower is not supported" if "visual.attnpool.c_proj.weight" in source else ""
        raise CheckpointError(
            f"{where} is not a CLIP with ViT in OpenAI's layout: it lacks {', '.join(missing)}{resnet}",
            hint="pass the folder of a Hugging Face or open_clip checkpoint instead",
        )
    side = round((source["visual.positional_embedding"].shape[0] - 1) ** 0.5)
    patch, stated_size = source["visual.conv1.weight"].shape[2], source.get("input_resolution")
    embed_dim = source["text_projection"].shape[1]
    return Geometry(
        TextConfig(
            **_openai_tower(source, "transformer.", source["token_embedding.weight"].shape[1]),
            vocab_size=source["token_embedding.weight"].shape[0],
            context_length=source["positional_embedding"].shape[0],
            embed_dim=embed_dim,
        ),
        VisionConfig(
            **_openai_tower(source, "visual.transformer.", source["visual.conv1.weight"].shape[0]),
            image_size=side * patch if stated_size is None else int(stated_size),
            patch_size=patch,
            embed_dim=embed_dim,
        ),
    )


def _openai_tower(source: Mapping[str, torch.Tensor], prefix: str, width: int) -> dict[str, Any]:
    up = source.get(f"{prefix}resblocks.0.mlp.c_fc.weight")
    return {
        "width": width,
        "layers": _count(source, f"{prefix}resblocks."),
        "heads": max(1, width // 64),
        "mlp_width": 4 * width if up is None else up.shape[0],
    }


def activation(name: str) -> Activation:
    """Our name of an activation of transformers; an unknown one is a :class:`CheckpointError`."""
    if name not in ACTIVATIONS:
        raise CheckpointError(f"the activation {name!r} is not known", hint=f"known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _count(source: Mapping[str, torch.Tensor], prefix: str) -> int:
    """Number of blocks, from the highest index after ``prefix``."""
    indices = {int(name.removeprefix(prefix).split(".")[0]) for name in source if name.startswith(prefix)}
    return max(indices, default=-1) + 1
