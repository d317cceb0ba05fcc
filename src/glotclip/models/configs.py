"""Reading other projects' configurations: what they say, and the defaults they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from glotclip.errors import CheckpointError, ConfigError
from glotclip.models import config_keys as keys
from glotclip.models.blocks import Activation
from glotclip.models.naflex_tower import NaflexConfig
from glotclip.models.text_tower import TextConfig
from glotclip.models.vision_tower import VisionConfig


class Geometry(NamedTuple):
    """Both towers of a checkpoint."""

    text: TextConfig
    vision: VisionConfig | NaflexConfig


# What the classes of transformers assume where config.json is silent, which it is wherever a value is the default.
_SHARED = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
HF_DEFAULTS: dict[str, dict[str, dict[str, Any]]] = {
    "clip": {
        "text": {
            "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8,
            "vocab_size": 49_408, "max_position_embeddings": 77, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
        },
        "vision": {
            **_SHARED, "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
        },
    },
    "siglip": {
        "text": {
            **_SHARED, "vocab_size": 32_000, "max_position_embeddings": 64, "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        },
        "vision": {
            **_SHARED, "image_size": 224, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
        },
    },
}  # fmt: skip

# Those of open_clip's CLIPTextCfg and CLIPVisionCfg.
OPEN_CLIP_DEFAULTS: dict[str, dict[str, Any]] = {
    "text": {
        "context_length": 77, "vocab_size": 49_408, "width": 512, "heads": 8, "layers": 12, "mlp_ratio": 4.0,
    },
    "vision": {
        "layers": 12, "width": 768, "head_width": 64, "mlp_ratio": 4.0, "patch_size": 16, "image_size": 224,
    },
}  # fmt: skip

HF_DEFAULTS["siglip2"] = {
    "text": HF_DEFAULTS["siglip"]["text"],
    "vision": {**_SHARED, "patch_size": 16, "num_patches": 256, "hidden_act": "gelu_pytorch_tanh",
               "layer_norm_eps": 1e-6},
}  # fmt: skip

ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}


def hugging_face(config: Mapping[str, Any], where: str = "config.json") -> Geometry:
    """Geometry of a ``CLIPModel``, ``SiglipModel`` or ``Siglip2Model`` from its ``config.json``.

    Raises:
        CheckpointError: naming the keys that are not understood, or what is missing or wrong.
    """
    kind = config["model_type"]
    keys.HF_MODEL[kind].check(config, where)
    text, vision = (_hugging_face_side(config, side, where) for side in ("text", "vision"))
    try:
        return _hugging_face(config, text, vision)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        reason = error.message if isinstance(error, ConfigError) else f"{error} is missing or wrong"
        raise CheckpointError(f"{where}: {reason}", hint="fetch the file again") from error


def _hugging_face_side(config: Mapping[str, Any], side: str, where: str) -> dict[str, Any]:
    """One tower's settings with the class's defaults; ``text_config_dict``, where given, overrules all."""
    kind = config["model_type"]
    known = (keys.HF_TEXT if side == "text" else keys.HF_VISION)[kind]
    defaults = HF_DEFAULTS[kind][side]
    values: dict[str, Any] = {}
    for name in (f"{side}_config", f"{side}_config_dict"):
        given = config.get(name)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise CheckpointError(f"{where}: {name} is no table", hint="fetch the file again")
        known.check(given, f"{where} ({name})")
        stated = {key: value for key, value in given.items() if value is not None}
        # transformers completes the second table with its defaults before it replaces the first one's values.
        values = {**values, **defaults, **stated} if name.endswith("_dict") else {**defaults, **stated}
    return values or dict(defaults)


def _hugging_face(config: Mapping[str, Any], text: Mapping[str, Any], vision: Mapping[str, Any]) -> Geometry:
    siglip = config["model_type"] != "clip"
    embed = vision["hidden_size"] if siglip else config.get("projection_dim", 512)
    return Geometry(
        TextConfig(
            width=text["hidden_size"],
            layers=text["num_hidden_layers"],
            heads=text["num_attention_heads"],
            mlp_width=text["intermediate_size"],
            vocab_size=text["vocab_size"],
            context_length=text["max_position_embeddings"],
            embed_dim=text.get("projection_size", text["hidden_size"]) if siglip else embed,
            activation=_activation(text["hidden_act"]),
            causal=not siglip,
            pooling="last" if siglip else "eot",
            norm_eps=text["layer_norm_eps"],
            projection_bias=siglip,
        ),
        _hugging_face_naflex(vision)
        if config["model_type"] == "siglip2"
        else VisionConfig(
            width=vision["hidden_size"],
            layers=vision["num_hidden_layers"],
            heads=vision["num_attention_heads"],
            mlp_width=vision["intermediate_size"],
            image_size=_one_side(vision["image_size"]),
            patch_size=_one_side(vision["patch_size"]),
            embed_dim=embed,
            activation=_activation(vision["hidden_act"]),
            pooling="attention" if siglip else "class",
            norm_eps=vision["layer_norm_eps"],
        ),
    )


def _hugging_face_naflex(vision: Mapping[str, Any]) -> NaflexConfig:
    return NaflexConfig(
        width=vision["hidden_size"],
        layers=vision["num_hidden_layers"],
        heads=vision["num_attention_heads"],
        mlp_width=vision["intermediate_size"],
        patch_size=_one_side(vision["patch_size"]),
        patches=vision["num_patches"],
        activation=_activation(vision["hidden_act"]),
        norm_eps=vision["layer_norm_eps"],
    )


def open_clip(config: Mapping[str, Any], where: str) -> Geometry:
    """Geometry from the ``model_cfg`` of an ``open_clip_config.json`` (its own ViT and transformer).

    Raises:
        CheckpointError: naming towers that are not open_clip's own, keys that are not understood, or what is missing.
    """
    try:
        text = {**OPEN_CLIP_DEFAULTS["text"], **_stated(config["text_cfg"])}
        vision = {**OPEN_CLIP_DEFAULTS["vision"], **_stated(config["vision_cfg"])}
        foreign = text.get("hf_model_name") or vision.get("timm_model_name")
        if foreign or isinstance(vision["layers"], list):
            raise CheckpointError(
                f"{where}: the tower {foreign or 'ResNet'} is not one of open_clip's own transformers",
                hint="use this model's version for transformers if there is one (SigLIP has), or a ViT",
            )
        keys.OPEN_CLIP_MODEL.check(config, f"{where} (model_cfg)")
        keys.OPEN_CLIP_TEXT.check(text, f"{where} (text_cfg)")
        keys.OPEN_CLIP_VISION.check(vision, f"{where} (vision_cfg)")
        quick = bool(config.get("quick_gelu"))
        width, sight = text["width"], vision["width"]
        return Geometry(
            TextConfig(
                width=width,
                layers=text["layers"],
                heads=text["heads"],
                mlp_width=int(width * text["mlp_ratio"]),
                vocab_size=text["vocab_size"],
                context_length=text["context_length"],
                embed_dim=config["embed_dim"],
                activation=_open_clip_activation(text, quick, f"{where} (text_cfg)"),
                norm_eps=_open_clip_eps(text, f"{where} (text_cfg)"),
                projection_bias=bool(text.get("proj_bias", False)),
            ),
            VisionConfig(
                width=sight,
                layers=vision["layers"],
                heads=sight // vision["head_width"],
                mlp_width=int(sight * vision["mlp_ratio"]),
                image_size=_one_side(vision["image_size"]),
                patch_size=_one_side(vision["patch_size"]),
                embed_dim=config["embed_dim"],
                activation=_open_clip_activation(vision, quick, f"{where} (vision_cfg)"),
                norm_eps=_open_clip_eps(vision, f"{where} (vision_cfg)"),
            ),
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError, ConfigError) as error:
        reason = error.message if isinstance(error, ConfigError) else f"{error} is missing or wrong"
        raise CheckpointError(f"{where}: {reason}", hint="fetch the file again") from error


def _stated(table: Any) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise TypeError("a table of a tower's settings")
    return {key: value for key, value in table.items() if value is not None}


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
        activation=_activation(facts.get("hidden_act", "gelu")),
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
    vocabulary, width = source["token_embedding.weight"].shape
    sight, _, patch, _ = source["visual.conv1.weight"].shape
    side = round((source["visual.positional_embedding"].shape[0] - 1) ** 0.5)
    embed = source["text_projection"].shape[1]
    stated = source.get("input_resolution")
    return Geometry(
        TextConfig(
            width=width,
            layers=_count(source, "transformer.resblocks."),
            heads=max(1, width // 64),
            mlp_width=_rows(source, "transformer.resblocks.0.mlp.c_fc.weight", 4 * width),
            vocab_size=vocabulary,
            context_length=source["positional_embedding"].shape[0],
            embed_dim=embed,
        ),
        VisionConfig(
            width=sight,
            layers=_count(source, "visual.transformer.resblocks."),
            heads=max(1, sight // 64),
            mlp_width=_rows(source, "visual.transformer.resblocks.0.mlp.c_fc.weight", 4 * sight),
            image_size=int(stated) if stated is not None else side * patch,
            patch_size=patch,
            embed_dim=embed,
        ),
    )


def _activation(name: str) -> Activation:
    if name not in ACTIVATIONS:
        raise CheckpointError(f"the activation {name!r} is not known", hint=f"known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def _count(source: Mapping[str, torch.Tensor], prefix: str) -> int:
    """Number of blocks, from the highest index after ``prefix``."""
    indices = {int(name.removeprefix(prefix).split(".")[0]) for name in source if name.startswith(prefix)}
    return max(indices, default=-1) + 1


def _rows(source: Mapping[str, torch.Tensor], name: str, otherwise: int) -> int:
    return source[name].shape[0] if name in source else otherwise
