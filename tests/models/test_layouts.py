"""What is no base is called what it is, with and without an image tower asked for beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from glotclip.errors import CheckpointError, ConfigError, GlotclipError
from glotclip.models.checkpoints import load_base, save_base
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.layouts import IMAGE_ONLY, TEXT_ONLY, identify

Fill = Callable[[Path], object]


def put(folder: Path, name: str, content: Any = None) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(json.dumps({} if content is None else content))


def weights(folder: Path, name: str = "model.safetensors") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"a": torch.zeros(2)}, folder / name)


def both(*fills: Fill) -> Fill:
    return lambda folder: [fill(folder) for fill in fills]


def of_type(kind: str) -> Fill:
    return lambda folder: put(folder, "config.json", {"model_type": kind})


def sentence_transformers(folder: Path) -> None:
    put(folder, "modules.json", [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}])
    put(folder, "1_Pooling/config.json", {"word_embedding_dimension": 384})
    put(folder, "config.json", {"model_type": "xlm-roberta"})
    weights(folder)


def sentence_clip(folder: Path) -> None:
    put(folder, "modules.json", [{"idx": 0, "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}])
    put(folder, "0_CLIPModel/config.json", {"model_type": "clip"})


KINDS: dict[str, tuple[Fill, str]] = {
    "sentence-transformers": (sentence_transformers, "text model of sentence-transformers, without an image tower"),
    "CLIP of sentence-transformers": (sentence_clip, "sentence-transformers around a CLIP.*0_CLIPModel"),
    "pipeline": (lambda folder: put(folder, "model_index.json"), "pipeline of diffusers"),
    "adapter": (
        lambda folder: put(folder, "adapter_config.json", {"base_model_name_or_path": "openai/clip-vit-b"}),
        "adapter of peft for openai/clip-vit-b",
    ),
    "adapter beside its model": (
        both(lambda folder: put(folder, "adapter_config.json"), of_type("clip")),
        "adapter of peft for a model that it does not name",
    ),
    "timm": (
        lambda folder: put(folder, "config.json", {"architecture": "vit_base_patch16_224", "pretrained_cfg": {}}),
        r"model of timm \(vit_base_patch16_224\), an image tower alone",
    ),
    "GGUF": (lambda folder: put(folder, "model-q4.gguf", b"GGUF"), "GGUF"),
    "ONNX": (lambda folder: put(folder, "model.onnx", b""), "ONNX"),
    "empty": (lambda folder: folder.mkdir(), "the folder is empty"),
    "weights alone": (weights, "no configuration"),
    "other files": (lambda folder: put(folder, "notes.json"), r"neither glotclip\.json"),
    "one level up": (lambda folder: put(folder, "clip/config.json", {"model_type": "clip"}), "one within.*pass"),
    "no type": (lambda folder: put(folder, "config.json", {"hidden_size": 3}), "model_type"),
    "another model": (lambda folder: put(folder, "config.json", {"model_type": "blip"}), "'blip'"),
    "packs": (lambda folder: put(folder, "polyglot.json"), "language packs"),
    "a pack": (
        both(lambda folder: put(folder, "manifest.json"), lambda folder: weights(folder, "pack.safetensors")),
        "pack, not a base",
    ),
    **{kind: (of_type(kind), f"'{kind}', without an image tower") for kind in sorted(TEXT_ONLY)},
    **{kind: (of_type(kind), f"'{kind}', without a text tower") for kind in sorted(IMAGE_ONLY)},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seeing", [None, "emoji-clip"])
def test_each_thing_is_called_what_it_is(tmp_path: Path, kind: str, seeing: str | None) -> None:
    fill, message = KINDS[kind]
    folder = tmp_path / "thing"
    fill(folder)
    with pytest.raises(CheckpointError) as caught:
        load_base(folder, vision=seeing)
    assert re.search(message, str(caught.value).replace("\n", " ")), str(caught.value)
    assert str(folder) in caught.value.message
    assert "of its own" not in caught.value.message or "peft" in message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.gguf", b"GGUF\x03", "GGUF"),
        ("model.bin", b"GGUF\x03", "GGUF"),
        ("model.onnx", b"\x08", r"\.onnx"),
        ("model.h5", b"\x89HDF", r"\.h5"),
        ("config.json", b"{}", "no file of weights"),
        ("model.safetensors", b"", "damaged"),
        ("model.bin", b"", "damaged"),
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    put(tmp_path, name, content)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_base(tmp_path / name)
    assert name in caught.value.message


def test_only_what_has_an_image_tower_is_said_to_have_one(
    make_encoder: Callable[[], DualEncoder], tmp_path: Path
) -> None:
    save_base(make_encoder(), tmp_path / "own")
    put(tmp_path / "clip", "config.json", {"model_type": "clip"})
    put(tmp_path / "open", "open_clip_config.json")
    for name, what in (
        ("own", "a base that glotclip saved"),
        ("clip", "a clip of transformers"),
        ("open", "open_clip"),
    ):
        with pytest.raises(ConfigError, match=f"{what}.*image tower of its own"):
            load_base(tmp_path / name, vision="emoji-clip")


@pytest.mark.parametrize("inner", [None, "config.json"])
def test_a_damaged_configuration_is_an_error_of_its_own(tmp_path: Path, inner: str | None) -> None:
    if inner:
        put(tmp_path, "modules.json", [])
        (tmp_path / "0_CLIPModel").mkdir()
        (tmp_path / "0_CLIPModel" / inner).write_text("{")
    else:
        (tmp_path / "config.json").write_text("[]")
    with pytest.raises(GlotclipError, match=r"no table|not valid JSON"):
        load_base(tmp_path)


def test_shards_that_do_not_belong_together(tmp_path: Path) -> None:
    put(tmp_path, "config.json", {"model_type": "clip"})
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    put(tmp_path, "model.safetensors.index.json", index)
    save_file({"a": torch.zeros(2)}, tmp_path / "model-1.safetensors")
    with pytest.raises(CheckpointError, match=r"lacks 1 of its 2 shards.*model-2"):
        load_base(tmp_path)
    save_file({"c": torch.zeros(2)}, tmp_path / "model-2.safetensors")
    with pytest.raises(CheckpointError, match=r"model-2\.safetensors is the wrong shard: it lacks b"):
        load_base(tmp_path)


@pytest.mark.parametrize("name", ["tf_model.h5", "flax_model.msgpack", "model.fp16.safetensors", "model.onnx"])
def test_weights_of_other_forms_are_named(tmp_path: Path, name: str) -> None:
    put(tmp_path, "config.json", {"model_type": "clip"})
    with pytest.raises(CheckpointError, match=r"holds no weights \(model"):
        load_base(tmp_path)
    put(tmp_path, name, b"")
    with pytest.raises(CheckpointError, match=f"it has {name}"):
        load_base(tmp_path)


def test_what_can_be_read_is_identified(tmp_path: Path) -> None:
    for name, config, layout in (
        ("a", {"model_type": "siglip"}, "hugging_face"),
        ("b", {"model_type": "M-CLIP"}, "multilingual"),
        ("c", {"modelBase": "xlm-roberta-large"}, "multilingual"),
    ):
        put(tmp_path / name, "config.json", config)
        assert identify(tmp_path / name).layout == layout
    put(tmp_path / "a", "modules.json", [])  # as sentence-transformers 5 keeps a CLIP: beside its own files
    assert identify(tmp_path / "a").layout == "hugging_face"
