"""What a folder or file is, by what lies in it: which layout to read, or what to say where it is no base.

Each answer says what the thing is and what to do with it; none claims more than the files show.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from glotclip.errors import CheckpointError
from glotclip.models.known_keys import read_table

BOTH_TOWERS = ("clip", "siglip", "siglip2")  # model types of Hugging Face with a text and an image tower
OWN_CONFIG, OPEN_CLIP_CONFIG, HF_CONFIG = "glotclip.json", "open_clip_config.json", "config.json"
Layout = Literal["own", "open_clip", "hugging_face", "multilingual", "openai"]

READABLE = "glotclip reads CLIP and SigLIP of transformers, open_clip and OpenAI, and Multilingual-CLIP"
_ORIGINAL = f"fetch the original weights; {READABLE}"
_FOR_PYTORCH = f"fetch the weights for PyTorch; {READABLE}"
_BOTH = f"a base needs both towers; {READABLE}"
_TEXT_TYPES = """bert roberta xlm-roberta camembert distilbert albert electra mpnet deberta-v2 t5 mt5 umt5 gemma
    modernbert gpt2 llama qwen2 nomic_bert new xlm clip_text_model siglip_text_model siglip2_text_model"""
_IMAGE_TYPES = """vit deit dinov2 dinov2_with_registers dinov3_vit swin convnext convnextv2 resnet beit regnet
    efficientnet clip_vision_model siglip_vision_model siglip2_vision_model timm_wrapper timm_backbone"""
TEXT_ONLY, IMAGE_ONLY = frozenset(_TEXT_TYPES.split()), frozenset(_IMAGE_TYPES.split())


class Found(NamedTuple):
    """What a path is.

    Attributes:
        layout: how to read it, or None where it is no base.
        what: what it is, to complete "PATH is …".
        hint: what to do.
    """

    layout: Layout | None
    what: str
    hint: str = ""


def identify(path: Path) -> Found:
    """Say what a folder or file is.

    Raises:
        CheckpointError: a configuration in it is not valid JSON.
    """
    if path.is_file():
        return _file(path)
    return _packs(path) or _adapter(path) or _readable(path) or _foreign(path) or _unknown(path)


def _config(path: Path) -> dict[str, Any]:
    return read_table(path / HF_CONFIG) if (path / HF_CONFIG).exists() else {}


def refused(path: Path, found: Found) -> CheckpointError:
    """The error for what cannot be read as a base."""
    return CheckpointError(f"{path} is {found.what}", hint=found.hint)


def _file(path: Path) -> Found:
    with path.open("rb") as stream:
        head = stream.read(4)
    suffix = path.suffix.lower()
    if suffix == ".gguf" or head == b"GGUF":
        return Found(None, "a GGUF file, weights quantised for llama.cpp", _ORIGINAL)
    if suffix in (".onnx", ".h5", ".msgpack", ".tflite", ".mlmodel", ".engine"):
        return Found(None, f"a model in the form {path.suffix}", _FOR_PYTORCH)
    if suffix in (".json", ".txt", ".md", ".yaml", ".yml", ".csv", ".tsv", ".jsonl"):
        return Found(None, "no file of weights", "pass the folder that the file lies in, or a file of weights")
    return Found("openai", "a file of weights")


def _packs(path: Path) -> Found | None:
    if (path / "polyglot.json").exists():
        what, hint = "a model with language packs, not a base", "pass it where a model is asked for, or its base"
        return Found(None, what, hint)
    if (path / "manifest.json").exists() and (path / "pack.safetensors").exists():
        return Found(None, "a language pack, not a base", "add it to a model: glotclip pack add MODEL PACK")
    return None


def _adapter(path: Path) -> Found | None:
    """What peft saves; transformers would apply it to a model in the same folder, so it is never passed over."""
    if not (path / "adapter_config.json").exists():
        return None
    named = read_table(path / "adapter_config.json").get("base_model_name_or_path")
    return Found(
        None,
        f"an adapter of peft for {named or 'a model that it does not name'}, not a model of its own",
        "merge it into its model with peft's merge_and_unload, save that, and pass the folder",
    )


def _readable(path: Path) -> Found | None:
    if (path / OWN_CONFIG).exists():
        return Found("own", "a base that glotclip saved")
    if (path / OPEN_CLIP_CONFIG).exists():
        return Found("open_clip", "a checkpoint of open_clip")
    config = _config(path)
    kind = config.get("model_type")
    if kind == "M-CLIP" or "modelBase" in config:
        return Found("multilingual", "a Multilingual-CLIP, a text tower alone")
    if kind in BOTH_TOWERS and not (path / "modules.json").exists():
        return Found("hugging_face", f"a {kind} of transformers")
    return None


def _foreign(path: Path) -> Found | None:
    """A model of another kind, or a folder of another library around one."""
    if (path / "modules.json").exists():
        return _sentence_transformers(path)
    if (path / "model_index.json").exists():
        what = "a pipeline of diffusers; its text encoder has no image tower to go with it"
        hint = f"take the CLIP that the encoder is from, e.g. openai/clip-vit-large-patch14; {READABLE}"
        return Found(None, what, hint)
    if not (path / HF_CONFIG).exists():
        return None
    config = _config(path)
    kind = config.get("model_type")
    if kind is None and ("architecture" in config or "pretrained_cfg" in config):
        what = f"a model of timm ({config.get('architecture', 'unnamed')}), an image tower alone"
        return Found(None, what, _BOTH)
    if kind is None:
        what = "a folder whose config.json does not say which model it is (model_type)"
        return Found(None, what, f"fetch the checkpoint again; {READABLE}")
    if kind in TEXT_ONLY:
        return Found(None, f"a text model of type {kind!r}, without an image tower", _BOTH)
    if kind in IMAGE_ONLY:
        return Found(None, f"an image model of type {kind!r}, without a text tower", _BOTH)
    return Found(None, f"a model of type {kind!r}, which glotclip does not read", f"use another; {READABLE}")


def _sentence_transformers(path: Path) -> Found:
    inner = sorted(
        folder for folder in path.iterdir() if folder.is_dir() and _config(folder).get("model_type") in BOTH_TOWERS
    )
    if inner:
        return Found(None, "a folder of sentence-transformers around a CLIP", f"pass the CLIP within: {inner[0]}")
    if _config(path).get("model_type") in BOTH_TOWERS:
        return Found("hugging_face", "a CLIP of transformers, as sentence-transformers keeps it")
    what = "a text model of sentence-transformers, without an image tower"
    return Found(None, what, f"it cannot be joined to a CLIP; {READABLE}")


def _unknown(path: Path) -> Found:
    """A folder without any configuration that is known."""
    entries = sorted(path.iterdir())
    whole = "pass the folder with the model's configuration and weights, or one file of OpenAI's layout"
    if not entries:
        return Found(None, "no checkpoint: the folder is empty", whole)
    beside = (
        f"put {HF_CONFIG} or {OPEN_CLIP_CONFIG} of the checkpoint beside them, or pass one file of OpenAI's layout"
    )
    for endings, what, hint in (
        ((".gguf",), "it holds GGUF files, weights quantised for llama.cpp", _ORIGINAL),
        ((".onnx",), "it holds a model in ONNX form", _FOR_PYTORCH),
        (
            (".safetensors", ".bin", ".pt", ".pth"),
            "it has weights, but no configuration that says what they are of",
            beside,
        ),
    ):
        if any(entry.name.endswith(endings) for entry in entries):
            return Found(None, f"no checkpoint: {what}", hint)
    configs = (OWN_CONFIG, HF_CONFIG, OPEN_CLIP_CONFIG)
    for entry in entries:
        if entry.is_dir() and any((entry / name).exists() for name in configs):
            return Found(None, "no checkpoint, but there is one within", f"pass {entry}")
    return Found(None, f"no checkpoint: it has neither {OWN_CONFIG}, {HF_CONFIG} nor {OPEN_CLIP_CONFIG}", whole)
