"""LoRA from and to the folders of Hugging Face's ``peft``: ``adapter_config.json`` and ``adapter_model.safetensors``.

What the format can say and :class:`~glotclip.methods.lora.Lora` cannot (a rank of its own for some map, trained
biases, DoRA, …) is refused, never dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from glotclip.config import settings_from
from glotclip.errors import CheckpointError, ConfigError, DataError
from glotclip.methods.lora import TARGETS, Lora
from glotclip.methods.module import TextModule
from glotclip.models.text_tower import TextConfig
from glotclip.models.weights import read_file
from glotclip.storage import read_json, write_json, write_tensors, writing_folder

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LayoutName = Literal["clip-text", "clip", "xlm-roberta"]

_CLIP = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2")
_ROBERTA = (
    "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "intermediate.dense", "output.dense",
)  # fmt: skip


class Layout(NamedTuple):
    """Where a class of ``transformers`` has its text blocks, and its linear maps by our names."""

    blocks: str
    modules: Mapping[str, str]


LAYOUTS: dict[str, Layout] = {
    "clip-text": Layout("encoder.layers", dict(zip(TARGETS, _CLIP, strict=True))),  # CLIPTextModel
    # CLIPModel and SiglipModel; CLIPTextModel too before transformers 5
    "clip": Layout("text_model.encoder.layers", dict(zip(TARGETS, _CLIP, strict=True))),
    "xlm-roberta": Layout("encoder.layer", dict(zip(TARGETS, _ROBERTA, strict=True))),  # XLMRobertaModel
}
_OURS = {theirs: ours for layout in LAYOUTS.values() for ours, theirs in layout.modules.items()}

_NAME = re.compile(r"(?P<before>.*?)encoder\.layers?\.(?P<k>\d+)\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")

# Settings that change what an adapter computes, and the values under which it is what ours computes.
_PLAIN: dict[str, Sequence[Any]] = {
    "bias": (None, "none"), "use_dora": (None, False), "rank_pattern": (None, {}), "alpha_pattern": (None, {}),
    "modules_to_save": (None, []), "layer_replication": (None, []), "alora_invocation_tokens": (None, []),
    "use_qalora": (None, False), "fan_in_fan_out": (None, False),
}  # fmt: skip


def read_lora(folder: Path | str, text: TextConfig) -> Lora:
    """Read the LoRA of a ``peft`` adapter made for a text tower of this geometry.

    Args:
        folder: the adapter's folder.
        text: geometry of the tower.

    Returns:
        The same deltas, on the CPU in float32, not training.

    Raises:
        CheckpointError: if it is no LoRA, changes something else besides, or does not fit the tower.
    """
    folder = Path(folder)
    rank, alpha = _read_config(folder / CONFIG)
    found: dict[tuple[int, str], dict[str, torch.Tensor]] = {}
    for name, tensor in read_file(folder / WEIGHTS).items():
        match = _NAME.fullmatch(name.removeprefix("base_model.model."))
        target = _OURS.get(match["module"]) if match else None
        if match is None or target is None or "vision" in match["before"]:
            raise CheckpointError(
                f"{folder / WEIGHTS} holds {name}, which is no linear map of a text block that LoRA may change here",
                hint=f"glotclip reads LoRA on the text tower's {', '.join(TARGETS)} only",
            )
        found.setdefault((int(match["k"]), target), {})[match["side"]] = tensor
    if not found:
        raise CheckpointError(f"{folder / WEIGHTS} holds nothing", hint="get the adapter again")
    targets = [target for target in TARGETS if any(target == name for _, name in found)]
    config = {"targets": targets, "rank": rank, "alpha": alpha}
    try:
        with torch.device("meta"):
            part = Lora(text, settings_from(Lora.Config, config, where=CONFIG))
    except ConfigError as error:
        raise CheckpointError(f"{folder}: {error.message}", hint=error.hint) from error
    tensors = {
        f"blocks.{k}.{target}.{side.lower()}": tensor.float()
        for (k, target), sides in found.items()
        for side, tensor in sides.items()
    }
    expected = {name: parameter.shape for name, parameter in part.named_parameters()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        odd = sorted(n for n in {*tensors, *expected} if n not in tensors or tensors[n].shape != expected.get(n))
        raise CheckpointError(
            f"{folder / WEIGHTS} does not fit a tower of {text.layers} blocks, width {text.width}, at {odd[:4]}",
            hint="use an adapter that was trained on this base, with the same maps in every block",
        )
    part.load_state_dict(tensors, assign=True)
    return part.requires_grad_(False)


def write_lora(modules: Sequence[TextModule], folder: Path | str, layout: LayoutName, *, model: str = "") -> None:
    """Write a language's LoRA as a ``peft`` adapter.

    Args:
        modules: all modules of the language: the LoRA must be the only one, else something would be lost.
        folder: must not exist yet.
        layout: which class of ``transformers`` it is for: "clip-text" (``CLIPTextModel``), "clip" (``CLIPModel``,
            ``SiglipModel``, and ``CLIPTextModel`` before transformers 5) or "xlm-roberta" (``XLMRobertaModel``).
        model: name or folder of the base model, for ``peft`` to find it.

    Raises:
        ConfigError: if the modules are not one LoRA.
    """
    if len(modules) != 1 or not isinstance(modules[0], Lora):
        raise ConfigError(
            f"only LoRA can be written for peft, not {' with '.join(module.kind for module in modules) or 'nothing'}",
            hint="teach the language with LoRA alone",
        )
    lora, (blocks, names) = modules[0], LAYOUTS[layout]
    pattern = "|".join(re.escape(names[target]) for target in lora.config.targets)
    config = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": model,
        "inference_mode": True,
        "r": lora.config.rank,
        "lora_alpha": lora.config.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        # A pattern, since a list of endings would also hit the image tower, or other maps called "output.dense".
        "target_modules": rf"{re.escape(blocks)}\.\d+\.({pattern})",
    }
    tensors = {
        f"base_model.model.{blocks}.{k}.{names[target]}.lora_{side}.weight": tensor.detach()
        for k in range(len(lora.blocks))
        for target, module in lora.low_rank(k).items()
        for side, tensor in (("A", module.a), ("B", module.b))
    }
    with writing_folder(Path(folder)) as aside:
        write_json(aside / CONFIG, config)
        write_tensors(aside / WEIGHTS, tensors, {"format": "pt"})


def _read_config(path: Path) -> tuple[int, float]:
    """Rank and alpha, after making sure that nothing else matters."""
    try:
        config = read_json(path)
    except DataError as error:
        raise CheckpointError(
            f"{path.parent} is no adapter of peft: {error.message}", hint="pass the folder that peft saved"
        ) from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else None
        raise CheckpointError(f"{path} describes an adapter of type {kind!r}", hint="glotclip reads LoRA")
    odd = [f"{name}={config[name]!r}" for name, plain in _PLAIN.items() if config.get(name) not in plain]
    if odd:
        raise CheckpointError(f"{path} asks for {', '.join(odd)}", hint="glotclip reads plain LoRA without these")
    try:
        rank, alpha = int(config["r"]), float(config["lora_alpha"])
        # rsLoRA divides by √r where LoRA divides by r.
        return rank, alpha * rank**0.5 if config.get("use_rslora") else alpha
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {error!r}", hint="get the adapter again") from error
