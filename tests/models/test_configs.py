"""Configurations of other projects are read as their own code reads them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import CheckpointError
from glotclip.models import configs
from glotclip.models.text_tower import TextConfig
from glotclip.models.vision_tower import VisionConfig

OPEN_CLIP: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 99, "width": 128, "heads": 2, "layers": 2},
}


def test_open_clip_activation_and_norm() -> None:
    config = copy.deepcopy(OPEN_CLIP)
    config["text_cfg"] |= {"act_kwargs": {"approximate": "tanh"}, "norm_kwargs": {"eps": 1e-6}}
    read = configs.open_clip(config, "file")
    assert (read.text.activation, read.text.norm_eps) == ("gelu_tanh", 1e-6)
    assert (read.vision.activation, read.vision.norm_eps) == ("gelu", 1e-5)
    for quick, side, key, value in (
        (False, "text_cfg", "act_kwargs", {"approximate": "sinc"}),
        (False, "vision_cfg", "act_kwargs", {"inplace": True}),
        (True, "vision_cfg", "act_kwargs", {"approximate": "tanh"}),
        (False, "vision_cfg", "norm_kwargs", {"eps": 1e-6, "bias": False}),
        (False, "text_cfg", "norm_kwargs", {"elementwise_affine": False}),
    ):
        config = {**copy.deepcopy(OPEN_CLIP), "quick_gelu": quick}
        config[side][key] = value
        with pytest.raises(CheckpointError, match=f"{side}.*{key}"):
            configs.open_clip(config, "file")


def test_open_clip_assumes_what_its_dataclasses_do() -> None:
    read = configs.open_clip({"embed_dim": 512, "vision_cfg": {"patch_size": 32}, "text_cfg": {}}, "file")
    assert read == configs.Geometry(TextConfig(activation="gelu"), VisionConfig(activation="gelu"))


@pytest.mark.parametrize("config", [{}, {"embed_dim": 24}, {"embed_dim": 24, "vision_cfg": 3, "text_cfg": {}}])
def test_a_damaged_open_clip_configuration_is_named(config: Any) -> None:
    with pytest.raises(CheckpointError, match="missing or wrong"):
        configs.open_clip(config, "file")


CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "hidden_size": st.sampled_from([96, 192]),
        "num_hidden_layers": st.integers(1, 3),
        "num_attention_heads": st.sampled_from([2, 4]),
        "intermediate_size": st.sampled_from([48, 96]),
        "layer_norm_eps": st.sampled_from([1e-5, 1e-6]),
        "hidden_act": st.sampled_from(["quick_gelu", "gelu", "gelu_pytorch_tanh"]),
        "attention_dropout": st.just(0.1),
        "projection_dim": st.just(32),
    },
)


@pytest.mark.slow
@given(text=st.none() | CONFIGS, over=st.none() | CONFIGS, vision=CONFIGS, vision_over=st.none() | CONFIGS)
def test_a_second_table_overrules_the_first_as_in_transformers(
    text: Any, over: Any, vision: Any, vision_over: Any
) -> None:
    """Old files carry text_config_dict beside text_config; transformers takes the former, defaults and all."""
    import transformers

    given_ = {
        "text_config": text,
        "text_config_dict": over,
        "vision_config": vision,
        "vision_config_dict": vision_over,
    }
    theirs: Any = transformers.CLIPConfig(**copy.deepcopy(given_))
    ours = configs.hugging_face({"model_type": "clip", **given_})
    assert ours == configs.hugging_face({"model_type": "clip", **_of(theirs)})
    for side, read in ((theirs.text_config, ours.text), (theirs.vision_config, ours.vision)):
        assert (side.hidden_size, side.num_hidden_layers, side.num_attention_heads) == (
            read.width, read.layers, read.heads,
        )  # fmt: skip
        assert (side.intermediate_size, side.layer_norm_eps) == (read.mlp_width, read.norm_eps)


def _of(config: Any) -> dict[str, Any]:
    whole = config.to_dict()
    return {key: whole[key] for key in ("text_config", "vision_config", "projection_dim")}


@pytest.mark.parametrize("kind", ["CLIP", "Siglip", "Siglip2"])
def test_what_transformers_writes_is_understood(kind: str) -> None:
    """Whatever keys its version writes, with values of its own."""
    import transformers

    config = getattr(transformers, f"{kind}Config")()
    read = configs.hugging_face(config.to_dict())
    assert read == configs.hugging_face({"model_type": kind.lower()})
    assert read.text.width == config.text_config.hidden_size
