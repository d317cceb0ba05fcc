from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from glotclip.errors import CheckpointError, ConfigError, StorageError
from glotclip.models.calibration import Calibration
from glotclip.models.checkpoints import load_base, save_base
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.efficientnet import EfficientNetTower
from glotclip.models.tokenizer import ClipTokenizer

pytestmark = pytest.mark.slow

Make = Callable[[], DualEncoder]

TEXTS = ["a dog runs", "cat", "two dogs and a cat on the grass"]
BLOCK = {
    "norm1.": "ln_1.", "norm2.": "ln_2.", "qkv.": "attn.in_proj_", "out.": "attn.out_proj.", "up.": "mlp.c_fc.",
    "down.": "mlp.c_proj.",
}  # fmt: skip


def same(a: DualEncoder, b: DualEncoder, atol: float = 1e-5) -> None:
    """Both encoders give the same features for texts and images."""
    pixels = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    for one, other in (
        (a.encode_tokens(a.tokenizer.encode(TEXTS)), b.encode_tokens(b.tokenizer.encode(TEXTS))),
        (a.encode_pixels(pixels), b.encode_pixels(pixels)),
    ):
        torch.testing.assert_close(one, other, atol=atol, rtol=0)


def openai_names(encoder: DualEncoder) -> dict[str, torch.Tensor]:
    """The state dict of an encoder in OpenAI's layout."""
    state = {"logit_scale": torch.tensor(encoder.logit_scale).log()}
    plain = {
        "text.table": "token_embedding.weight", "text.positions": "positional_embedding", "text.norm": "ln_final",
        "vision.patch": "visual.conv1", "vision.class_token": "visual.class_embedding",
        "vision.positions": "visual.positional_embedding", "vision.pre_norm": "visual.ln_pre",
        "vision.post_norm": "visual.ln_post",
    }  # fmt: skip
    for name, tensor in encoder.state().items():
        if name.endswith("projection.weight"):
            state["text_projection" if name.startswith("text") else "visual.proj"] = tensor.t().contiguous()
        elif ".blocks." in name:
            side, _, index, rest = name.split(".", 3)
            ours = next(part for part in BLOCK if rest.startswith(part))
            prefix = "" if side == "text" else "visual."
            state[f"{prefix}transformer.resblocks.{index}.{rest.replace(ours, BLOCK[ours])}"] = tensor
        else:
            ours = next(part for part in plain if name.startswith(part))
            state[name.replace(ours, plain[ours])] = tensor
    return state


@pytest.fixture
def encoder(tokenizer: ClipTokenizer) -> DualEncoder:
    """A CLIP whose heads are 64 wide, as OpenAI's layout takes for granted."""
    from glotclip.models.preprocess import Preprocess
    from glotclip.models.text_tower import TextConfig, TextTower
    from glotclip.models.vision_tower import VisionConfig, VisionTransformer

    torch.manual_seed(0)
    text = TextConfig(
        width=128, layers=2, heads=2, mlp_width=512, vocab_size=tokenizer.vocab_size, context_length=16, embed_dim=24
    )
    vision = VisionConfig(width=64, layers=1, heads=1, mlp_width=256, image_size=32, patch_size=8, embed_dim=24)
    towers = TextTower(text), VisionTransformer(vision)
    return DualEncoder("small", *towers, tokenizer, Preprocess(size=32), logit_scale=100.0)


def test_own_layout_keeps_everything(make_encoder: Make, tmp_path: Path) -> None:
    encoder = make_encoder()
    encoder.recommended, encoder.calibration = {"lexicon": {"steps": 50}}, Calibration(0.7, 2.5)
    save_base(encoder, tmp_path / "a")
    read = load_base(tmp_path / "a")
    assert read.calibration == encoder.calibration
    assert read.fingerprint == encoder.fingerprint
    assert (read.name, read.logit_scale, read.recommended) == ("small", 100.0, encoder.recommended)
    same(encoder, read, atol=0)
    save_base(read, tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_saving_in_half_precision_is_exact_or_refused(make_encoder: Make, tmp_path: Path) -> None:
    encoder = make_encoder()
    with pytest.raises(ConfigError, match="without loss"):
        save_base(encoder, tmp_path / "a", dtype=torch.bfloat16)
    assert not (tmp_path / "a").exists()
    save_base(encoder.round_to(torch.bfloat16), tmp_path / "a", dtype=torch.bfloat16)
    read = load_base(tmp_path / "a")
    assert read.fingerprint == encoder.fingerprint
    assert read.text.table.dtype == torch.float32
    assert load_file(tmp_path / "a" / "model.safetensors")["text.table"].dtype == torch.bfloat16


def test_a_base_with_the_packaged_trunk(make_encoder: Make, tmp_path: Path) -> None:
    small = make_encoder()
    tower = EfficientNetTower(24)
    encoder = DualEncoder("emoji", small.text, tower, small.tokenizer, tower.preprocess, 10.0)
    save_base(encoder, tmp_path / "a")
    read = load_base(tmp_path / "a")
    assert read.fingerprint == encoder.fingerprint
    assert read.preprocess == encoder.preprocess
    pixels = np.random.default_rng(0).standard_normal((2, 3, 128, 128), dtype=np.float32)
    torch.testing.assert_close(read.encode_pixels(pixels), encoder.encode_pixels(pixels), atol=0, rtol=0)


def test_own_layout_is_checked(make_encoder: Make, tmp_path: Path) -> None:
    save_base(make_encoder(), tmp_path / "a")
    with pytest.raises(StorageError, match="exists already"):
        save_base(make_encoder(), tmp_path / "a")
    file = tmp_path / "a" / "glotclip.json"
    good = json.loads(file.read_text())
    for change, message in (
        ({"format": 2}, "format 2"),
        ({"merged": True}, "merged = True"),
        ({"vision": {"kind": "resnet"}}, "unknown image tower"),
        ({"text": {**good["text"], "wdth": 3}}, "wdth"),
        ({"text": {**good["text"], "layers": 4}}, r"missing: text.blocks.3"),
        ({"text": {**good["text"], "layers": 2}}, r"unknown: text.blocks.2"),
        ({"text": {**good["text"], "mlp_width": 32}}, "wrong shape: text.blocks.0.up.weight is"),
        ({"preprocess": {**good["preprocess"], "size": 33}}, "its files give"),
    ):
        file.write_text(json.dumps({**good, **change}))
        with pytest.raises(CheckpointError, match=message):
            load_base(tmp_path / "a")
    file.write_text("{")
    with pytest.raises(CheckpointError, match="not valid JSON"):
        load_base(tmp_path / "a")


@pytest.mark.slow
def test_openai_layout(encoder: DualEncoder, tmp_path: Path) -> None:
    assert isinstance(encoder.tokenizer, ClipTokenizer)
    encoder.tokenizer.save(tmp_path)
    state = openai_names(encoder)
    scalars = {"input_resolution": 32, "context_length": 16, "vocab_size": encoder.tokenizer.vocab_size}
    torch.save({**state, **{key: torch.tensor(value) for key, value in scalars.items()}}, tmp_path / "clip.pt")
    save_file({name: tensor.half() for name, tensor in state.items()}, tmp_path / "half.safetensors")
    read = load_base(tmp_path / "clip.pt")
    assert read.text.config == encoder.text.config
    assert read.preprocess == encoder.preprocess
    assert read.logit_scale == pytest.approx(100)
    same(encoder, read)
    same(encoder, load_base(tmp_path / "half.safetensors"), atol=0.05)
    del state["visual.proj"]
    torch.save(state, tmp_path / "clip.pt")
    with pytest.raises(CheckpointError, match=r"lacks visual\.proj"):
        load_base(tmp_path / "clip.pt")


def open_clip_config() -> dict[str, Any]:
    return {
        "model_cfg": {
            "embed_dim": 24,
            "quick_gelu": True,
            "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8},
            "text_cfg": {"context_length": 16, "vocab_size": 0, "width": 128, "heads": 2, "layers": 2},
        },
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3, "resize_mode": "squash"},
    }


@pytest.mark.parametrize("form", ["plain", "prefixed", "pickled"])
def test_open_clip_layout(encoder: DualEncoder, tmp_path: Path, form: str) -> None:
    assert isinstance(encoder.tokenizer, ClipTokenizer)
    encoder.tokenizer.save(tmp_path)
    config = open_clip_config()
    config["model_cfg"]["text_cfg"]["vocab_size"] = encoder.tokenizer.vocab_size
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    state = openai_names(encoder)
    if form == "prefixed":
        state = {k if k.startswith("visual") or k == "logit_scale" else f"text.{k}": v for k, v in state.items()}
        state["text.attn_mask"] = torch.zeros(16, 16)
    if form == "pickled":
        torch.save(state, tmp_path / "open_clip_pytorch_model.bin")
    else:
        save_file(state, tmp_path / "open_clip_model.safetensors")
    read = load_base(tmp_path)
    assert (read.preprocess.resize, read.preprocess.mean) == ("squash", (0.5, 0.5, 0.5))
    same(encoder, read)


@pytest.mark.parametrize(
    ("side", "change", "message"),
    [
        ("vision_cfg", {"timm_model_name": "convnext_base"}, "convnext_base"),
        ("vision_cfg", {"layers": [3, 4, 6, 3]}, "ResNet"),
        ("text_cfg", {"hf_model_name": "xlm-roberta-base"}, "xlm-roberta-base"),
        ("text_cfg", {"no_causal_mask": True}, "no_causal_mask"),
    ],
)
def test_open_clip_variants_that_would_be_wrong(tmp_path: Path, side: str, change: Any, message: str) -> None:
    config = open_clip_config()
    config["model_cfg"][side].update(change)
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_base(tmp_path)


def hugging_face_clip(folder: Path, tokenizer: ClipTokenizer, eos: int) -> Any:
    import transformers

    torch.manual_seed(3)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**shape, "vocab_size": tokenizer.vocab_size, "max_position_embeddings": 16, "eos_token_id": eos}
    text |= {"bos_token_id": tokenizer.start_id, "pad_token_id": tokenizer.end_id}
    config = transformers.CLIPConfig(
        text_config=text, vision_config={**shape, "image_size": 32, "patch_size": 8}, projection_dim=24
    )
    model: Any = transformers.CLIPModel(config)
    model.eval()
    model.save_pretrained(folder)
    size = {"shortest_edge": 32}
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": size, "crop_size": 32, "resample": 3}))
    return model


@pytest.mark.slow
def test_hugging_face_folder(tokenizer: ClipTokenizer, tmp_path: Path) -> None:
    model = hugging_face_clip(tmp_path, tokenizer, tokenizer.end_id)
    tokenizer.save(tmp_path)
    (tmp_path / "glotclip-tokenizer.json").unlink()
    read = load_base(tmp_path)
    tokens = read.tokenizer.encode(TEXTS)
    ids, lengths = (torch.from_numpy(part) for part in tokens.padded(range(3), tokenizer.end_id, to=16))
    mask = (torch.arange(16) < lengths[:, None]).long()
    with torch.no_grad():
        expected = model.text_projection(model.text_model(input_ids=ids, attention_mask=mask).pooler_output)
    torch.testing.assert_close(read.encode_tokens(tokens), expected, atol=1e-5, rtol=0)
    assert read.logit_scale == pytest.approx(model.logit_scale.exp().item())
    assert read.preprocess.size == 32


@pytest.mark.slow
def test_the_old_end_token_setting_does_not_mislead(tokenizer: ClipTokenizer, tmp_path: Path) -> None:
    """With eos_token_id 2 transformers pools at the highest id; ours pools at the end whatever the ids are."""
    model = hugging_face_clip(tmp_path, tokenizer, 2)
    tokenizer.save(tmp_path)
    read = load_base(tmp_path)
    ids = torch.tensor([[tokenizer.start_id, 5, 6, tokenizer.end_id]])
    lengths = torch.tensor([4])
    with torch.no_grad():
        theirs = model.text_projection(model.text_model(input_ids=ids).pooler_output)
        torch.testing.assert_close(read.text(ids, lengths), theirs, atol=1e-5, rtol=0)
        # An end token that is not the highest id, as after new rows were added: theirs goes astray.
        swapped = torch.tensor([[5, tokenizer.end_id, 6, 7]])
        theirs = model.text_projection(model.text_model(input_ids=swapped).pooler_output)
        assert (read.text(swapped, lengths) - theirs).abs().max() > 1e-3


@pytest.mark.slow
def test_hugging_face_siglip_folder(tmp_path: Path) -> None:
    import transformers
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers, processors

    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**shape, "vocab_size": 8, "max_position_embeddings": 6, "bos_token_id": 0, "eos_token_id": 1}
    config = transformers.SiglipConfig(text_config=text, vision_config={**shape, "image_size": 32, "patch_size": 8})
    torch.manual_seed(0)
    model: Any = transformers.SiglipModel(config)
    model.eval()
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        load_base(tmp_path)
    backend = Backend(models.WordLevel({"<unk>": 0, "</s>": 1, "a": 2, "dog": 3}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    backend.save(str(tmp_path / "tokenizer.json"))
    read = load_base(tmp_path)
    assert (read.preprocess.resize, read.preprocess.mean) == ("squash", (0.5, 0.5, 0.5))
    assert read.logit_bias == pytest.approx(model.logit_bias.item())
    padded = torch.tensor([[2, 3, 1, 1, 1, 1], [3, 1, 1, 1, 1, 1]])
    with torch.no_grad():
        expected = model.text_model(input_ids=padded).pooler_output
    features = read.encode_tokens(read.tokenizer.encode(["a dog", "dog"]))
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=0)
    save_base(read, tmp_path / "own")
    again = load_base(tmp_path / "own")
    assert (again.fingerprint, again.logit_bias) == (read.fingerprint, read.logit_bias)


@pytest.fixture
def multilingual(tokenizer: ClipTokenizer, tmp_path: Path) -> Any:
    """A Multilingual-CLIP in ``tmp_path / "text"``, the CLIP it was made for in ``"clip"``, and the text model."""
    import transformers
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers, processors

    hugging_face_clip(tmp_path / "clip", tokenizer, tokenizer.end_id)
    tokenizer.save(tmp_path / "clip")
    torch.manual_seed(1)
    config = transformers.XLMRobertaConfig(
        hidden_size=128, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, vocab_size=9,
        max_position_embeddings=12, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5,
    )  # fmt: skip
    model: Any = torch.nn.Module()
    model.transformer = transformers.XLMRobertaModel(config)
    model.LinearTransformation = torch.nn.Linear(128, 24)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    model.eval()
    folder = tmp_path / "text"
    folder.mkdir()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    facts = {"model_type": "M-CLIP", "modelBase": "xlm-roberta-large", "numDims": 24, "transformerDimensions": 128}
    (folder / "config.json").write_text(json.dumps(facts))
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "ein": 4, "Hund": 5, "und": 6, "Katze": 7, "<mask>": 8}
    backend = Backend(models.WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    backend.save(str(folder / "tokenizer.json"))
    return model


def test_multilingual_clip(multilingual: Any, tmp_path: Path) -> None:
    read = load_base(f"{tmp_path / 'text'}+{tmp_path / 'clip'}")
    tokens = read.tokenizer.encode(["ein Hund", "Katze", "ein Hund und ein Hund und eine Katze oder zwei", ""])
    assert tokens.truncated == (2,)
    ids, lengths = (torch.from_numpy(part) for part in tokens.padded(range(4), 1))
    mask = torch.arange(ids.shape[1]) < lengths[:, None]
    with torch.no_grad():
        hidden = multilingual.transformer(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        expected = multilingual.LinearTransformation(mean)
    assert expected.std() > 0.05
    torch.testing.assert_close(read.encode_tokens(tokens), expected, atol=1e-5, rtol=0)
    low = read.encode_tokens(tokens, precision="bf16")
    assert torch.cosine_similarity(low, expected).min() > 0.999
    clip = load_base(tmp_path / "clip")
    pixels = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    assert torch.equal(read.encode_pixels(pixels), clip.encode_pixels(pixels))
    assert (read.logit_scale, read.preprocess, read.languages) == (clip.logit_scale, clip.preprocess, ("en",))


def test_multilingual_clip_becomes_one_folder(multilingual: Any, tmp_path: Path) -> None:
    read = load_base(tmp_path / "text", vision=tmp_path / "clip", languages=["en", "de", "jp"])
    assert (read.name, read.languages) == ("text+clip", ("en", "de", "ja"))
    save_base(read, tmp_path / "own")
    again = load_base(tmp_path / "own")
    assert (again.name, again.fingerprint, again.languages) == (read.name, read.fingerprint, read.languages)
    tokens = read.tokenizer.encode(["ein Hund"])
    assert torch.equal(again.encode_tokens(tokens), read.encode_tokens(tokens))
    assert load_base(tmp_path / "own", languages=["de"]).languages == ("de",)


def test_geometry_of_multilingual_clip_may_lie_beside_it(multilingual: Any, tmp_path: Path) -> None:
    folder = tmp_path / "text"
    facts = json.loads((folder / "config.json").read_text())
    (folder / "base").mkdir()
    (folder / "base" / "config.json").write_text(
        json.dumps(
            {"model_type": "xlm-roberta", "num_attention_heads": 8, "layer_norm_eps": 1e-3, "hidden_act": None}
        )
    )
    (folder / "config.json").write_text(json.dumps({**facts, "modelBase": "base"}))
    config = load_base(folder, vision=tmp_path / "clip").text.config
    assert (config.heads, config.norm_eps, config.activation, config.context_length) == (8, 1e-3, "gelu", 10)


def test_what_does_not_make_a_multilingual_base(multilingual: Any, tmp_path: Path) -> None:
    folder, clip = tmp_path / "text", tmp_path / "clip"
    with pytest.raises(ConfigError, match="text tower alone"):
        load_base(folder)
    with pytest.raises(ConfigError, match="of its own"):
        load_base(clip, vision=clip)
    with pytest.raises(ConfigError, match="so does vision"):
        load_base(f"{folder}+{clip}", vision=clip)
    facts = json.loads((folder / "config.json").read_text())
    for change, message in (
        ({"modelBase": "bert-base-multilingual-cased"}, "not from an XLM-R"),
        ({"numDims": 12}, "LinearTransformation.weight is"),
        ({"num_hidden_layers": 3}, "missing: transformer.encoder.layer.2"),
        ({"num_hidden_layers": 1}, "unknown: transformer.encoder.layer.1"),
    ):
        (folder / "config.json").write_text(json.dumps({**facts, **change}))
        with pytest.raises(CheckpointError, match=message):
            load_base(folder, vision=clip)
    (folder / "config.json").write_text(json.dumps(facts))
    torch.save({"transformer.embeddings.word_embeddings.weight": torch.zeros(3, 4)}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="is not a Multilingual-CLIP over XLM-R"):
        load_base(folder, vision=clip)


def test_what_is_no_checkpoint(tokenizer: ClipTokenizer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no checkpoint"):
        load_base(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="'bert'"):
        load_base(tmp_path)
    hugging_face_clip(tmp_path / "a", tokenizer, tokenizer.end_id)
    with pytest.raises(CheckpointError, match="holds no CLIP tokenizer"):
        load_base(tmp_path / "a")
    (tmp_path / "a" / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 64}, "crop_size": 64}')
    with pytest.raises(CheckpointError, match="reads 32"):
        load_base(tmp_path / "a")
