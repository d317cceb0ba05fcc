"""Folders of SigLIP 1 and 2 as transformers 5 saves them give its features, from raw texts and images on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from glotclip.errors import CheckpointError, ConfigError
from glotclip.models.checkpoints import load_base, save_base
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.image_settings import hugging_face_preprocess
from glotclip.models.naflex_tower import NaflexConfig

pytestmark = pytest.mark.slow

SIDE, CONTEXT = 32, 16
TEXTS = [
    "a photo of a dog running",
    "ein hund läuft über das grüne gras",
    "狗和猫",
    "A Photo of a DOG, running!",
    "Zwei Hunde  und eine Katze.",
    "",
    "dog " * 40,
]
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def model_of(vocabulary: int, folder: Path) -> Any:
    """Save a small SigLIP with random weights."""
    import transformers

    torch.manual_seed(0)
    text = {**SHAPE, "vocab_size": vocabulary, "max_position_embeddings": CONTEXT}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}  # what the class assumes is not what pads
    vision = {**SHAPE, "image_size": SIDE, "patch_size": 8}
    model: Any = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.eval().save_pretrained(folder)
    return model


def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 255, (height, width, 3), dtype=np.uint8))
        for height, width in ((40, 31), (32, 32), (17, 90))
    ]


def assert_same_features(ours: DualEncoder, model: Any, tokenizer: Any, processor: Any) -> None:
    ids = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt")
    pixels = processor(images=images(), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = model.text_model(input_ids=ids["input_ids"]).pooler_output
        seen = model.vision_model(pixel_values=pixels).pooler_output
    features = ours.encode_tokens(ours.tokenizer.encode(TEXTS))
    assert expected.std() > 0.05
    assert torch.cosine_similarity(features, expected).min() > 0.99999
    torch.testing.assert_close(features, expected, atol=2e-5, rtol=0)
    loaded = np.stack([ours.preprocess.load(image) for image in images()])
    torch.testing.assert_close(torch.from_numpy(loaded), pixels, atol=2e-6, rtol=0)
    torch.testing.assert_close(ours.encode_pixels(loaded), seen, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "values",
    [
        {"add_eos_token": True, "padding_side": "right"},
        {"add_eos_token": True},
        {"padding_side": "right", "pad_token": "<mask>"},
    ],
    ids=["as on the hub", "padded on the left", "padded with something else"],
)
def test_siglip_2_of_fixed_resolution(gemma_vocabulary: Any, tmp_path: Path, values: dict[str, Any]) -> None:
    import transformers

    vocab, merges = gemma_vocabulary
    tokenizer = transformers.Siglip2Tokenizer(vocab=dict(vocab), merges=merges, model_max_length=CONTEXT, **values)
    image_processor = transformers.SiglipImageProcessorPil(
        size={"height": SIDE, "width": SIDE}, resample=2, image_mean=[0.2, 0.5, 0.6]
    )
    processors: Any = transformers.SiglipProcessor
    processors(image_processor, tokenizer).save_pretrained(tmp_path)
    assert not (tmp_path / "preprocessor_config.json").exists()
    model = model_of(len(vocab), tmp_path)
    ours = load_base(tmp_path)
    assert_same_features(ours, model, transformers.AutoTokenizer.from_pretrained(tmp_path), image_processor)
    save_base(ours, tmp_path / "own")
    again = load_base(tmp_path / "own")
    assert again.fingerprint == ours.fingerprint
    assert_same_features(again, model, tokenizer, image_processor)


def test_siglip_1_with_its_own_file(spiece: Path, siglip_tokenizer: Any, tmp_path: Path) -> None:
    import transformers

    tokenizer = siglip_tokenizer(spiece, model_max_length=CONTEXT)
    tokenizer.save_pretrained(tmp_path)
    image_processor = transformers.SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_normalize=False)
    image_processor.save_pretrained(tmp_path)
    model = model_of(tokenizer.vocab_size, tmp_path)
    ours = load_base(tmp_path)
    assert_same_features(ours, model, tokenizer, image_processor)
    save_base(ours, tmp_path / "own")
    assert load_base(tmp_path / "own").fingerprint == ours.fingerprint


@pytest.mark.parametrize(
    ("side", "key", "value"),
    [
        ("vision", "vision_use_head", False),
        ("vision", "num_channels", 4),
        ("vision", "image_size", [32, 64]),
        ("vision", "layer_scale", 0.1),
        ("text", "position_embedding_type", "rotary"),
        ("text", "hidden_act", "relu"),
        ("", "text_pooling", "first"),
        ("", "quantization_config", {"bits": 4}),
    ],
)
def test_keys_that_change_features_are_refused(
    spiece: Path, siglip_tokenizer: Any, tmp_path: Path, side: str, key: str, value: Any
) -> None:
    siglip_tokenizer(spiece, model_max_length=CONTEXT).save_pretrained(tmp_path)
    model_of(200, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (config[f"{side}_config"] if side else config)[key] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match={"hidden_act": "relu", "image_size": "no square"}.get(key, key)):
        load_base(tmp_path)


SIZES = [(40, 31), (64, 64), (17, 200), (200, 9), (3, 3), (129, 65)]


@pytest.mark.parametrize("most", [9, 16, 40])
def test_siglip_2_naflex(gemma_vocabulary: Any, tmp_path: Path, most: int) -> None:
    """Images keep their aspect ratio: patches, mask and scaled positions as transformers has them."""
    import transformers

    vocab, merges = gemma_vocabulary
    tokenizer = transformers.Siglip2Tokenizer(
        vocab=dict(vocab), merges=merges, model_max_length=CONTEXT, add_eos_token=True, padding_side="right"
    )
    processor = transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=most, image_std=[0.4, 0.5, 0.6])
    processors: Any = transformers.Siglip2Processor
    processors(processor, tokenizer).save_pretrained(tmp_path)
    torch.manual_seed(0)
    text = {
        **SHAPE,
        "vocab_size": len(vocab),
        "max_position_embeddings": CONTEXT,
        "bos_token_id": 2,
        "eos_token_id": 1,
    }
    vision = {**SHAPE, "patch_size": 8, "num_patches": 25}
    model: Any = transformers.Siglip2Model(transformers.Siglip2Config(text_config=text, vision_config=vision))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.eval().save_pretrained(tmp_path)
    ours = load_base(tmp_path)
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (*size, 3), dtype=np.uint8)) for size in SIZES]
    inputs = processor(images=images, return_tensors="pt")
    ids = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt")
    with torch.no_grad():
        seen = model.vision_model(**inputs).pooler_output
        expected = model.text_model(input_ids=ids["input_ids"]).pooler_output
    loaded = np.stack([ours.preprocess.load(image) for image in images])
    assert loaded[:, 0, :2].tolist() == inputs["spatial_shapes"].tolist()
    torch.testing.assert_close(torch.from_numpy(loaded[:, 1:]), inputs["pixel_values"].float(), atol=2e-6, rtol=0)
    assert seen.std() > 0.05
    torch.testing.assert_close(ours.encode_pixels(loaded), seen, atol=2e-5, rtol=0)
    torch.testing.assert_close(ours.encode_tokens(ours.tokenizer.encode(TEXTS)), expected, atol=2e-5, rtol=0)
    save_base(ours, tmp_path / "own")
    again = load_base(tmp_path / "own")
    assert (again.fingerprint, again.preprocess) == (ours.fingerprint, ours.preprocess)
    assert torch.equal(again.encode_pixels(loaded[:0]), torch.zeros(0, 32))
    with pytest.raises(ConfigError, match="reads rows of 192"):
        ours.encode_pixels(np.zeros((1, 3, 32, 32), np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch_size": 16}, "patches of 16 pixels"),
        ({"image_processor_type": "SiglipImageProcessor"}, "SiglipImageProcessor"),
        ({"do_resize": False}, "do_resize = False"),
        ({"max_num_patches": 0}, "whole pixels"),
        ({"keep_ratio": False}, "keep_ratio"),
    ],
)
def test_naflex_settings_that_cannot_be_followed(change: dict[str, Any], message: str) -> None:
    config = NaflexConfig(width=32, heads=2, patch_size=8, patches=25)
    with pytest.raises(CheckpointError, match=message):
        hugging_face_preprocess({"patch_size": 8, **change}, config, "file")
