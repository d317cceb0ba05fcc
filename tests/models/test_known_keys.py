"""Every key of a configuration is used, harmless for a stated reason, or refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import CheckpointError
from glotclip.models import configs
from glotclip.models.known_keys import KnownKeys, known_keys

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
        yield f"{kind}", Place(known_keys(kind), configs.hugging_face, config, None)
        yield f"{kind} text", Place(known_keys(f"{kind} text"), configs.hugging_face, config, "text_config")
        yield f"{kind} vision", Place(known_keys(f"{kind} vision"), configs.hugging_face, config, "vision_config")
    yield "open_clip", Place(known_keys("open_clip model"), read_open_clip, OPEN_CLIP, None)
    yield "open_clip text", Place(known_keys("open_clip text"), read_open_clip, OPEN_CLIP, "text_cfg")
    yield "open_clip vision", Place(known_keys("open_clip vision"), read_open_clip, OPEN_CLIP, "vision_cfg")


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


KNOWN = KnownKeys(
    frozenset({"width", "heads"}), dict.fromkeys(("dropout", "rate"), "acts in training only"),
    {"causal": (True,), "x": ()}, {"heads": 2},
)  # fmt: skip


def test_what_is_known_passes() -> None:
    table = {"width": 3, "dropout": 0.5, "causal": True, "x": None, "new": None}
    assert KNOWN.read(table, "file") == {"heads": 2, "width": 3, "dropout": 0.5, "causal": True}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"new": 1, "newer": "a"}, "file has keys that glotclip does not understand: new = 1, newer = 'a'"),
        ({"new": False}, "file has a key that glotclip does not understand: new = False"),
        ({"new": "a" * 99}, "…"),
        ({"causal": False}, "file describes a variant that glotclip cannot compute: causal = False"),
        ({"causal": 1}, "causal = 1"),  # 1 equals true in Python, and is not
        ({"x": 0}, "x = 0"),
    ],
)
def test_what_is_not_is_named(table: dict[str, object], message: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        KNOWN.check(table, "file")
    assert message in caught.value.message
    assert caught.value.hint
