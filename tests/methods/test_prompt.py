"""Soft and hard prompts: what is inserted, and what a pack keeps of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glotclip.config import settings_from
from glotclip.errors import ConfigError, PackError
from glotclip.methods.method import method_named
from glotclip.methods.prompt import HardPrompt, SoftPrompt, word_ids
from glotclip.models.tokens import Tokens

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.models.dual_encoder import DualEncoder


def inserted(base: DualEncoder, tokens: Tokens, words: str) -> Tokens:
    """The same texts with a prompt's tokens written after the start token."""
    ids = word_ids(base, words)
    return Tokens.from_lists([[one[0], *ids, *one[1:]] for one in (tokens[i].tolist() for i in range(len(tokens)))])


def test_a_hard_prompt_is_the_text_with_its_words_in_front(tower: DualEncoder, make_task: MakeTask) -> None:
    """Not exactly equal only where the tower sums in another order."""
    task = make_task(tower, ["hard-prompt"], prompt="im")
    assert task.groups == []
    assert task.facts == {}
    got = tower.encode_tokens(task.tokens["de"], task.stacks["de"])
    expected = tower.encode_tokens(inserted(tower, task.tokens["de"], "im"))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_a_soft_prompt_started_from_words_begins_as_the_hard_one(tower: DualEncoder, make_task: MakeTask) -> None:
    soft = make_task(tower, ["soft-prompt"], prompt="im", length=99)
    hard = make_task(tower, ["hard-prompt"], prompt="im")
    tokens = soft.tokens["de"]
    assert torch.equal(tower.encode_tokens(tokens, soft.stacks["de"]), tower.encode_tokens(tokens, hard.stacks["de"]))
    assert soft.trainable == 2 * 32


@pytest.mark.parametrize("settings", [{"length": 2}, {"prompt": "im", "length": 99}])
def test_a_shared_soft_prompt_goes_on_from_where_it_is(
    base: DualEncoder, make_task: MakeTask, settings: dict[str, Any]
) -> None:
    """Also one whose length the words decide."""
    state = make_task(base, ["soft-prompt"], shared=True, **settings).finish(1.0)
    (module,) = make_task(base, ["soft-prompt"], ("fr",), state, shared=True, **settings).shared_modules
    (stored,) = state.modules["all"]
    assert module.description() == stored.description() == {"length": 2}
    assert torch.equal(module.tensors()["vectors"], stored.tensors()["vectors"])
    with pytest.raises(ConfigError, match="the pack's soft-prompt has"):
        make_task(base, ["soft-prompt"], ("fr",), state, shared=True, length=3)


def test_a_drawn_soft_prompt_has_the_papers_deviation(base: DualEncoder, make_task: MakeTask) -> None:
    (module,) = make_task(base, ["soft-prompt"], length=20).stacks["de"].text_modules
    assert isinstance(module, SoftPrompt)
    assert float(module.vectors.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_a_hard_prompt_has_the_scope_of_modules(base: DualEncoder, make_task: MakeTask) -> None:
    own = make_task(base, ["hard-prompt"], ("de", "fr"), prompt="im").finish(1.0)
    assert {code: modules[0].description() for code, modules in own.modules.items()} == {
        "de": {"prompt": "im"}, "fr": {"prompt": "im"},
    }  # fmt: skip
    shared = make_task(base, ["hard-prompt"], ("de", "fr"), shared=True, prompt="im").finish(1.0)
    assert list(shared.modules) == ["all"]
    later = make_task(base, ["hard-prompt"], ("fr",), shared, shared=True, prompt="am").finish(1.0)
    assert later.modules["all"][0].description() == {"prompt": "am"}  # the words that the settings name


def test_words_come_without_special_tokens(base: DualEncoder) -> None:
    ids = word_ids(base, "ab c")
    assert len(ids) == 3
    assert not set(ids) & base.tokenizer.special_ids
    assert np.array_equal(base.tokenizer.encode(["ab c"])[0][1:-1], ids)


def test_a_hard_prompt_is_restored_for_its_own_words_only(base: DualEncoder) -> None:
    module = HardPrompt(base.text.config, HardPrompt.Config(prompt="im"), torch.tensor(word_ids(base, "im")))
    again = HardPrompt.restore(base, module.tensors(), module.description())
    assert torch.equal(again.ids, module.ids)
    with pytest.raises(PackError, match="other tokens"):
        HardPrompt.restore(base, module.tensors(), {"prompt": "am"})
    with pytest.raises(PackError, match="lacks 'prompt'"):
        HardPrompt.restore(base, module.tensors(), {})
    with pytest.raises(PackError, match="unknown tensors"):
        HardPrompt.restore(base, {**module.tensors(), "rows": torch.zeros(1)}, module.description())
    with pytest.raises(PackError, match="other tokens"):
        HardPrompt.restore(base, {"ids": torch.zeros(0, dtype=torch.int32)}, {"prompt": " "})


@pytest.mark.parametrize(
    ("kind", "settings"), [("soft-prompt", {"length": 22}), ("hard-prompt", {"prompt": "x" * 22})]
)
def test_a_prompt_must_leave_room_for_a_text(
    base: DualEncoder, make_task: MakeTask, kind: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="22 vectors in a context of 24"):
        make_task(base, [kind], **settings)


def test_a_prompt_needs_words(base: DualEncoder, make_task: MakeTask) -> None:
    with pytest.raises(ConfigError, match="no tokens"):
        make_task(base, ["hard-prompt"], prompt=" ")


def test_something_must_train_beside_a_hard_prompt() -> None:
    settings = method_named("hard-prompt").settings
    with pytest.raises(ConfigError, match="nothing to train: use embedding=lexicon or norms=true"):
        settings_from(settings, {"embedding": "base"}, where="a test")
    assert settings_from(settings, {"embedding": "base", "norms": True}, where="a test")
    assert settings_from(settings, {}, where="a test").model_dump()["prompt"] == "Language: "
