"""Names of other projects' tensors, and what becomes of the tensors."""

from __future__ import annotations

import pytest
import torch

from glotclip.errors import CheckpointError
from glotclip.models.keymaps import Rule, convert, rules

LAYERS = {"text": 2, "vision": 1}


@pytest.mark.parametrize(
    "name", ["clip", "siglip", "multilingual", "openai matrix", "openai linear", "openai biased"]
)
def test_each_tensor_has_one_rule_and_no_placeholder_is_left(name: str) -> None:
    made = rules(name, LAYERS)
    assert len({rule.ours for rule in made}) == len(made)
    used = [each for rule in made for each in rule.theirs]
    assert len(set(used)) == len(used)
    assert not any(sign in "".join((rule.ours, *rule.theirs)) for rule in made for sign in "*{} ")
    assert len([rule for rule in made if rule.ours.startswith("text.blocks.")]) == 2 * 12


def test_what_is_done_with_tensors() -> None:
    source = {
        "a": torch.arange(6).view(2, 3),
        "b": torch.ones(2, 3),
        "row": torch.ones(1, 3),
        "ours.position_ids": torch.ones(1),
    }
    made = [
        Rule("same", ("a",)), Rule("joined", ("a", "b")), Rule("turned", ("a",), "turned"),
        Rule("flat", ("b",), "flat"), Rule("folded", ("a", "row"), "folded"),
    ]  # fmt: skip
    shapes = {"same": (2, 3), "joined": (4, 3), "turned": (3, 2), "flat": (6,), "folded": (1, 3)}
    got = convert(source, made, {name: torch.Size(shape) for name, shape in shapes.items()}, where="x", unused=1)
    assert {tensor.dtype for tensor in got.values()} == {torch.float32}
    assert got["joined"].tolist() == [[0, 1, 2], [3, 4, 5], [1, 1, 1], [1, 1, 1]]
    assert got["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert got["folded"].tolist() == [[4, 5, 6]]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    made = [Rule("a", ("x",)), Rule("b", ("y", "z")), Rule("c", ("w",))]
    source = {"x": torch.ones(3), "y": torch.ones(2), "z": torch.ones(3), "more": torch.ones(1)}
    shapes = {"a": torch.Size((2,)), "b": torch.Size((4,)), "c": torch.Size((1,))}
    with pytest.raises(CheckpointError) as caught:
        convert(source, made, shapes, where="the file", also=("kept",))
    for said in ("missing: w", "x is (3,), for (2,)", "y + z is (2,), (3,), for (4,)", "unknown: more"):
        assert said in caught.value.message
