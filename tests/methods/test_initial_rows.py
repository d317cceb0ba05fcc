"""Rows in closed form: the sparse solution is that of dense linear algebra, and it does what it is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glotclip.config import settings_from
from glotclip.errors import ConfigError
from glotclip.methods.initial_rows import Pairs, corrections, sense_weights, translated_means
from glotclip.methods.lexicon import LexiconConfig, SubTable
from glotclip.methods.method import method_named
from glotclip.methods.stack import ModuleStack
from glotclip.methods.task import TrainingTask
from glotclip.models.own_tokenizer import OwnTokenizer
from glotclip.models.tokens import Tokens

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

V, NEW, WIDTH = 6, 5, 3
IDS = st.lists(st.integers(1, V + NEW - 1), max_size=5)
ENGLISH = st.lists(st.integers(1, V - 1), max_size=4)
GERMAN = ["roter Kreis", "rotes Quadrat", "roter Balken", "grüner Kreis", "grünes Quadrat", "grüner Balken"]
PLAIN = ["red circle", "red square", "red bar", "green circle", "green square", "green bar"]


def dense(pairs: list[tuple[list[int], list[int]]], weights: list[float]) -> tuple[torch.Tensor, ...]:
    """Counts (M, V + NEW), means of the English (M, V) and roots of weights (M, 1) of pairs with two sides."""
    kept = [place for place, (ids, english) in enumerate(pairs) if ids and english]
    counts, english = torch.zeros(len(kept), V + NEW), torch.zeros(len(kept), V)
    for row, place in enumerate(kept):
        for each in pairs[place][0]:
            counts[row, each] += 1 / len(pairs[place][0])
        for each in pairs[place][1]:
            english[row, each] += 1 / len(pairs[place][1])
    return counts, english, torch.tensor([weights[place] for place in kept]).sqrt()[:, None]


@given(st.lists(st.tuples(IDS, ENGLISH), min_size=1, max_size=12), st.data())
def test_it_is_the_ridge_regression(pairs: list[tuple[list[int], list[int]]], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 2), min_size=len(pairs), max_size=len(pairs)))
    first = data.draw(st.integers(1, V))
    texts, theirs = (Tokens.from_lists([0, *pair[side]] for pair in pairs) for side in (0, 1))
    made = Pairs.of(texts, theirs, frozenset([0]), np.array(weights, np.float32))
    counts, english, root = dense(pairs, weights)
    assert len(made) == len(counts)
    free = np.unique(made.ids[made.ids >= first])
    if not len(free):
        return
    generator = torch.Generator().manual_seed(len(pairs))
    table, start = torch.randn(V, WIDTH, generator=generator), torch.randn(V + NEW, WIDTH, generator=generator)
    found = corrections(made, free, table, start, ridge=0.1, steps=60)
    A, B = root * counts[:, free], root * (english @ table - counts @ start)
    wanted = torch.linalg.solve(A.double().T @ A.double() + 0.1 * torch.eye(len(free)).double(), (A.T @ B).double())
    torch.testing.assert_close(found.double(), wanted, atol=2e-4, rtol=2e-3)
    share = (root**2 * counts[:, free]).T
    means = (share @ (english @ table)) / share.sum(dim=1, keepdim=True)
    torch.testing.assert_close(translated_means(made, free, table), means, atol=1e-5, rtol=1e-4)


def test_senses_count_by_the_root_of_their_number() -> None:
    assert sense_weights(["a", "b", "a", "a", "a"]).tolist() == [0.5, 1.0, 0.5, 0.5, 0.5]


def begin(base: DualEncoder, texts: list[str], english: Sequence[str | None], **settings: object) -> TrainingTask:
    config = settings_from(
        LexiconConfig, {"isolation": "per-language", "vocabulary": 120, "initial_rows": "solved", **settings},
        where="test",
    )  # fmt: skip
    task = TrainingTask(base, None, {"de": texts}, english_texts={"de": english})
    return task.prepare(method_named("lexicon").modules(config), config)


@pytest.mark.parametrize("own", [True, False])
def test_solved_rows_are_nearest_to_the_english(base: DualEncoder, own: bool) -> None:
    """Mean rows of texts, against those of their English: solved is nearest, drawn farthest."""
    table = base.text.table.detach()
    english = base.tokenizer.encode(PLAIN)

    def distance(start: str) -> float:
        made = begin(base, GERMAN, PLAIN, own_vocabulary=own, initial_rows=start)
        rows = working(made).full
        assert isinstance(made.tokenizer, OwnTokenizer) == own
        return sum(
            float((mean_row(made.tokens["de"][place], rows, made) - mean_row(english[place], table, made)).norm())
            for place in range(len(PLAIN))
        )

    order = [distance(each) for each in ("solved", "mean", "drawn")]
    assert order[0] < order[1] < order[2]


def working(task: TrainingTask) -> SubTable:
    (module,) = task.shared_modules
    assert isinstance(module, SubTable)
    return module


def mean_row(ids: npt.NDArray[np.int32], rows: torch.Tensor, task: TrainingTask) -> torch.Tensor:
    plain = [int(each) for each in ids if int(each) not in task.tokenizer.special_ids]
    return rows[plain].mean(dim=0)


def test_what_no_text_has_keeps_the_mean_row_and_the_frame_its_own(base: DualEncoder) -> None:
    task = begin(base, GERMAN, PLAIN, own_vocabulary=True)
    table, full = base.text.table.detach(), working(task).full
    assert torch.equal(full[: len(table)], table)
    silent = sorted(set(range(len(table), len(full))) - set(task.tokens["de"].flat.tolist()))
    assert silent
    assert torch.equal(full[silent], table.mean(dim=0).expand(len(silent), -1))
    state = task.finish(1.0)
    features = base.encode_tokens(state.tokenizer.encode(GERMAN), ModuleStack(state.modules["all"]))
    assert bool(torch.isfinite(features).all())


def test_pairs_without_english_are_left_out_and_none_is_an_error(base: DualEncoder) -> None:
    some = begin(base, GERMAN, [*PLAIN[:5], None], own_vocabulary=True)
    fewer = begin(base, GERMAN[:5], PLAIN[:5], own_vocabulary=True)
    assert some.tokenizer.vocab_size >= fewer.tokenizer.vocab_size
    with pytest.raises(ConfigError, match="needs texts with an English counterpart"):
        begin(base, GERMAN, [None] * len(GERMAN), own_vocabulary=True)
