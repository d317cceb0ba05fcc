"""Every key of a configuration is used, harmless for a stated reason, or refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import CheckpointError
from glotclip.models import config_keys, configs
from glotclip.models.known_keys import KnownKeys
from glotclip.models.text_tower import TextConfig
from glotclip.models.vision_tower import VisionConfig

HF_CLIP: dict[str, Any] = {
    "model_type": "clip",
    "text_config": {"hidden_size": 128},
    "vision_config": {"patch_size": 16},
}
HF_SIGLIP: dict[str, Any] = {
    "model_type": "siglip",
    "text_config": {"hidden_size": 48},
    "vision_config": {"patch_size": 16},
}
OPEN_CLIP: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 99, "width": 128, "heads": 2, "layers": 2},
}


class Place(NamedTuple):
    """A table within a configuration, what is known of it, and the reader of the whole."""

    known: KnownKeys
    read: Callable[[Any], object]
    config: dict[str, Any]
    table: str | None

    def with_key(self, key: str, value: Any) -> dict[str, Any]:
        config = copy.deepcopy(self.config)
        (config[self.table] if self.table else config)[key] = value
        return config


def read_open_clip(config: Any) -> object:
    return configs.open_clip(config, "open_clip_config.json")


def _places() -> Iterator[tuple[str, Place]]:
    for kind, config in (
        ("clip", HF_CLIP),
        ("siglip", HF_SIGLIP),
        ("siglip2", {**HF_SIGLIP, "model_type": "siglip2"}),
    ):
        yield f"{kind}", Place(config_keys.HF_MODEL[kind], configs.hugging_face, config, None)
        yield f"{kind} text", Place(config_keys.HF_TEXT[kind], configs.hugging_face, config, "text_config")
        yield f"{kind} vision", Place(config_keys.HF_VISION[kind], configs.hugging_face, config, "vision_config")
    yield "open_clip", Place(config_keys.OPEN_CLIP_MODEL, read_open_clip, OPEN_CLIP, None)
    yield "open_clip text", Place(config_keys.OPEN_CLIP_TEXT, read_open_clip, OPEN_CLIP, "text_cfg")
    yield "open_clip vision", Place(config_keys.OPEN_CLIP_VISION, read_open_clip, OPEN_CLIP, "vision_cfg")


PLACES = dict(_places())


@pytest.mark.slow
@pytest.mark.parametrize("name", PLACES)
@given(data=st.data())
def test_an_unknown_key_is_refused_by_name(name: str, data: st.DataObject) -> None:
    place = PLACES[name]
    known = {*place.known.used, *place.known.harmless, *place.known.fixed}
    key = data.draw(st.from_regex(r"[a-z][a-z_]{1,20}", fullmatch=True).filter(lambda key: key not in known))
    value = data.draw(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.just([1])))
    with pytest.raises(CheckpointError) as caught:
        place.read(place.with_key(key, value))
    assert f"{key} = " in caught.value.message
    assert place.read(place.with_key(key, None)) == place.read(place.config)  # null says nothing


@pytest.mark.parametrize("name", PLACES)
def test_harmless_keys_change_nothing_and_have_a_reason(name: str) -> None:
    place = PLACES[name]
    usual = place.read(place.config)
    for key, reason in place.known.harmless.items():
        assert reason
        for value in (True, 3, "other", [1], {"a": 1}):
            assert place.read(place.with_key(key, value)) == usual, key


@pytest.mark.parametrize("name", PLACES)
def test_of_other_keys_only_some_values_are_read(name: str) -> None:
    place = PLACES[name]
    usual = place.read(place.config)
    for key, values in place.known.fixed.items():
        for value in values:
            assert place.read(place.with_key(key, value)) == usual, key
        for value in (True, 7, "other", {"a": 1}):
            if value not in values or isinstance(value, bool) not in {isinstance(one, bool) for one in values}:
                with pytest.raises(CheckpointError, match=f"{key} = |tower {value} is not"):
                    place.read(place.with_key(key, value))


@pytest.mark.parametrize("name", PLACES)
def test_used_keys_are_really_used(name: str) -> None:
    """A key that is called used and is not read would be passed over in silence."""
    place = PLACES[name]
    usual = place.read(place.config)
    for key in sorted(place.known.used - {"model_type", "eos_token_id"}):
        values: list[Any] = [{"eps": 0.5}, {"approximate": "tanh"}, True, 240, 2, 0.25, "gelu_new", [256, 256]]
        changed = False
        for value in values:
            try:
                changed |= place.read(place.with_key(key, value)) != usual
            except CheckpointError:
                changed = True
        assert changed, key


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
