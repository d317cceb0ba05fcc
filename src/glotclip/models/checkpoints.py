"""Loading a base from any layout the field uses, and saving it in ours.

Every layout is read into the same towers by a key map; every tensor's presence and shape is checked.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from glotclip import storage
from glotclip.errors import CheckpointError, ConfigError, StorageError
from glotclip.languages import normalise_all
from glotclip.models import configs, image_settings, keymaps, layouts, tokenizer_files, weights
from glotclip.models.calibration import CONTRASTIVE, Calibration
from glotclip.models.classifier_tower import CLASSES, ClassifierConfig, ClassifierTower
from glotclip.models.configs import Geometry
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.efficientnet import TRUNK, EfficientNetTower
from glotclip.models.hub import locate
from glotclip.models.keymaps import Rule
from glotclip.models.known_keys import known_keys, read_table, stated
from glotclip.models.layouts import OPEN_CLIP_CONFIG, OWN_CONFIG
from glotclip.models.naflex_tower import NaflexConfig, NaflexTower
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import ClipTokenizer, Tokenizer, load_tokenizer
from glotclip.models.vision_tower import VisionConfig, VisionTransformer
from glotclip.textforms import DEFAULT

OWN_WEIGHTS, OWN_FORMAT = "model.safetensors", 1

# The class of a tokenizer where no file names one: transformers' own, or for Multilingual-CLIP the file as it is.
TOKENIZERS = {
    "siglip": "SiglipTokenizer",
    "siglip2": "Siglip2Tokenizer",
    "multilingual": "PreTrainedTokenizerFast",
}

# Image towers and their geometry, by the kind that glotclip.json names.
IMAGE_TOWERS: dict[object, tuple[Any, type[VisionConfig] | type[NaflexConfig] | type[ClassifierConfig]]] = {
    "vit": (VisionTransformer, VisionConfig),
    "naflex": (NaflexTower, NaflexConfig),
    CLASSES: (ClassifierTower, ClassifierConfig),
}

T = TypeVar("T")


def load_base(
    name_or_path: str | Path, *, vision: str | Path | None = None, languages: Sequence[str] | None = None
) -> DualEncoder:
    """Load a frozen base, in float32 on the CPU.

    Args:
        name_or_path: a folder (Hugging Face ``CLIPModel``, ``SiglipModel`` or ``Siglip2Model``, open_clip, or what
            :func:`save_base` wrote), a state dict of OpenAI's layout with tokenizer files beside it, an id of the
            hub, or a built-in name (``emoji-clip``, ``photo-clip``, …). A Multilingual-CLIP holds a text tower alone:
            the CLIP it was made for is named by ``vision``, or behind a plus sign (``mclip-folder+clip-folder``, ids
            of the hub as well).
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
    found = layouts.identify(path)
    if found.layout is None:
        raise layouts.refused(path, found)
    if found.layout == "multilingual":
        if vision is None:
            raise ConfigError(
                f"{name_or_path} is a text tower alone",
                hint=f"name the CLIP it was made for: {name_or_path}+openai/clip-vit-large-patch14, or two folders",
            )
        name = name if "+" in name else f"{name}+{vision.name if isinstance(vision, Path) else vision}"
        encoder = _load_multilingual(path, name, load_base(vision))
    elif vision is not None:
        raise ConfigError(
            f"{name_or_path} is {found.what}, which has an image tower of its own",
            hint="a second one is for Multilingual-CLIP only",
        )
    else:
        load = {"own": _load_own, "open_clip": _load_open_clip, "openai": _load_openai}
        encoder = load.get(found.layout, _load_hugging_face)(path, name)
    if languages is not None:
        encoder.languages = tuple(normalise_all(languages))
    return encoder


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
        "preprocess": encoder.preprocess.record(),
        "logit_scale": encoder.logit_scale,
        "logit_bias": encoder.logit_bias,
        "recommended": encoder.recommended,
        "languages": list(encoder.languages),
        "text_form": encoder.text_form.name,
        "calibration": asdict(encoder.calibration),
    }
    with storage.writing_folder(folder) as aside:
        storage.write_tensors(aside / OWN_WEIGHTS, state)
        encoder.tokenizer.save(aside)
        for name, text in (notes or {}).items():
            storage.write_text(aside / name, text)
        storage.write_json(aside / OWN_CONFIG, config)


def _vision_record(vision: object) -> dict[str, Any]:
    for kind, (tower, _) in IMAGE_TOWERS.items():
        if isinstance(vision, tower):
            return {"kind": kind, **asdict(vision.config)}
    if isinstance(vision, EfficientNetTower):
        return {"kind": TRUNK, "embed_dim": vision.embed_dim}
    raise ConfigError(
        f"an image tower of class {type(vision).__name__} cannot be saved", hint="save its weights on your own"
    )


def _load_own(folder: Path, _: str) -> DualEncoder:
    where = f"{folder / OWN_CONFIG}"
    config = read_table(folder / OWN_CONFIG)
    if config.get("format") != OWN_FORMAT:
        raise CheckpointError(
            f"{where} has format {config.get('format')!r}; this version reads {OWN_FORMAT}", hint="update glotclip"
        )
    known_keys("own").check(config, where)
    with torch.device("meta"):  # no weights are drawn: every one of them is read
        text = TextTower(_build(TextConfig, config.get("text"), where))
    record = dict(_mapping(config.get("vision"), where))
    kind = record.pop("kind", None)
    vision: VisionTransformer | NaflexTower | ClassifierTower | EfficientNetTower
    if kind in IMAGE_TOWERS:
        tower, geometry = IMAGE_TOWERS[kind]
        vision = tower(_build(geometry, record, where))
    elif kind == TRUNK:
        vision = _build(EfficientNetTower, record, where)
    else:
        raise CheckpointError(f"{where}: unknown image tower {kind!r}", hint="update glotclip")
    preprocess = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in _mapping(config.get("preprocess"), where).items()
    }
    _fill({"text": text, "vision": vision}, weights.read_file(folder / OWN_WEIGHTS), None, str(folder))
    encoder = DualEncoder(
        name=str(config.get("name")),
        text=text,
        vision=vision,
        tokenizer=load_tokenizer(folder),
        preprocess=_build(Preprocess, preprocess, where),
        logit_scale=float(config.get("logit_scale", 1.0)),
        logit_bias=float(config.get("logit_bias", 0.0)),
        recommended=config.get("recommended"),
        languages=config.get("languages", ("en",)),
        text_form=config.get("text_form", DEFAULT),
        calibration=_build(Calibration, config["calibration"], where) if "calibration" in config else CONTRASTIVE,
    )
    if config.get("fingerprint") not in (None, encoder.fingerprint):
        raise CheckpointError(
            f"{folder} was saved as {config['fingerprint']} but its files give {encoder.fingerprint}",
            hint="a file was changed or damaged; restore the folder",
        )
    return encoder


def _load_hugging_face(folder: Path, name: str) -> DualEncoder:
    config = read_table(folder / "config.json")
    kind = config["model_type"]
    source = weights.read_folder(folder, "model")
    geometry, text, vision = hugging_face_towers(config, source, where=name)
    preprocess = image_settings.default_preprocess(geometry.vision)
    if found := image_settings.hugging_face_settings(folder):
        preprocess = image_settings.hugging_face_preprocess(found[0], geometry.vision, found[1])
    context = geometry.text.context_length
    tokenizer: Tokenizer
    if kind == "clip":
        clip = tokenizer = tokenizer_files.read_clip(folder, context)
        _check_end(config, clip, str(folder))
    else:
        tokenizer = tokenizer_files.read_hugging_face(folder, context, usual=TOKENIZERS[kind])
    return DualEncoder(name, text, vision, tokenizer, preprocess, *_scale(source, name))


def hugging_face_towers(
    config: Mapping[str, Any], source: Mapping[str, torch.Tensor], *, where: str
) -> tuple[Geometry, TextTower, VisionTransformer | NaflexTower]:
    """Build both towers from the configuration and the state dict of a ``CLIPModel`` or a SigLIP's model."""
    geometry = configs.hugging_face(config, f"{where}'s config.json")
    return geometry, *_towers(geometry, source, "clip" if config["model_type"] == "clip" else "siglip", where)


def _check_end(config: Mapping[str, Any], tokenizer: ClipTokenizer, where: str) -> None:
    """Raise CheckpointError where texts would be read off another token than the tokenizer's end token.

    transformers reads at the first ``eos_token_id``; where that is 2, as in old files, at the highest id of the text,
    which is the end token as long as nobody adds tokens behind it.
    """
    stated = (config.get("text_config_dict") or config.get("text_config") or {}).get("eos_token_id")
    if stated in (None, 2, tokenizer.end_id, [tokenizer.end_id]):
        return
    raise CheckpointError(
        f"{where}: text_config's eos_token_id is {stated}, but the tokenizer ends texts with {tokenizer.end_id}",
        hint="use the configuration and the tokenizer files of one checkpoint",
    )


def _load_multilingual(folder: Path, name: str, seeing: DualEncoder) -> DualEncoder:
    """Join Multilingual-CLIP's text tower with all the rest of a CLIP."""
    config = read_table(folder / "config.json")
    named = str(config.get("modelBase", ""))
    # The geometry of XLM-R is in the configuration of the model it was made from, which may lie beside this one.
    beside = folder / named / "config.json"
    base = read_table(beside) if named and beside.exists() else {}
    if "xlm-roberta" not in (base.get("model_type"), named.lower().rpartition("/")[2][: len("xlm-roberta")]):
        raise CheckpointError(
            f"{folder / 'config.json'} is made from {named!r}, not from an XLM-R",
            hint="of Multilingual-CLIP's models, those over XLM-R (XLM-Roberta-Large-…) can be read",
        )
    known_keys("multilingual").check(base, str(beside))
    known_keys("multilingual").check(config, str(folder / "config.json"))
    source = weights.read_folder(folder, "model")
    facts = stated({**base, **config})
    geometry, unused = configs.multilingual(facts, source, name), configs.unused_positions(facts)
    with torch.device("meta"):
        text = TextTower(geometry)
    rules = keymaps.rules("multilingual", {"text": geometry.layers})
    _fill({"text": text}, source, rules, name, also=keymaps.MULTILINGUAL_POOLER, unused=unused)
    tokenizer = tokenizer_files.read_hugging_face(
        folder, geometry.context_length, usual=TOKENIZERS["multilingual"], pad_id=unused - 1, sees_padding=False
    )
    return DualEncoder(name, text, seeing.vision, tokenizer, seeing.preprocess, seeing.logit_scale, seeing.logit_bias)


def _load_open_clip(folder: Path, name: str) -> DualEncoder:
    config = read_table(folder / OPEN_CLIP_CONFIG)
    known_keys("open_clip").check(config, OPEN_CLIP_CONFIG)
    geometry = configs.open_clip(_mapping(config.get("model_cfg"), OPEN_CLIP_CONFIG), OPEN_CLIP_CONFIG)
    assert isinstance(geometry.vision, VisionConfig)
    settings = _mapping(config.get("preprocess_cfg") or {}, OPEN_CLIP_CONFIG)
    where = f"{OPEN_CLIP_CONFIG} (preprocess_cfg)"
    preprocess = image_settings.open_clip_preprocess(settings, geometry.vision, where)
    source = weights.read_folder(folder, "open_clip_model")
    return _openai_names(name, geometry, source, folder, preprocess)


def _load_openai(file: Path, name: str) -> DualEncoder:
    source = weights.read_file(file)
    geometry = configs.openai(source, str(file))
    return _openai_names(name, geometry, source, file.parent, image_settings.default_preprocess(geometry.vision))


def _openai_names(
    name: str, geometry: Geometry, source: Mapping[str, torch.Tensor], folder: Path, preprocess: Preprocess
) -> DualEncoder:
    """A base whose tensors are named as OpenAI's, with CLIP's tokenizer in the folder."""
    tokenizer = tokenizer_files.read_clip(folder, geometry.text.context_length)
    prefix = "text." if "text.token_embedding.weight" in source else ""
    projection = next((kind for kind, leaf in (("biased", "bias"), ("linear", "weight"))
                       if f"{prefix}text_projection.{leaf}" in source), "matrix")  # fmt: skip
    text, vision = _towers(geometry, source, f"openai {projection}", name, prefix)
    return DualEncoder(name, text, vision, tokenizer, preprocess, *_scale(source, name))


def _towers(
    geometry: Geometry, source: Mapping[str, torch.Tensor], names: str, where: str, prefix: str = ""
) -> tuple[TextTower, VisionTransformer | NaflexTower]:
    with torch.device("meta"):  # no weights are drawn: every one of them is read
        text = TextTower(geometry.text)
        kind = geometry.vision
        vision = NaflexTower(kind) if isinstance(kind, NaflexConfig) else VisionTransformer(kind)
    layers = {"text": geometry.text.layers, "vision": geometry.vision.layers}
    _fill({"text": text, "vision": vision}, source, keymaps.rules(names, layers, text=prefix), where)
    return text, vision


def _fill(
    towers: Mapping[str, nn.Module],
    source: Mapping[str, torch.Tensor],
    rules: list[Rule] | None,
    where: str,
    also: Sequence[str] = ("logit_scale", "logit_bias"),
    unused: int = 0,
) -> None:
    """Put a checkpoint's tensors into the towers; ``rules`` None means that they are named as ours."""
    shapes = {
        f"{side}.{key}": value.shape for side, tower in towers.items() for key, value in tower.state_dict().items()
    }
    rules = [Rule(key, (key,)) for key in shapes] if rules is None else rules
    tensors = keymaps.convert(source, rules, shapes, where=where, also=also, unused=unused)
    for side, tower in towers.items():
        own = {key.removeprefix(f"{side}."): value for key, value in tensors.items() if key.startswith(f"{side}.")}
        tower.load_state_dict(own, strict=True, assign=True)


def _scale(source: Mapping[str, torch.Tensor], where: str) -> tuple[float, float]:
    """Factor and offset of the cosine."""
    if "logit_scale" not in source:
        raise CheckpointError(f"{where} lacks the tensor logit_scale", hint="use a checkpoint of the whole model")
    offset = source.get("logit_bias")
    return math.exp(float(source["logit_scale"])), 0.0 if offset is None else float(offset)


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CheckpointError(f"{where} lacks a part, or is no table")
    return value


def _build(kind: Callable[..., T], values: object, where: str) -> T:
    """Call ``kind`` with a table of values; a wrong name or value is an error of the checkpoint."""
    try:
        return kind(**_mapping(values, where))
    except (TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(f"{where}: {error}", hint="the file is damaged, or of a newer version") from error
