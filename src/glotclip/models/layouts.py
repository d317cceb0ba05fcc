"""What a folder or file is, by what lies in it: which layout to read, or what to say where it is no base.

Each answer says what the thing is and what to do with it; none claims more than the files show.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from glotclip.errors import CheckpointError
from glotclip.models.known_keys import names, read_table

BOTH_TOWERS = ("clip", "siglip", "siglip2")  # model types of Hugging Face with a text and an image tower
OWN_CONFIG, OPEN_CLIP_CONFIG, HF_CONFIG = "glotclip.json", "open_clip_config.json", "config.json"
Layout = Literal["own", "open_clip", "hugging_face", "multilingual", "openai"]

READABLE = "glotclip reads CLIP and SigLIP of transformers, open_clip and OpenAI, and Multilingual-CLIP"
TEXT_ONLY = names(
    "bert roberta xlm-roberta camembert distilbert albert electra mpnet deberta-v2 t5 mt5 umt5 gemma modernbert gpt2 "
    "llama qwen2 nomic_bert new xlm clip_text_model siglip_text_model siglip2_text_model"
)
IMAGE_ONLY = names(
    "vit deit dinov2 dinov2_with_registers dinov3_vit swin convnext convnextv2 resnet beit regnet efficientnet "
    "clip_vision_model siglip_vision_model siglip2_vision_model timm_wrapper timm_backbone"
)


class Found(NamedTuple):
    """What a path is.

    Attributes:
        layout: how to read it, or None where it is no base.
        what: what it is, to complete "PATH is …".
        hint: what to do.
    """

    layout: Layout | None
    what: str
    hint: str


def identify(path: Path) -> Found:
    """Say what a folder or file is.

    Raises:
        CheckpointError: a configuration in it is not valid JSON.
    """
    if path.is_file():
        return _file(path)
    for look in (_packs, _adapter, _readable, _wrapped, _partial):
        found = look(path)
        if found is not None:
            return found
    return _rest(path)


def refused(path: Path, found: Found) -> CheckpointError:
    """The error for what cannot be read as a base."""
    return CheckpointError(f"{path} is {found.what}", hint=found.hint)


def _file(path: Path) -> Found:
    with path.open("rb") as stream:
        head = stream.read(4)
    if path.suffix.lower() == ".gguf" or head == b"GGUF":
        return Found(None, "a GGUF file, weights quantised for llama.cpp", f"fetch the original weights; {READABLE}")
    if path.suffix.lower() in (".onnx", ".h5", ".msgpack", ".tflite", ".mlmodel", ".engine"):
        return Found(None, f"a model in the form {path.suffix}", f"fetch the weights for PyTorch; {READABLE}")
    if path.suffix.lower() in (".json", ".txt", ".md", ".yaml", ".yml", ".csv", ".tsv", ".jsonl"):
        return Found(None, "no file of weights", "pass the folder that the file lies in, or a file of weights")
    return Found("openai", "a file of weights", "")


def _packs(path: Path) -> Found | None:
    if (path / "polyglot.json").exists():
        return Found(
            None, "a model with language packs, not a base", "pass it where a model is asked for, or its base"
        )
    if (path / "manifest.json").exists() and (path / "pack.safetensors").exists():
        return Found(None, "a language pack, not a base", "add it to a model: glotclip pack add MODEL PACK")
    return None


def _readable(path: Path) -> Found | None:
    if (path / OWN_CONFIG).exists():
        return Found("own", "a base that glotclip saved", "")
    if (path / OPEN_CLIP_CONFIG).exists():
        return Found("open_clip", "a checkpoint of open_clip", "")
    if not (path / HF_CONFIG).exists():
        return None
    config = read_table(path / HF_CONFIG)
    if config.get("model_type") == "M-CLIP" or "modelBase" in config:
        return Found("multilingual", "a Multilingual-CLIP, a text tower alone", "")
    if config.get("model_type") in BOTH_TOWERS and not (path / "modules.json").exists():
        return Found("hugging_face", f"a {config['model_type']} of transformers", "")
    return None


def _wrapped(path: Path) -> Found | None:
    """Folders that hold models within, or additions to one."""
    if (path / "modules.json").exists():
        return _sentence_transformers(path)
    if (path / "model_index.json").exists():
        return Found(
            None,
            "a pipeline of diffusers; its text encoder has no image tower to go with it",
            f"take the CLIP that the encoder is from, e.g. openai/clip-vit-large-patch14; {READABLE}",
        )
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


def _sentence_transformers(path: Path) -> Found:
    inner = sorted(
        folder
        for folder in path.iterdir()
        if (folder / HF_CONFIG).is_file() and read_table(folder / HF_CONFIG).get("model_type") in BOTH_TOWERS
    )
    if inner:
        return Found(
            None,
            "a folder of sentence-transformers around a CLIP",
            f"pass the CLIP within: {inner[0]}",
        )
    if (path / HF_CONFIG).exists() and read_table(path / HF_CONFIG).get("model_type") in BOTH_TOWERS:
        return Found("hugging_face", "a CLIP of transformers, as sentence-transformers keeps it", "")
    return Found(
        None,
        "a text model of sentence-transformers, without an image tower",
        f"it cannot be joined to a CLIP; {READABLE}",
    )


def _partial(path: Path) -> Found | None:
    """A config.json of something else."""
    if not (path / HF_CONFIG).exists():
        return None
    config = read_table(path / HF_CONFIG)
    kind = config.get("model_type")
    if kind is None and ("architecture" in config or "pretrained_cfg" in config):
        return Found(
            None,
            f"a model of timm ({config.get('architecture', 'unnamed')}), an image tower alone",
            f"a base needs both towers; {READABLE}",
        )
    if kind in TEXT_ONLY:
        return Found(None, f"a text model of type {kind!r}, without an image tower", f"a base needs both; {READABLE}")
    if kind in IMAGE_ONLY:
        return Found(None, f"an image model of type {kind!r}, without a text tower", f"a base needs both; {READABLE}")
    if kind is None:
        return Found(None, "a folder whose config.json does not say which model it is (model_type)",
                     f"fetch the checkpoint again; {READABLE}")  # fmt: skip
    return Found(None, f"a model of type {kind!r}, which glotclip does not read", f"use another; {READABLE}")


def _rest(path: Path) -> Found:
    """A folder without any configuration that is known."""
    names = sorted(entry.name for entry in path.iterdir())
    whole = "pass the folder with the model's configuration and weights, or one file of OpenAI's layout"
    if not names:
        return Found(None, "no checkpoint: the folder is empty", whole)
    endings: tuple[tuple[str, Callable[[str], bool], str], ...] = (
        ("holds GGUF files, weights quantised for llama.cpp", lambda name: name.endswith(".gguf"),
         f"fetch the original weights; {READABLE}"),
        ("holds a model in ONNX form", lambda name: name.endswith(".onnx"),
         f"fetch the weights for PyTorch; {READABLE}"),
        ("has weights, but no configuration that says what they are of",
         lambda name: name.endswith((".safetensors", ".bin", ".pt", ".pth")),
         f"put {HF_CONFIG} or {OPEN_CLIP_CONFIG} of the checkpoint beside them, or pass one file of OpenAI's layout"),
    )  # fmt: skip
    for what, fits, hint in endings:
        if any(fits(name) for name in names):
            return Found(None, f"no checkpoint: it {what}", hint)
    within = [
        entry.name
        for entry in sorted(path.iterdir())
        if entry.is_dir() and any((entry / name).exists() for name in (OWN_CONFIG, HF_CONFIG, OPEN_CLIP_CONFIG))
    ]
    if within:
        return Found(None, "no checkpoint, but there is one within", f"pass {path / within[0]}")
    return Found(None, f"no checkpoint: it has neither {OWN_CONFIG}, {HF_CONFIG} nor {OPEN_CLIP_CONFIG}", whole)
