"""LoRA to peft and back: a model that peft has wrapped and our tower with the module give the same features."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from glotclip.config import Settings
from glotclip.errors import CheckpointError, ConfigError, StorageError
from glotclip.methods.lora import TARGETS, Lora, Target
from glotclip.methods.peft_format import CONFIG, LAYOUTS, WEIGHTS, LayoutName, read_lora, write_lora
from glotclip.methods.stack import ModuleStack
from glotclip.methods.tuning import Norms
from glotclip.models import checkpoints
from glotclip.models.text_tower import TextConfig, TextTower

W, INNER, HEADS, LAYERS, V, E = 16, 24, 2, 2, 60, 12
SOME: list[tuple[Target, ...]] = [("q", "v"), TARGETS, ("down",), ("k", "out", "up")]


def draw(model: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def clip() -> tuple[Any, TextTower]:
    """A tiny CLIP of transformers, and our text tower with its weights."""
    import transformers

    shape = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER, "hidden_size": W}
    text = {**shape, "vocab_size": V, "max_position_embeddings": 10, "bos_token_id": 1, "eos_token_id": V - 1}
    vision = {**shape, "image_size": 8, "patch_size": 4}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=E)
    model = draw(transformers.CLIPModel(config))
    _, tower, _ = checkpoints.hugging_face_towers(config.to_dict(), model.state_dict(), where="tiny")
    return model, tower.eval().requires_grad_(False)


def xlm_roberta() -> tuple[Any, TextTower]:
    """A tiny XLM-R of transformers, and our tower with its weights; the projection is ours alone."""
    import transformers

    config = transformers.XLMRobertaConfig(
        vocab_size=V, hidden_size=W, num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=INNER,
        max_position_embeddings=12, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        layer_norm_eps=1e-5,
    )  # fmt: skip
    model = draw(transformers.XLMRobertaModel(config, add_pooling_layer=False))
    tower = TextTower(
        TextConfig(
            width=W, layers=LAYERS, heads=HEADS, mlp_width=INNER, vocab_size=V, context_length=10, embed_dim=E,
            activation="gelu", causal=False, pooling="mean", norms="post", projection_bias=True,
        )
    )  # fmt: skip
    theirs = model.state_dict()
    ours = {
        "table": theirs["embeddings.word_embeddings.weight"],
        # Positions begin after the padding's, and all tokens are of one type.
        "positions": theirs["embeddings.position_embeddings.weight"][2:]
        + theirs["embeddings.token_type_embeddings.weight"],
    }
    pairs = {"embed_norm": "embeddings.LayerNorm"}
    for k in range(LAYERS):
        before = f"encoder.layer.{k}."
        own = LAYOUTS["xlm-roberta"].modules
        pairs |= {f"blocks.{k}.{name}": before + own[name] for name in ("out", "up", "down")}
        pairs |= {f"blocks.{k}.norm1": f"{before}attention.output.LayerNorm"}
        pairs |= {f"blocks.{k}.norm2": f"{before}output.LayerNorm"}
        for leaf in ("weight", "bias"):
            ours[f"blocks.{k}.qkv.{leaf}"] = torch.cat([theirs[f"{before}{own[name]}.{leaf}"] for name in "qkv"])
    ours |= {
        f"{mine}.{leaf}": theirs[f"{name}.{leaf}"] for mine, name in pairs.items() for leaf in ("weight", "bias")
    }
    ours |= {name: tensor for name, tensor in tower.state_dict().items() if name.startswith("projection")}
    tower.load_state_dict(ours)
    return model, tower.eval().requires_grad_(False)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, V - 1, (4, 9), generator=generator)
    lengths = torch.tensor([9, 4, 7, 2])
    ids[:, 0] = 1
    for row, length in enumerate(lengths.tolist()):
        ids[row, length - 1 :] = V - 1
    return ids, lengths


def clip_features(model: Any) -> torch.Tensor:
    ids, _ = batch()
    out: torch.Tensor = model.text_projection(model.text_model(input_ids=ids).pooler_output)
    return out


def clip_text_features(model: Any, tower: TextTower) -> torch.Tensor:
    ids, _ = batch()
    return tower.projection(model(input_ids=ids).pooler_output)  # type: ignore[no-any-return]


def xlm_roberta_features(model: Any, tower: TextTower) -> torch.Tensor:
    ids, lengths = batch()
    own = torch.arange(ids.shape[1]) < lengths[:, None]
    ids = torch.where(own, ids.clamp(min=3), 1)
    hidden = model(input_ids=ids, attention_mask=own.long()).last_hidden_state
    mean = (hidden * own[..., None]).sum(1) / lengths[:, None]
    return tower.projection(mean)  # type: ignore[no-any-return]


class Subject:
    """A wrapped model of one layout, how to get its features, and our tower."""

    def __init__(self, layout: LayoutName) -> None:
        model, self.tower = xlm_roberta() if layout == "xlm-roberta" else clip()
        self.layout = layout
        self.model: Any = model
        if layout == "clip-text":
            import transformers

            kind: Any = transformers.CLIPTextModel
            self.model = kind(model.config.text_config).eval()
            whole = model.text_model.state_dict()
            self.model.load_state_dict({k.removeprefix("text_model."): whole[k] for k in whole})

    def theirs(self, wrapped: Any) -> torch.Tensor:
        inner = wrapped.base_model.model
        with torch.no_grad():
            if self.layout == "clip":
                return clip_features(inner)
            features = clip_text_features if self.layout == "clip-text" else xlm_roberta_features
            return features(inner, self.tower)

    def ours(self, lora: Lora) -> torch.Tensor:
        ids, lengths = batch()
        if self.layout == "xlm-roberta":
            ids = ids.clamp(min=3)
        with torch.no_grad():
            return self.tower(ids, lengths, ModuleStack([lora]))  # type: ignore[no-any-return]


@pytest.fixture(scope="module", params=["clip-text", "clip", "xlm-roberta"])
def subject(request: pytest.FixtureRequest) -> Subject:
    return Subject(request.param)


def drawn(text: TextConfig, targets: tuple[Target, ...] = ("q", "v"), rank: int = 3) -> Lora:
    config = Lora.Config(targets=targets, rank=rank, alpha=5.0)
    return draw(Lora(text, config)).requires_grad_(False)  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("targets", SOME)
def test_what_we_write_peft_reads(subject: Subject, targets: tuple[Target, ...], tmp_path: Path) -> None:
    import copy

    import peft

    lora = drawn(subject.tower.config, targets)
    write_lora([lora], tmp_path / "out", subject.layout, model="some/base")
    wrapped = peft.PeftModel.from_pretrained(copy.deepcopy(subject.model), tmp_path / "out").eval()
    count = sum(p.numel() for name, p in wrapped.named_parameters() if "lora_" in name)
    assert count == lora.size
    torch.testing.assert_close(subject.ours(lora), subject.theirs(wrapped), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(subject.ours(lora), subject.tower(*batch()), atol=1e-2)
    again = read_lora(tmp_path / "out", subject.tower.config)
    assert again.description() == lora.description()
    assert all(torch.equal(tensor, lora.tensors()[name]) for name, tensor in again.tensors().items())


@pytest.mark.slow
@pytest.mark.parametrize("rs", [False, True])
@pytest.mark.parametrize("targets", SOME[:2])
def test_what_peft_writes_we_read(subject: Subject, targets: tuple[Target, ...], rs: bool, tmp_path: Path) -> None:
    import copy

    import peft

    blocks, modules = LAYOUTS[subject.layout]
    names = "|".join(modules[target].replace(".", r"\.") for target in targets)
    config = peft.LoraConfig(
        r=4, lora_alpha=6, use_rslora=rs, target_modules=rf".*{blocks.replace('.', chr(92) + '.')}\.\d+\.({names})"
    )
    wrapped = peft.get_peft_model(copy.deepcopy(subject.model), config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    wrapped.eval().save_pretrained(str(tmp_path))
    lora = read_lora(tmp_path, subject.tower.config)
    assert not any(parameter.requires_grad for parameter in lora.parameters())
    torch.testing.assert_close(subject.ours(lora), subject.theirs(wrapped), atol=1e-5, rtol=1e-5)


TEXT = TextConfig(width=W, layers=LAYERS, heads=HEADS, mlp_width=INNER, vocab_size=V, context_length=10, embed_dim=E)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_lora([drawn(TEXT)], tmp_path / "adapter", "clip")
    return tmp_path / "adapter"


def edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        (folder / CONFIG).write_text(json.dumps({**content, **changes}), encoding="utf-8")

    return edit


def edit_tensors(change: Callable[[dict[str, torch.Tensor]], Mapping[str, torch.Tensor]]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        save_file(dict(change(load_file(folder / WEIGHTS))), folder / WEIGHTS)

    return edit


FIRST = "base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight"
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / CONFIG).unlink(), "is no adapter of peft"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "does not exist"),
    "another kind": (edit_config(peft_type="IA3"), "of type 'IA3'"),
    "dora": (edit_config(use_dora=True), "asks for use_dora=True"),
    "ranks": (edit_config(rank_pattern={"q_proj": 2}), "asks for rank_pattern"),
    "biases": (edit_config(bias="all"), "asks for bias='all'"),
    "saved modules": (edit_config(modules_to_save=["text_projection"]), "asks for modules_to_save"),
    "no rank": (edit_config(r=None), "r"),
    "another rank": (edit_config(r=4), "does not fit"),
    "rank zero": (edit_config(r=0), "'rank' in .*greater than or equal to 1"),
    "one map of one block": (
        edit_tensors(lambda t: {name: tensor for name, tensor in t.items() if name != FIRST}),
        r"does not fit .*blocks\.0\.q\.a",
    ),
    "the image tower": (
        edit_tensors(lambda t: {**t, FIRST.replace("text_model", "vision_model"): t[FIRST] + 1}),
        "holds base_model.model.vision_model",
    ),
    "the projection": (
        edit_tensors(lambda t: {**t, "base_model.model.text_projection.lora_A.weight": t[FIRST] + 1}),
        "holds base_model.model.text_projection",
    ),
    "nothing": (edit_tensors(lambda t: {}), "holds nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_lora_cannot_say_is_refused(folder: Path, name: str) -> None:
    damage, message = FAULTS[name]
    damage(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_lora(folder, TEXT)
    assert caught.value.hint


def test_only_lora_alone_is_written(tmp_path: Path) -> None:
    lora, norms = drawn(TEXT), Norms(TEXT, Settings())
    for modules in ([lora, norms], [norms], [], [lora, lora]):
        with pytest.raises(ConfigError, match="only LoRA can be written"):
            write_lora(modules, tmp_path / "out", "clip")
    assert not (tmp_path / "out").exists()
    write_lora([lora], tmp_path / "out", "clip")
    with pytest.raises(StorageError):
        write_lora([lora], tmp_path / "out" / CONFIG / "in-a-file", "clip")
