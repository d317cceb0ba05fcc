"""Soft and hard prompts: what is inserted, and what a pack keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from glotclip.errors import ConfigError, PackError
from glotclip.methods.prompt import HardPrompt, HardPromptIngredient, SoftPrompt, SoftPromptIngredient, words_ids
from glotclip.models.tokens import Tokens

if TYPE_CHECKING:
    from tests.methods.conftest import MakeLesson

    from glotclip.models.dual_encoder import DualEncoder


def inserted(base: DualEncoder, tokens: Tokens, text: str) -> Tokens:
    """The same texts with a prompt's tokens written after the start token."""
    ids = words_ids(base, text).tolist()
    return Tokens.from_lists([[one[0], *ids, *one[1:]] for one in (tokens[i].tolist() for i in range(len(tokens)))])


def test_a_hard_prompt_is_the_text_with_its_words_in_front(tower: DualEncoder, make_lesson: MakeLesson) -> None:
    """Not exactly equal only where the tower sums in another order."""
    lesson = make_lesson(tower, [HardPromptIngredient(text="im")])
    assert lesson.groups == []
    got = tower.encode_tokens(lesson.tokens["de"], lesson.stacks["de"])
    expected = tower.encode_tokens(inserted(tower, lesson.tokens["de"], "im"))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_a_soft_prompt_started_from_words_begins_as_the_hard_one(tower: DualEncoder, make_lesson: MakeLesson) -> None:
    soft = make_lesson(tower, [SoftPromptIngredient(text="im", length=99)])
    hard = make_lesson(tower, [HardPromptIngredient(text="im")])
    tokens = soft.tokens["de"]
    assert torch.equal(tower.encode_tokens(tokens, soft.stacks["de"]), tower.encode_tokens(tokens, hard.stacks["de"]))
    assert soft.trainable == 2 * 32


def test_a_drawn_soft_prompt_has_the_deviation_asked_for(base: DualEncoder, make_lesson: MakeLesson) -> None:
    (part,) = make_lesson(base, [SoftPromptIngredient(length=20, std=0.5)]).stacks["de"].parts
    assert isinstance(part, SoftPrompt)
    assert float(part.vectors.detach().std()) == pytest.approx(0.5, rel=0.1)


def test_languages_may_have_words_of_their_own(base: DualEncoder, make_lesson: MakeLesson) -> None:
    lesson = make_lesson(base, [HardPromptIngredient(text="x", words={"fr": "le"})], ("de", "fr"))
    state = lesson.finish(1.0)
    assert [state.parts[code][0].description() for code in ("de", "fr")] == [{"text": "x"}, {"text": "le"}]
    shared = make_lesson(base, [HardPromptIngredient(shared=True, text="x")], ("de", "fr")).finish(1.0)
    assert list(shared.parts) == ["all"]


def test_words_come_without_special_tokens(base: DualEncoder) -> None:
    ids = words_ids(base, "ab c").tolist()
    assert len(ids) == 3
    assert not set(ids) & base.tokenizer.special_ids
    assert np.array_equal(base.tokenizer.encode(["ab c"])[0][1:-1], ids)


def test_a_hard_prompt_is_restored_for_its_own_words_only(base: DualEncoder) -> None:
    part = HardPrompt(words_ids(base, "im"), "im")
    again = HardPrompt.restore(base, part.tensors(), part.description())
    assert torch.equal(again.ids, part.ids)
    with pytest.raises(PackError, match="other tokens"):
        HardPrompt.restore(base, part.tensors(), {"text": "am"})
    with pytest.raises(PackError, match="lacks 'text'"):
        HardPrompt.restore(base, part.tensors(), {})
    with pytest.raises(PackError, match="unknown tensors"):
        HardPrompt.restore(base, {**part.tensors(), "rows": torch.zeros(1)}, part.description())
    with pytest.raises(PackError, match="other tokens"):
        HardPrompt.restore(base, {"ids": torch.zeros(0, dtype=torch.int32)}, {"text": " "})


@pytest.mark.parametrize("ingredient", [SoftPromptIngredient(length=22), HardPromptIngredient(text="x" * 22)])
def test_a_prompt_must_leave_room_for_a_text(
    base: DualEncoder, make_lesson: MakeLesson, ingredient: SoftPromptIngredient | HardPromptIngredient
) -> None:
    with pytest.raises(ConfigError, match="22 vectors in a context of 24"):
        make_lesson(base, [ingredient])


def test_a_prompt_needs_words(base: DualEncoder, make_lesson: MakeLesson) -> None:
    with pytest.raises(ConfigError, match="no tokens"):
        make_lesson(base, [HardPromptIngredient(text=" ")])
