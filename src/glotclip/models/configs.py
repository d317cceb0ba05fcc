"""Reading other projects' configurations: what they say, and the defaults they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from glotclip.errors import CheckpointError
from glotclip.models.blocks import Activation
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig
from glotclip.models.vision_tower import VisionConfig


class Geometry(NamedTuple):
    """Both towers of a checkpoint."""

    text: TextConfig
    vision: VisionConfig


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

ACTIVATIONS: dict[str, Activation] = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
}


def hugging_face(config: Mapping[str, Any]) -> Geometry:
    """Geometry of a ``CLIPModel`` or ``SiglipModel`` from its ``config.json``."""
    siglip = config["model_type"] == "siglip"
    defaults = HF_DEFAULTS[config["model_type"]]
    text = {**defaults["text"], **(config.get("text_config") or {})}
    vision = {**defaults["vision"], **(config.get("vision_config") or {})}
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
        VisionConfig(
            width=vision["hidden_size"],
            layers=vision["num_hidden_layers"],
            heads=vision["num_attention_heads"],
            mlp_width=vision["intermediate_size"],
            image_size=vision["image_size"],
            patch_size=vision["patch_size"],
            embed_dim=embed,
            activation=_activation(vision["hidden_act"]),
            pooling="attention" if siglip else "class",
            norm_eps=vision["layer_norm_eps"],
        ),
    )


def hugging_face_preprocess(config: Mapping[str, Any], geometry: Geometry) -> Preprocess:
    """Preprocessing from ``preprocessor_config.json``; older files give sizes as plain numbers."""
    default = default_preprocess(geometry)
    size = config.get("size", default.size)
    if isinstance(size, int):
        size = {"shortest_edge": size}
    crop = config.get("crop_size", default.size)
    crop = crop if isinstance(crop, int) else crop.get("height")
    if "shortest_edge" in size and config.get("do_center_crop", True):
        side, resize, fits = size["shortest_edge"], "shortest", crop == size["shortest_edge"]
    else:
        side, resize, fits = size.get("height"), "squash", size.get("height") == size.get("width")
    if not fits or side != default.size:
        raise CheckpointError(
            f"preprocessor_config.json asks for size {size} and crop {crop}; the image tower reads {default.size}",
            hint="glotclip scales and crops to one square size only",
        )
    names = {2: "bilinear", 3: "bicubic"}
    resample = config.get("resample", 3)
    return _preprocess(side, config.get("image_mean"), config.get("image_std"), resize, names.get(resample), default)


def open_clip(config: Mapping[str, Any], where: str) -> Geometry:
    """Geometry from the ``model_cfg`` of an ``open_clip_config.json`` (its own ViT and transformer)."""
    try:
        text, vision = dict(config["text_cfg"]), dict(config["vision_cfg"])
        foreign = text.get("hf_model_name") or vision.get("timm_model_name")
        if foreign or isinstance(vision["layers"], list):
            raise CheckpointError(
                f"{where}: the tower {foreign or 'ResNet'} is not one of open_clip's own transformers",
                hint="use this model's version for transformers if there is one (SigLIP has), or a ViT",
            )
        # Towers of these kinds compute something else; ours would run and be wrong.
        odd = [key for key in ("custom_text", "no_causal_mask", "embed_cls", "attentional_pool") if text.get(key)]
        odd += [key for key in ("attentional_pool", "global_average_pool", "input_patchnorm") if vision.get(key)]
        if (vision.get("pool_type", "tok"), text.get("pool_type", "argmax")) != ("tok", "argmax") or odd:
            raise CheckpointError(f"{where}: variant {odd or 'of pooling'} is not known", hint="use a plain CLIP")
        activation: Activation = "quick_gelu" if config.get("quick_gelu") else "gelu"
        width, sight = text["width"], vision["width"]
        return Geometry(
            TextConfig(
                width=width,
                layers=text["layers"],
                heads=text["heads"],
                mlp_width=int(width * text.get("mlp_ratio", 4.0)),
                vocab_size=text["vocab_size"],
                context_length=text["context_length"],
                embed_dim=config["embed_dim"],
                activation=activation,
                projection_bias=bool(text.get("proj_bias", False)),
            ),
            VisionConfig(
                width=sight,
                layers=vision["layers"],
                heads=sight // vision.get("head_width", 64),
                mlp_width=int(sight * vision.get("mlp_ratio", 4.0)),
                image_size=vision["image_size"],
                patch_size=vision["patch_size"],
                embed_dim=config["embed_dim"],
                activation=activation,
            ),
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{where}: {error} is missing or wrong", hint="fetch the file again") from error


def open_clip_preprocess(config: Mapping[str, Any], geometry: Geometry) -> Preprocess:
    """Preprocessing from the ``preprocess_cfg`` of an ``open_clip_config.json``."""
    resize = config.get("resize_mode", "shortest")
    default = default_preprocess(geometry)
    if resize not in ("shortest", "squash"):
        raise CheckpointError(f"open_clip's resize_mode {resize!r} is not known", hint="shortest and squash are")
    name = config.get("interpolation", "bicubic")
    return _preprocess(default.size, config.get("mean"), config.get("std"), resize, name, default)


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


def default_preprocess(geometry: Geometry) -> Preprocess:
    """CLIP's preprocessing, or SigLIP's, at the image tower's size."""
    size = geometry.vision.image_size
    if geometry.vision.pooling == "attention":
        return Preprocess(size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), resize="squash")
    return Preprocess(size=size)


def _preprocess(size: int, mean: Any, std: Any, resize: Any, name: Any, default: Preprocess) -> Preprocess:
    if name not in ("bicubic", "bilinear"):
        raise CheckpointError(f"interpolation {name!r} is not known", hint="bicubic and bilinear are")
    return Preprocess(
        size=size,
        mean=default.mean if mean is None else tuple(mean),
        std=default.std if std is None else tuple(std),
        resize=resize,
        interpolation=name,
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
