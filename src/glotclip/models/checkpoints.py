"""Loading a base from any layout the field uses, and saving it in ours.

Every layout is read into the same parts by a key map; every tensor's presence and shape is checked.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn

from glotclip import storage
from glotclip.errors import CheckpointError, ConfigError, DataError, StorageError
from glotclip.languages import normalise_all
from glotclip.models import configs, keymaps, weights
from glotclip.models.configs import Geometry
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.efficientnet import TRUNK, EfficientNetTower
from glotclip.models.hub import locate
from glotclip.models.keymaps import Rule
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import SETTINGS_FILE, ClipTokenizer, HfTokenizer, Tokenizer
from glotclip.models.vision_tower import VisionConfig, VisionTransformer

OWN_CONFIG, OWN_WEIGHTS, OWN_FORMAT = "glotclip.json", "model.safetensors", 1
OPEN_CLIP_CONFIG = "open_clip_config.json"

T = TypeVar("T")


class Scale(NamedTuple):
    """Factor and offset of the cosine."""

    factor: float
    offset: float


def load_base(
    name_or_path: str | Path, *, vision: str | Path | None = None, languages: Sequence[str] | None = None
) -> DualEncoder:
    """Load a frozen base, in float32 on the CPU.

    Args:
        name_or_path: a folder (Hugging Face ``CLIPModel`` or ``SiglipModel``, open_clip, or what :func:`save_base`
            wrote), a state dict of OpenAI's layout with tokenizer files beside it, a model id of the hub, or the
            built-in ``emoji-clip``. A Multilingual-CLIP holds a text tower alone: the CLIP it was made for is named
            by ``vision``, or behind a plus sign (``mclip-folder+clip-folder``, ids of the hub as well).
        vision: the base whose image tower, preprocessing and logit scale complete a Multilingual-CLIP.
        languages: those the base was trained on, where its files do not tell or are wrong. Only what
            :func:`save_base` wrote tells; otherwise English is assumed, for Multilingual-CLIP too, whose checkpoints
            do not name their languages.

    Raises:
        CheckpointError: not found, of an unknown layout, damaged, unsafe to open, or without a tokenizer.
        ConfigError: ``vision`` is missing or not wanted, or its features have another size.
        LanguageError: a language code is malformed.
    """
    name = name_or_path.name if isinstance(name_or_path, Path) else name_or_path
    if isinstance(name_or_path, str) and "+" in name_or_path and not Path(name_or_path).expanduser().exists():
        if vision is not None:
            raise ConfigError(f"{name_or_path} names an image tower, and so does vision", hint="name it once")
        name_or_path, _, vision = name_or_path.partition("+")
    path = locate(name_or_path)
    if _is_multilingual(path):
        if vision is None:
            raise ConfigError(
                f"{name_or_path} is a text tower alone",
                hint=f"name the CLIP it was made for: {name_or_path}+openai/clip-vit-large-patch14, or two folders",
            )
        name = name if "+" in name else f"{name}+{vision.name if isinstance(vision, Path) else vision}"
        encoder = _load_multilingual(path, name, load_base(vision))
    elif vision is not None:
        raise ConfigError(
            f"{name_or_path} has an image tower of its own", hint="a second one is for Multilingual-CLIP only"
        )
    else:
        encoder = _load(path, name)
    if languages is not None:
        encoder.languages = tuple(normalise_all(languages))
    return encoder


def _load(path: Path, name: str) -> DualEncoder:
    """Load a checkpoint that holds both towers."""
    if path.is_file():
        return _load_openai(path, name)
    if (path / OWN_CONFIG).exists():
        return _load_own(path)
    if (path / OPEN_CLIP_CONFIG).exists():
        return _load_open_clip(path, name)
    if (path / "config.json").exists():
        return _load_hugging_face(path, name)
    raise CheckpointError(
        f"{path} is no checkpoint: it has neither {OWN_CONFIG}, config.json nor {OPEN_CLIP_CONFIG}",
        hint="pass the folder with the model's configuration and weights, or one file of OpenAI's layout",
    )


def save_base(
    encoder: DualEncoder,
    folder: str | Path,
    dtype: torch.dtype = torch.float32,
    *,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a base as ``glotclip.json``, ``model.safetensors`` and tokenizer files, as a whole or not at all.

    Args:
        encoder: what to save; loading it again gives the same fingerprint.
        folder: must not exist yet.
        dtype: of the stored weights; a lower one only for weights that it holds exactly, see
            :meth:`DualEncoder.round_to`.
        notes: texts to put beside the weights, by the file's name.

    Raises:
        StorageError: the folder exists, or the disk refused.
        ConfigError: ``dtype`` would change a weight, or the image tower is of an unknown kind.
    """
    folder = Path(folder)
    if os.path.lexists(folder):
        raise StorageError(f"{folder} exists already", hint="choose a new name, or remove it first")
    state = {name: tensor.detach().to("cpu", dtype) for name, tensor in encoder.state().items()}
    for name, tensor in encoder.state().items():
        if not torch.equal(state[name].to(tensor.dtype), tensor.cpu()):
            raise ConfigError(f"{name} cannot be stored as {dtype} without loss", hint="call round_to(dtype) first")
    config = {
        "format": OWN_FORMAT,
        "name": encoder.name,
        "fingerprint": encoder.fingerprint,
        "text": encoder.text.config.record(),
        "vision": _vision_record(encoder.vision),
        "preprocess": asdict(encoder.preprocess),
        "logit_scale": encoder.logit_scale,
        "logit_bias": encoder.logit_bias,
        "recommended": encoder.recommended,
        "languages": list(encoder.languages),
    }
    with storage.writing_folder(folder) as aside:
        storage.write_tensors(aside / OWN_WEIGHTS, state)
        encoder.tokenizer.save(aside)
        for name, text in (notes or {}).items():
            storage.write_text(aside / name, text)
        storage.write_json(aside / OWN_CONFIG, config)


def _vision_record(vision: object) -> dict[str, Any]:
    if isinstance(vision, VisionTransformer):
        return {"kind": "vit", **asdict(vision.config)}
    if isinstance(vision, EfficientNetTower):
        return {"kind": TRUNK, "embed_dim": vision.embed_dim}
    raise ConfigError(
        f"an image tower of class {type(vision).__name__} cannot be saved", hint="save its weights on your own"
    )


def _load_own(folder: Path) -> DualEncoder:
    where = f"{folder / OWN_CONFIG}"
    config = _json(folder / OWN_CONFIG)
    if config.get("format") != OWN_FORMAT:
        raise CheckpointError(
            f"{where} has format {config.get('format')!r}; this version reads {OWN_FORMAT}", hint="update glotclip"
        )
    text = TextTower(_build(TextConfig, config.get("text"), where))
    record = dict(_mapping(config.get("vision"), where))
    kind = record.pop("kind", None)
    vision: VisionTransformer | EfficientNetTower
    if kind == "vit":
        vision = VisionTransformer(_build(VisionConfig, record, where))
    elif kind == TRUNK:
        vision = _build(EfficientNetTower, record, where)
    else:
        raise CheckpointError(f"{where}: unknown image tower {kind!r}", hint="update glotclip")
    preprocess = dict(_mapping(config.get("preprocess"), where))
    for key in ("mean", "std"):
        preprocess[key] = tuple(preprocess.get(key, ()))
    _fill({"text": text, "vision": vision}, weights.read_file(folder / OWN_WEIGHTS), None, str(folder))
    encoder = DualEncoder(
        name=str(config.get("name")),
        text=text,
        vision=vision,
        tokenizer=_own_tokenizer(folder),
        preprocess=_build(Preprocess, preprocess, where),
        logit_scale=float(config.get("logit_scale", 1.0)),
        logit_bias=float(config.get("logit_bias", 0.0)),
        recommended=config.get("recommended"),
        languages=config.get("languages", ("en",)),
    )
    if config.get("fingerprint") not in (None, encoder.fingerprint):
        raise CheckpointError(
            f"{folder} was saved as {config['fingerprint']} but its files give {encoder.fingerprint}",
            hint="a file was changed or damaged; restore the folder",
        )
    return encoder


def _own_tokenizer(folder: Path) -> Tokenizer:
    kind = _json(folder / SETTINGS_FILE).get("kind")
    return HfTokenizer.load(folder) if kind == "hf" else ClipTokenizer.load(folder)


def _load_hugging_face(folder: Path, name: str) -> DualEncoder:
    config = _json(folder / "config.json")
    kind = config.get("model_type")
    if kind not in ("clip", "siglip"):
        raise CheckpointError(
            f"{folder / 'config.json'} describes a model of type {kind!r}",
            hint="glotclip reads 'clip', 'siglip', Multilingual-CLIP, and open_clip's and OpenAI's layouts",
        )
    source = weights.read_folder(folder, "model")
    geometry, text, vision = hugging_face_towers(config, source, where=name)
    preprocessing = folder / "preprocessor_config.json"
    preprocess = configs.hugging_face_preprocess(_json(preprocessing), geometry) if preprocessing.exists() else None
    tokenizer = _tokenizer(folder, geometry.text, pad=(config.get("text_config") or {}).get("pad_token_id"))
    return _assemble(name, geometry, text, vision, tokenizer, preprocess, _scale(source, name))


def hugging_face_towers(
    config: Mapping[str, Any], source: Mapping[str, torch.Tensor], *, where: str
) -> tuple[Geometry, TextTower, VisionTransformer]:
    """Build both towers from the configuration and the state dict of a ``CLIPModel`` or ``SiglipModel``."""
    geometry = configs.hugging_face(config)
    layers = (geometry.text.layers, geometry.vision.layers)
    rules = keymaps.hugging_face(layers, siglip=config["model_type"] == "siglip")
    return geometry, *_towers(geometry, source, rules, where)


def _is_multilingual(path: Path) -> bool:
    """Whether this is a folder of Multilingual-CLIP's layout."""
    if (path / OWN_CONFIG).exists() or not (path / "config.json").exists():
        return False
    config = _json(path / "config.json")
    return config.get("model_type") == "M-CLIP" or "modelBase" in config


def _load_multilingual(folder: Path, name: str, seeing: DualEncoder) -> DualEncoder:
    """Join Multilingual-CLIP's text tower with all the rest of a CLIP."""
    config = _json(folder / "config.json")
    named = str(config.get("modelBase", ""))
    # The geometry of XLM-R is in the configuration of the model it was made from, which may lie beside this one.
    beside = folder / named / "config.json"
    base = _json(beside) if named and beside.exists() else {}
    if "xlm-roberta" not in (base.get("model_type"), named.lower().rpartition("/")[2][: len("xlm-roberta")]):
        raise CheckpointError(
            f"{folder / 'config.json'} is made from {named!r}, not from an XLM-R",
            hint="of Multilingual-CLIP's models, those over XLM-R (XLM-Roberta-Large-…) can be read",
        )
    source = weights.read_folder(folder, "model")
    facts = {key: value for key, value in {**base, **config}.items() if value is not None}
    geometry, unused = configs.multilingual(facts, source, name), configs.unused_positions(facts)
    with torch.device("meta"):
        text = TextTower(geometry)
    rules = keymaps.multilingual(geometry.layers, unused=unused)
    _fill({"text": text}, source, rules, name, also=keymaps.MULTILINGUAL_POOLER)
    tokenizer = _tokenizer(folder, geometry, pad=unused - 1)
    return DualEncoder(name, text, seeing.vision, tokenizer, seeing.preprocess, seeing.logit_scale, seeing.logit_bias)


def _load_open_clip(folder: Path, name: str) -> DualEncoder:
    config = _json(folder / OPEN_CLIP_CONFIG)
    geometry = configs.open_clip(_mapping(config.get("model_cfg"), OPEN_CLIP_CONFIG), OPEN_CLIP_CONFIG)
    preprocess = configs.open_clip_preprocess(config.get("preprocess_cfg") or {}, geometry)
    return _load_openai_names(
        name, geometry, weights.read_folder(folder, "open_clip_model"), _tokenizer(folder, geometry.text), preprocess
    )


def _load_openai(file: Path, name: str) -> DualEncoder:
    source = weights.read_file(file)
    geometry = configs.openai(source, str(file))
    preprocess = configs.default_preprocess(geometry)
    return _load_openai_names(name, geometry, source, _tokenizer(file.parent, geometry.text), preprocess)


def _load_openai_names(
    name: str,
    geometry: Geometry,
    source: Mapping[str, torch.Tensor],
    tokenizer: Tokenizer,
    preprocess: Preprocess,
) -> DualEncoder:
    prefix = "text." if "text.token_embedding.weight" in source else ""
    linear = f"{prefix}text_projection.weight" in source
    biased = f"{prefix}text_projection.bias" in source
    layers = (geometry.text.layers, geometry.vision.layers)
    projection: keymaps.Projection = "biased" if biased else "linear" if linear else "matrix"
    text, vision = _towers(geometry, source, keymaps.openai(layers, text=prefix, projection=projection), name)
    return _assemble(name, geometry, text, vision, tokenizer, preprocess, _scale(source, name))


def _assemble(
    name: str,
    geometry: Geometry,
    text: TextTower,
    vision: VisionTransformer,
    tokenizer: Tokenizer,
    preprocess: Preprocess | None,
    scale: Scale,
) -> DualEncoder:
    return DualEncoder(
        name=name,
        text=text,
        vision=vision,
        tokenizer=tokenizer,
        preprocess=preprocess or configs.default_preprocess(geometry),
        logit_scale=scale.factor,
        logit_bias=scale.offset,
    )


def _towers(
    geometry: Geometry, source: Mapping[str, torch.Tensor], rules: list[Rule], where: str
) -> tuple[TextTower, VisionTransformer]:
    with torch.device("meta"):  # no weights are drawn: every one of them is read
        text, vision = TextTower(geometry.text), VisionTransformer(geometry.vision)
    _fill({"text": text, "vision": vision}, source, rules, where)
    return text, vision


def _fill(
    towers: Mapping[str, nn.Module],
    source: Mapping[str, torch.Tensor],
    rules: list[Rule] | None,
    where: str,
    also: Sequence[str] = ("logit_scale", "logit_bias"),
) -> None:
    """Put a checkpoint's tensors into the towers; ``rules`` None means that they are named as ours."""
    shapes = {
        f"{side}.{key}": value.shape for side, tower in towers.items() for key, value in tower.state_dict().items()
    }
    rules = [Rule(key, (key,)) for key in shapes] if rules is None else rules
    tensors = keymaps.convert(source, rules, shapes, where=where, also=also)
    for side, tower in towers.items():
        own = {key.removeprefix(f"{side}."): value for key, value in tensors.items() if key.startswith(f"{side}.")}
        tower.load_state_dict(own, strict=True, assign=True)


def _scale(source: Mapping[str, torch.Tensor], where: str) -> Scale:
    if "logit_scale" not in source:
        raise CheckpointError(f"{where} lacks the tensor logit_scale", hint="use a checkpoint of the whole model")
    offset = source.get("logit_bias")
    return Scale(math.exp(float(source["logit_scale"])), 0.0 if offset is None else float(offset))


def _tokenizer(folder: Path, text: TextConfig, pad: int | None = None) -> Tokenizer:
    """Read the tokenizer beside the weights: CLIP's for causal towers, else what ``tokenizer.json`` describes."""
    if text.causal:
        return ClipTokenizer.load(folder, context_length=text.context_length)
    file = folder / "tokenizer.json"
    if not file.exists():
        raise CheckpointError(
            f"{folder} has no tokenizer.json", hint="put the tokenizer.json of the same model beside the weights"
        )
    return HfTokenizer(file, context_length=text.context_length, pad_id=1 if pad is None else pad)


def _json(file: Path) -> dict[str, Any]:
    try:
        return dict(_mapping(storage.read_json(file), str(file)))
    except DataError as error:
        raise CheckpointError(error.message, hint=error.hint) from error


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{where} lacks a part, or is no table", hint="fetch the file again")
    return value


def _build(kind: Callable[..., T], values: object, where: str) -> T:
    """Call ``kind`` with a table of values; a wrong name or value is an error of the checkpoint."""
    try:
        return kind(**_mapping(values, where))
    except (TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(f"{where}: {error}", hint="the file is damaged, or of a newer version") from error
