"""Pixels equal those of transformers' image processors, whatever a file sets; what cannot be followed is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from glotclip.errors import CheckpointError
from glotclip.models.image_settings import (
    DEFAULTS,
    default_preprocess,
    hugging_face_preprocess,
    hugging_face_settings,
    open_clip_preprocess,
)
from glotclip.models.known_keys import known_keys
from glotclip.models.preprocess import CLIP_MEAN, CLIP_STD, Preprocess
from glotclip.models.vision_tower import VisionConfig

SIDE = 24
CLIP = VisionConfig(width=32, heads=2, image_size=SIDE, patch_size=8)
SIGLIP = VisionConfig(width=32, heads=2, image_size=SIDE, patch_size=8, embed_dim=32, pooling="attention")


def photo(width: int, height: int) -> Image.Image:
    """An image with both smooth and sharp parts."""
    y, x = np.mgrid[0:height, 0:width]
    channels = [128 + 100 * np.sin(x / 5 + k) * np.cos(y / 7) + 20 * ((x // 3 + y // 3) % 2) for k in range(3)]
    return Image.fromarray(np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8))


def processor(kind: str, config: dict[str, Any]) -> Any:
    import transformers

    classes = {
        "CLIP": transformers.CLIPImageProcessorPil,
        "Siglip": transformers.SiglipImageProcessorPil,
        "ViT": transformers.ViTImageProcessorPil,
    }
    return classes[kind](**config)


NUMBERS = st.lists(st.floats(0.05, 2), min_size=3, max_size=3)
CROP = st.sampled_from([SIDE, {"height": SIDE, "width": SIDE}, [SIDE, SIDE]])
SQUARE = st.sampled_from([{"height": SIDE, "width": SIDE}, [SIDE, SIDE]])


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A class of image processor, and settings whose images come out at the tower's size."""
    kind = draw(st.sampled_from(sorted(DEFAULTS)))
    config: dict[str, Any] = {
        "resample": draw(st.integers(0, 5)),
        "do_rescale": draw(st.booleans()),
        "rescale_factor": draw(st.sampled_from([1 / 255, 1 / 127.5, 0.5])),
        "do_normalize": draw(st.booleans()),
        "image_mean": draw(NUMBERS),
        "image_std": draw(NUMBERS),
        "do_convert_rgb": draw(st.booleans()),
    }
    way = draw(st.sampled_from(["squash", "shortest", "squash and cut", "cut"]))
    config["do_resize"] = way != "cut"
    config["do_center_crop"] = way != "squash"
    if config["do_center_crop"]:
        config["crop_size"] = draw(CROP)
    if way == "squash":
        config["size"] = draw(SQUARE)
    elif way == "squash and cut":
        config["size"] = {"height": draw(st.integers(9, 40)), "width": draw(st.integers(9, 40))}
    else:
        edge = draw(st.integers(9, 40))
        config["size"] = draw(st.sampled_from([edge, {"shortest_edge": edge}]))
    for key in draw(
        st.sets(st.sampled_from(["resample", "do_rescale", "rescale_factor", "do_normalize", "image_mean"]))
    ):
        del config[key]
    return kind, config


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@example(chosen=("CLIP", {"resample": 0, "size": 10, "crop_size": SIDE}), width=3, height=34)
@example(chosen=("CLIP", {"resample": 4, "size": 9, "crop_size": SIDE, "do_rescale": False}), width=4, height=76)
@given(chosen=configurations(), width=st.integers(3, 90), height=st.integers(3, 90))
def test_pixels_equal_transformers(chosen: tuple[str, dict[str, Any]], width: int, height: int) -> None:
    kind, config = chosen
    image = photo(width, height)
    expected = np.asarray(processor(kind, config)(image, return_tensors="np")["pixel_values"][0], dtype=np.float32)
    vision = SIGLIP if kind == "Siglip" else CLIP
    for name in (f"{kind}ImageProcessor", f"{kind}ImageProcessorFast", f"{kind}FeatureExtractor"):
        read = hugging_face_preprocess({**config, "image_processor_type": name}, vision, "file")
    ours = read.load(image)
    assert ours.shape == expected.shape
    # Strips of more than 1 : 8 are cut before they are scaled, which rounds a few values the other way; where whole
    # pixels are taken (resample 0, the nearest, and 4, a box), a row or two are then of the pixel beside it.
    strip = max(width, height) > 8 * min(width, height)
    off = np.abs(ours - expected) / (1 + np.abs(expected).max())
    if strip and config.get("resample") in (0, 4):
        assert np.mean(off > 0.02) <= 2 / SIDE
    else:
        assert off.max() < (0.02 if strip else 2e-6)


def test_what_transformers_saves_is_read_in_both_layouts(tmp_path: Path) -> None:
    """Version 5 nests the settings in processor_config.json, and prefers them to the older file."""
    config = {"size": {"height": SIDE, "width": SIDE}, "do_normalize": False, "resample": 2}
    saved = processor("Siglip", config)
    saved.save_pretrained(tmp_path)
    older = hugging_face_settings(tmp_path)
    assert older is not None
    assert older[1] == "preprocessor_config.json"
    nested = {"processor_class": "SiglipProcessor", "image_processor": json.loads((tmp_path / older[1]).read_text())}
    (tmp_path / "processor_config.json").write_text(json.dumps(nested))
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": true}')
    newer = hugging_face_settings(tmp_path)
    assert newer is not None
    expected = np.asarray(saved(photo(40, 31), return_tensors="np")["pixel_values"][0])
    for settings_, where in (older, newer):
        assert np.abs(hugging_face_preprocess(settings_, SIGLIP, where).load(photo(40, 31)) - expected).max() < 1e-6
    (tmp_path / "processor_config.json").write_text('{"processor_class": "SiglipProcessor"}')
    settings_of_the_older = hugging_face_settings(tmp_path)
    assert settings_of_the_older == ({"do_normalize": True}, "preprocessor_config.json")
    assert hugging_face_settings(tmp_path / "none") is None


@pytest.mark.parametrize("vision", [CLIP, SIGLIP], ids=["clip", "siglip"])
def test_the_usual_files_give_the_usual_settings(vision: VisionConfig) -> None:
    """To the last bit: fingerprints hash the settings."""
    usual = default_preprocess(vision)
    assert hugging_face_preprocess({}, vision, "file") == usual
    full = {
        "do_resize": True, "do_rescale": True, "do_normalize": True, "rescale_factor": 0.00392156862745098,
        "image_mean": list(usual.mean), "image_std": list(usual.std), "resample": 3, "do_convert_rgb": True,
    }  # fmt: skip
    size = {"shortest_edge": SIDE} if vision is CLIP else {"height": SIDE, "width": SIDE}
    assert hugging_face_preprocess({**full, "size": size}, vision, "file").record() == usual.record()
    assert "scaled" not in usual.record()
    assert Preprocess(SIDE, CLIP_MEAN, CLIP_STD).record() == {
        "size": SIDE, "mean": CLIP_MEAN, "std": CLIP_STD, "resize": "shortest", "interpolation": "bicubic",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"do_flip": True}, "do_flip = True"),
        ({"crop_pct": 0.9}, "crop_pct"),
        ({"image_processor_type": "ConvNextImageProcessor"}, "'ConvNextImageProcessor' is not known"),
        ({"size": {"longest_edge": SIDE}}, "longest_edge"),
        ({"size": {"shortest_edge": SIDE, "longest_edge": 40}}, "neither a shortest_edge"),
        ({"size": {"shortest_edge": 64}, "crop_size": 64}, "come out 64 pixels wide"),
        ({"do_center_crop": False}, "not square"),
        ({"do_center_crop": False, "do_resize": False}, "keep their sizes"),
        ({"crop_size": {"height": SIDE, "width": 20}}, "no square"),
        ({"crop_size": {"shortest_edge": SIDE}}, "no square"),
        ({"do_pad": True, "pad_size": {"height": 40, "width": 40}}, "pad_size"),
        ({"resample": 9}, "no filter"),
        ({"resample": "sinc"}, "no filter"),
        ({"rescale_factor": 0}, "rescale_factor"),
        ({"image_std": [0, 1, 1]}, "deviation|preprocessing"),
        ({"image_mean": [0.5, 0.5]}, "three channels"),
        ({"size": "big"}, "not of whole pixels"),
        ({"size": {"height": 0, "width": 0}}, "not of whole pixels"),
    ],
)
def test_what_cannot_be_followed_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as caught:
        hugging_face_preprocess({"size": SIDE, **change}, CLIP, "some_file.json")
    assert "some_file.json" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("key", sorted(known_keys("image processor").harmless))
def test_harmless_keys_change_no_pixel(key: str) -> None:
    assert hugging_face_preprocess({key: ["anything"]}, CLIP, "file") == hugging_face_preprocess({}, CLIP, "file")
    assert known_keys("image processor").harmless[key]


def test_padding_to_the_size_there_is_changes_nothing() -> None:
    plain = hugging_face_preprocess({"size": SIDE}, CLIP, "file")
    for pad in ({}, {"pad_size": SIDE}, {"pad_size": {"height": SIDE, "width": SIDE}}):
        assert hugging_face_preprocess({"size": SIDE, "do_pad": True, **pad}, CLIP, "file") == plain


def test_open_clip_settings() -> None:
    mean, std = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    read = open_clip_preprocess(
        {"mean": mean, "std": std, "interpolation": "bilinear", "resize_mode": "squash", "size": [SIDE, SIDE],
         "mode": "RGB", "fill_color": 0},
        CLIP, "file",
    )  # fmt: skip
    assert read == Preprocess(SIDE, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "squash", "bilinear")
    assert open_clip_preprocess({}, CLIP, "file") == default_preprocess(CLIP)
    for change, message in (
        ({"size": 48}, "size = 48"),
        ({"size": [SIDE, 48]}, "48"),
        ({"size": "x"}, "'x'"),
        ({"resize_mode": "longest"}, "longest"),
        ({"interpolation": "random"}, "random"),
        ({"mode": "L"}, "mode = 'L'"),
        ({"timm": 1}, "timm = 1"),
        ({"mean": [1]}, "mean"),
    ):
        with pytest.raises(CheckpointError, match=message):
            open_clip_preprocess(change, CLIP, "file")
