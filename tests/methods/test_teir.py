"""TEIR: the distribution of new rows, the counters over several tasks, and the factors they give."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip.methods import teir
from glotclip.methods.lexicon import Lexicon
from glotclip.methods.module import ALL

if TYPE_CHECKING:
    from tests.conftest import School

    from glotclip.methods.stack import PackState


def lexicon_of(state: PackState) -> Lexicon:
    module = state.module("lexicon", ALL)
    assert isinstance(module, Lexicon)
    return module


def test_new_rows_follow_two_scalars_of_all_entries() -> None:
    table = torch.tensor([[1.0, 3.0], [5.0, 7.0]])
    mean = 4.0
    deviation = math.sqrt(sum((x - mean) ** 2 for x in (1, 3, 5, 7)) / 3)  # unbiased
    got = teir.identical_distribution(table, 3, torch.Generator().manual_seed(9))
    noise = torch.randn(3, 2, generator=torch.Generator().manual_seed(9))
    torch.testing.assert_close(got, noise * deviation + mean)


def test_without_teir_rows_have_the_fixed_deviation() -> None:
    rows = teir.fixed_normal(torch.full((4, 50), 100.0), 400, 0.02, torch.Generator().manual_seed(0))
    assert float(rows.std()) == pytest.approx(0.02, rel=0.05)
    assert abs(float(rows.mean())) < 0.001


@given(
    st.integers(3, 30).flatmap(
        lambda size: st.tuples(
            st.lists(st.integers(1, 9), min_size=size, max_size=size),
            st.sets(st.integers(0, size - 1)),
            st.sets(st.integers(0, size - 1)),
        )
    ),
    st.sampled_from([1.0, 0.5, 20.0]),
)
def test_damping_falls_with_the_count_of_what_occurs(
    case: tuple[list[int], set[int], set[int]], strength: float
) -> None:
    uses, present, special = case
    got = teir.damping(
        torch.tensor(uses, dtype=torch.int32),
        torch.tensor(sorted(present), dtype=torch.int64),
        torch.tensor(sorted(special), dtype=torch.int64),
        strength,
    )
    for j, n in enumerate(uses):
        expected = 1 / (1 + strength * (n - 1)) if j in present and j not in special else 0.0
        assert float(got[j]) == pytest.approx(expected)


def test_counters_over_three_tasks(school: School) -> None:
    """n_j = 1 + [j in the base] + how many earlier tasks' captions held j, counted by hand from the ids."""
    V = len(school.base.text.table)
    state, occurred = None, []
    for code in ("de", "fr", "hi"):
        size = 100 if code == "hi" else 0  # without merges German and French are written in letters they share
        state = school.teach(state, code, isolation="shared", steps=1, vocabulary=size).state
        ids = set(np.unique(state.tokenizer.encode(school.captions[code].texts).flat).tolist())
        occurred.append(ids - state.tokenizer.special_ids)
        uses = lexicon_of(state).uses
        assert uses is not None
        expected = [1 + (j < V) + sum(j in ids for ids in occurred) for j in range(state.tokenizer.vocab_size)]
        assert uses.tolist() == expected
    assert max(expected) == 4  # a letter of both German and French
    assert {2, 3, 4} <= set(expected)


@pytest.mark.parametrize(("vocabulary", "counts"), [(0, {2, 3}), (150, {1})])
def test_the_groups_factors_are_those_of_the_counters(school: School, vocabulary: int, counts: set[int]) -> None:
    state = school.teach(None, "de", isolation="shared", steps=1, vocabulary=0).state
    uses = lexicon_of(state).uses
    assert uses is not None
    curriculum = school.curriculum(("fr",), isolation="shared", vocabulary=vocabulary)
    task = curriculum.prepare(school.base, state, ("fr",), school.captions)
    (group,) = task.groups
    working = task.stacks["fr"].text_modules[0]
    assert isinstance(working, Lexicon)
    for scale in (group.gradient_scale, group.decay_scale):
        assert scale is not None
        for id_, factor in zip(working.ids.tolist(), scale.tolist(), strict=True):
            n = int(uses[id_]) if id_ < len(uses) else 1
            assert factor == pytest.approx(0.0 if id_ in task.tokenizer.special_ids else 1 / n)
        assert {round(1 / factor) for factor in scale.tolist() if factor} == counts


def test_new_rows_look_at_the_rows_of_earlier_languages(school: School) -> None:
    """The distribution is that of the current table, trained rows of the languages before included."""
    first = school.teach(None, "de", isolation="shared", lr=0.2).state
    before = lexicon_of(first).full_table(school.base.text.table)
    curriculum = school.curriculum(("fr",), isolation="shared")
    after = lexicon_of(curriculum.prepare(school.base, first, ("fr",), school.captions).finish(1.0))
    fresh = after.full_table(school.base.text.table)[len(before) :]
    again = lexicon_of(curriculum.prepare(school.base, first, ("fr",), school.captions).finish(1.0))
    assert torch.equal(again.rows, after.rows)
    noise = (fresh - before.mean()) / before.std()
    assert abs(float(noise.mean())) < 4 / math.sqrt(noise.numel())
    assert abs(float(noise.std()) - 1) < 4 / math.sqrt(2 * noise.numel())
    base_table = school.base.text.table
    assert float(before.std()) > 1.1 * float(base_table.std())  # otherwise this test could not tell


def test_special_tokens_are_frozen_under_teir_and_trained_without(school: School) -> None:
    table = school.base.text.table
    special = sorted(school.base.tokenizer.special_ids)
    kept = lexicon_of(school.teach(None, "de", isolation="shared").state).full_table(table)
    assert torch.equal(kept[special], table[special])
    plain = lexicon_of(school.teach(None, "de", isolation="shared", teir=False).state).full_table(table)
    assert not torch.isclose(plain[special], table[special]).all(dim=1).any()


def test_a_table_of_ones_own_is_not_damped(school: School) -> None:
    """Damping protects other languages; per language there are none, so the pieces change nothing there."""
    with_teir = lexicon_of(school.teach(None, "de", isolation="per-language").state)
    without = lexicon_of(
        school.teach(None, "de", isolation="per-language", teir_gradient=False, teir_decay=False).state
    )
    assert torch.equal(with_teir.rows, without.rows)
