"""The lexicon: which rows it holds and trains, how they grow, and that a damaged one is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from glotclip.config import settings_from
from glotclip.errors import ConfigError, PackError
from glotclip.methods.lexicon import Lexicon, LexiconConfig, SubTable, occurring
from glotclip.methods.module import ALL
from glotclip.methods.task import TrainingTask
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.tokens import Tokens

if TYPE_CHECKING:
    from tests.methods.conftest import MakeTask

    from glotclip.methods.stack import PackState

    Stir = Callable[[TrainingTask], None]


def lexicon_of(state: PackState) -> Lexicon:
    module = state.module("lexicon", ALL)
    assert isinstance(module, Lexicon)
    return module


def working(task: TrainingTask) -> SubTable:
    (module,) = task.shared_modules
    assert isinstance(module, SubTable)
    return module


@given(st.integers(1, 12), st.integers(0, 5), st.data())
def test_a_lookup_is_that_of_the_whole_table(V: int, grown: int, data: st.DataObject) -> None:
    held = sorted(data.draw(st.sets(st.integers(0, V + grown - 1))) | set(range(V, V + grown)))
    generator = torch.Generator().manual_seed(V)
    table, rows = torch.randn(V, 3, generator=generator), torch.randn(len(held), 3, generator=generator)
    lexicon = Lexicon(torch.tensor(held, dtype=torch.int64), rows, V + grown)
    whole = torch.cat([table, torch.zeros(grown, 3)])
    whole[held] = rows
    if held:
        ids = torch.tensor([data.draw(st.lists(st.integers(0, V + grown - 1), min_size=1, max_size=9))])
        assert torch.equal(lexicon.embed(ids, table), F.embedding(ids, whole))
    assert torch.equal(lexicon.full_table(table), whole)


def test_the_rows_of_tokens_that_occur_and_of_special_ones_train(base: DualEncoder, make_task: MakeTask) -> None:
    task = make_task(base, ["lexicon"], vocabulary=300)
    module, ids = working(task), set(np.unique(task.tokens["de"].flat).tolist())
    assert set(module.ids.tolist()) == ids | task.tokenizer.special_ids
    V, special = len(base.text.table), task.tokenizer.special_ids
    assert task.facts == {
        "new_tokens": task.tokenizer.vocab_size - V,
        "rows_trained": len(ids | special),
        "rows_shared_with_the_base": sum(token < V for token in ids - special),
    }
    known = module.ids[module.ids < V]
    assert torch.equal(module.rows[: len(known)], base.text.table[known])


def test_a_lexicon_stores_what_it_trained_what_is_new_and_what_was_held(
    base: DualEncoder, make_task: MakeTask, stir: Stir
) -> None:
    V = len(base.text.table)
    first = make_task(base, ["lexicon"], vocabulary=300)
    stir(first)
    one = lexicon_of(state := first.finish(1.0))
    assert set(one.ids.tolist()) == {*working(first).ids.tolist(), *range(V, one.vocab_size)}
    second = make_task(base, ["lexicon"], ("fr",), state, vocabulary=300)
    stir(second)
    two = lexicon_of(second.finish(1.0))
    assert set(two.ids.tolist()) == {
        *one.ids.tolist(), *working(second).ids.tolist(), *range(one.vocab_size, two.vocab_size),
    }  # fmt: skip
    untouched = torch.tensor(sorted(set(one.ids.tolist()) - set(working(second).ids.tolist())))
    before, after = one.full_table(base.text.table), two.full_table(base.text.table)
    assert torch.equal(after[untouched], before[untouched])
    assert torch.equal(after[working(second).ids], working(second).rows)


def test_a_shared_table_without_teirs_decay_shrinks_as_a_whole(base: DualEncoder, make_task: MakeTask) -> None:
    """Plain AdamW decays every row at every step: what takes no part does so once, at the end."""
    task = make_task(base, ["lexicon"], isolation="shared", teir_decay=False)
    trained, stored = working(task).ids, lexicon_of(task.finish(0.5))
    assert stored.ids.tolist() == list(range(stored.vocab_size))
    others = torch.ones(stored.vocab_size, dtype=torch.bool)
    others[trained] = False
    assert torch.equal(stored.rows[others], base.text.table[others] * 0.5)
    assert torch.equal(stored.rows[trained], base.text.table[trained])
    for settings in ({"isolation": "shared"}, {"isolation": "per-language", "teir_decay": False}):
        table = lexicon_of(make_task(base, ["lexicon"], **settings).finish(0.5)).full_table(base.text.table)
        assert torch.equal(table, base.text.table)


@pytest.mark.parametrize("isolation", ["shared", "per-language"])
def test_counters_are_kept_where_later_languages_build_on_them(
    base: DualEncoder, make_task: MakeTask, isolation: str
) -> None:
    stored = lexicon_of(make_task(base, ["lexicon"], isolation=isolation).finish(1.0))
    assert ("uses" in stored.tensors()) is (isolation == "shared")


@pytest.mark.parametrize("damps", ["gradient", "rate"])
def test_what_teir_damps_can_be_chosen(base: DualEncoder, make_task: MakeTask, damps: str) -> None:
    (group,) = make_task(base, ["lexicon"], isolation="shared", teir_damps=damps).groups
    scales = {"gradient": group.gradient_scale, "rate": group.rate_scale}
    damped, other = scales.pop(damps), scales.popitem()[1]
    assert damped is not None
    assert set(damped.tolist()) == {0.0, 0.5}  # special tokens, and the base's rows that are met again
    assert other is None or set(other.tolist()) == {1.0}


def test_new_rows_without_teir_have_the_deviation_asked_for(base: DualEncoder, make_task: MakeTask) -> None:
    settings: dict[str, Any] = {"vocabulary": 2000, "teir_init": False, "init_std": 0.3}
    stored = lexicon_of(make_task(base, ["lexicon"], **settings).finish(1.0))
    new = stored.full_table(base.text.table)[len(base.text.table) :]
    assert len(new) > 20
    assert float(new.detach().std()) == pytest.approx(0.3, rel=0.1)


def test_anchored_rows_train_where_plain_decay_would_pull_them_away(base: DualEncoder, make_task: MakeTask) -> None:
    for teir_decay in (True, False):
        task = TrainingTask(base, None, {"de": ["rot"]}, anchored_rows={"lexicon": torch.tensor([7, 9])})
        task.prepare([Lexicon], LexiconConfig(vocabulary=0, isolation="shared", teir_decay=teir_decay))
        assert ({7, 9} <= set(working(task).ids.tolist())) is not teir_decay


def test_texts_that_captions_are_aligned_with_and_replayed_ones_count(base: DualEncoder) -> None:
    """A language that is replayed counts once more; the task's own languages count once together."""
    task = TrainingTask(base, None, {"de": ["a"]}, {"de": ["b"]}, {"fr": ["c"], "de": ["d"]})
    task.prepare([Lexicon], LexiconConfig(vocabulary=0, isolation="shared"))
    letters = {letter: base.tokenizer.encode([letter])[0].tolist()[1] for letter in "abcde"}
    assert {letters[letter] for letter in "abcd"} == set(working(task).ids.tolist()) - base.tokenizer.special_ids
    uses = lexicon_of(task.finish(1.0)).uses
    assert uses is not None
    assert [int(uses[letters[letter]]) for letter in "abcde"] == [3, 3, 3, 3, 2]
    both = TrainingTask(base, None, {"de": ["a"]}, {}, {"fr": ["a"]})
    both.prepare([Lexicon], LexiconConfig(vocabulary=0, isolation="shared"))
    uses = lexicon_of(both.finish(1.0)).uses
    assert uses is not None
    assert int(uses[letters["a"]]) == 4


def test_occurring_ids_are_told_without_special_ones() -> None:
    tokens = [Tokens.from_lists([[1, 5, 3], [1, 3]]), Tokens.from_lists([[1, 9]])]
    assert occurring(tokens, torch.tensor([1, 7])).tolist() == [3, 5, 9]


def test_a_base_without_byte_level_bpe_keeps_its_vocabulary(base: DualEncoder, make_task: MakeTask) -> None:
    class Fixed:
        """A tokenizer of another kind."""

        def __getattr__(self, name: str) -> Any:
            return getattr(base.tokenizer, name)

    foreign = DualEncoder("foreign", base.text, base.vision, Fixed(), base.preprocess, 14.3)
    with pytest.raises(ConfigError, match="foreign does not use byte-level BPE") as caught:
        make_task(foreign, ["lexicon"], vocabulary=300)
    assert "vocabulary=0" in str(caught.value.hint)
    assert make_task(foreign, ["lexicon"]).facts["new_tokens"] == 0


def test_a_stored_lexicon_comes_back_and_a_damaged_one_is_refused(base: DualEncoder, make_task: MakeTask) -> None:
    stored = lexicon_of(make_task(base, ["lexicon"], isolation="shared", vocabulary=300).finish(1.0))
    good, said = stored.tensors(), stored.description()
    again = Lexicon.restore(base, good, said)
    assert again.description() == said == {"size": stored.vocab_size}
    assert all(torch.equal(tensor, again.tensors()[name]) for name, tensor in good.items())
    assert not again.rows.requires_grad
    K, V = len(stored.ids), len(base.text.table)
    for message, damaged, description in (
        ("lacks 'rows'", {name: tensor for name, tensor in good.items() if name != "rows"}, said),
        ("lacks 'size'", good, {}),
        ("unknown tensors", {**good, "surprise": torch.zeros(1)}, said),
        ("do not fit", {**good, "rows": good["rows"][:-1]}, said),
        ("do not fit", {**good, "rows": good["rows"][:, :-1]}, said),
        ("do not fit", {**good, "ids": torch.arange(K, dtype=torch.int32) + stored.vocab_size}, said),
        ("do not fit", {**good, "ids": torch.arange(K, dtype=torch.int32) - 1}, said),
        ("do not fit", {**good, "uses": good["uses"][:-1]}, said),
        ("do not fit", good, {"size": V - 1}),
    ):
        with pytest.raises(PackError, match=message) as caught:
            Lexicon.restore(base, damaged, description)
        assert caught.value.hint


@pytest.mark.parametrize("wrong", [{"vocabulary": -1}, {"teir_strength": 0}, {"init_std": -0.1}, {"teir_damps": "x"}])
def test_senseless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        settings_from(LexiconConfig, wrong, where="a test")
