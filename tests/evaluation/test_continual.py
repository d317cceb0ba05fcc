"""The accuracy matrix: by hand, against the definitions written out, and with scores missing."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.errors import DataError
from glotclip.evaluation.continual import AccuracyMatrix


def example() -> AccuracyMatrix:
    """English known; German, then Russian and Thai jointly, then French."""
    return (
        AccuracyMatrix.begin({"en": 40.0, "fr": 6.0}, known=["en"])
        .after("de", {"en": 38.0, "de": 20.0, "fr": 8.0})
        .after(["ru", "th"], {"en": 41.0, "de": 16.0, "ru": 15.0, "th": 10.0})
        .after("fr", {"en": 37.0, "de": 18.0, "ru": 15.5, "th": 9.0, "fr": 22.0})
    )


def test_the_example_worked_out_by_hand() -> None:
    matrix = example()
    assert matrix.average(0) == 40.0
    assert matrix.average(1) == (38 + 20) / 2
    assert matrix.average() == pytest.approx((37 + 18 + 15.5 + 9 + 22) / 5)
    # The best before: en 41 (after task 2), de 20, ru 15, th 10; French has only just been learnt.
    assert matrix.forgetting() == pytest.approx(((41 - 37) + (20 - 18) + (15 - 15.5) + (10 - 9)) / 4)
    assert matrix.forgetting(only=["en"]) == 4.0
    assert matrix.backward_transfer() == pytest.approx(((37 - 40) + (18 - 20) + (15.5 - 15) + (9 - 10)) / 4)
    assert matrix.learning_accuracy() == pytest.approx((40 + 20 + 15 + 10 + 22) / 5)


def test_english_of_the_base_counts_as_a_score_to_forget() -> None:
    """The published evaluation read the missing first English score as 0 and reported a forgetting of −54."""
    matrix = AccuracyMatrix.begin({"en": 54.0}).after("de", {"en": 50.0, "de": 20.0})
    assert matrix.forgetting(1, only=["en"]) == 4.0
    assert matrix.summary()["forgetting_en"] == 4.0


def test_before_the_first_task_nothing_can_be_forgotten() -> None:
    matrix = AccuracyMatrix.begin({"en": 54.0})
    assert matrix.forgetting() is None
    assert matrix.backward_transfer() is None
    assert matrix.learning_accuracy() == 54.0
    assert AccuracyMatrix.begin({}, known=[]).average() is None


def test_a_missing_score_is_never_read_as_zero() -> None:
    matrix = AccuracyMatrix.begin({}).after("de", {"en": 50.0, "de": 20.0})
    assert matrix.average() == 35.0
    for measure in (matrix.forgetting, matrix.backward_transfer, matrix.learning_accuracy):
        with pytest.raises(DataError, match=r"'en' after task 0 \(base\) was not measured"):
            measure()
    assert matrix.summary() == {
        "average": 35.0,
        "learning_accuracy": None,
        "forgetting": None,
        "backward_transfer": None,
        "forgetting_en": None,
    }


def test_scores_missing_in_between_are_passed_over() -> None:
    matrix = AccuracyMatrix.begin({"en": 54.0}).after("de", {"de": 20.0}).after("fr", {"en": 50, "de": 19, "fr": 3})
    assert matrix.forgetting() == pytest.approx((4 + 1) / 2)


@st.composite
def full_matrices(draw: st.DrawFn) -> tuple[AccuracyMatrix, list[list[float]], list[int]]:
    """A matrix, its full scores R[i][j], and s_j; one language a task after the known ones."""
    known, tasks = draw(st.integers(1, 3)), draw(st.integers(0, 4))
    names = [f"l{j}" for j in range(known + tasks)]
    row = st.lists(st.floats(0, 100), min_size=len(names), max_size=len(names))
    scores = draw(st.lists(row, min_size=tasks + 1, max_size=tasks + 1))
    matrix = AccuracyMatrix.begin(dict(zip(names, scores[0], strict=True)), known=names[:known])
    for i in range(1, tasks + 1):
        matrix = matrix.after(names[known + i - 1], dict(zip(names, scores[i], strict=True)))
    return matrix, scores, [0] * known + list(range(1, tasks + 1))


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@given(full_matrices())
def test_summaries_equal_the_definitions(case: tuple[AccuracyMatrix, list[list[float]], list[int]]) -> None:
    matrix, scores, since = case
    for i in range(len(scores)):
        known = [j for j, s in enumerate(since) if s <= i]
        older = [j for j, s in enumerate(since) if s < i]
        assert matrix.average(i) == pytest.approx(mean([scores[i][j] for j in known]))
        assert matrix.learning_accuracy(i) == pytest.approx(mean([scores[since[j]][j] for j in known]))
        if not older:
            assert matrix.forgetting(i) is None
            continue
        lost = [max(scores[k][j] for k in range(since[j], i)) - scores[i][j] for j in older]
        assert matrix.forgetting(i) == pytest.approx(mean(lost), abs=1e-9)
        transfer = mean([scores[i][j] - scores[since[j]][j] for j in older])
        assert matrix.backward_transfer(i) == pytest.approx(transfer, abs=1e-9)
        kept = mean([scores[since[j]][j] for j in known]) + len(older) / len(known) * transfer
        assert matrix.average(i) == pytest.approx(kept, abs=1e-9)


def test_json_says_everything_and_marks_what_was_not_measured() -> None:
    value = json.loads(json.dumps(example().to_json(), allow_nan=False))
    assert value["scores"][0] == [40.0, None, None, None, 6.0]
    assert value["languages"] == ["en", "de", "ru", "th", "fr"]
    assert value["tasks"] == [["de"], ["ru", "th"], ["fr"]]


def test_when_a_language_was_learnt() -> None:
    matrix = example()
    assert matrix.labels == ("base", "de", "ru+th", "fr")
    assert matrix.taught == ("de", "ru", "th", "fr")
    assert (matrix.known_since("en"), matrix.known_since("th")) == (0, 2)
    assert (matrix.learned("en"), matrix.learned("th")) == (40.0, 10.0)
    assert (matrix.final("th"), matrix.lost("th"), matrix.lost("en")) == (9.0, 1.0, 3.0)
    assert AccuracyMatrix.begin({"en": 40.0, "hi": 5.0}).after("de", {"hi": 4.0}).lost("hi") == 1.0  # never taught
    assert (matrix.final("xx"), matrix.lost("xx")) == (None, None)


def test_recorded_evaluations_become_a_matrix() -> None:
    def scores(t2i: float, i2t: float, **subsets: float) -> dict[str, object]:
        parts = {name: scores(value, value) for name, value in subsets.items()}
        return {"text_to_image": {"r@1": t2i}, "image_to_text": {"r@1": i2t}, "subsets": parts}

    evaluations = {
        "start": {"en": scores(40, 50, seen=60)},
        "de+fr": {"en": scores(30, 40, seen=50), "de": scores(20, 30), "fr": scores(10, 30)},
    }
    matrix = AccuracyMatrix.of(evaluations)
    assert (matrix.known, matrix.tasks) == (("en",), (("de", "fr"),))
    assert matrix.rows == ({"en": 45.0}, {"en": 35.0, "de": 25.0, "fr": 20.0})
    assert AccuracyMatrix.of(evaluations, directions=["image_to_text"]).rows[0] == {"en": 50.0}
    assert AccuracyMatrix.of(evaluations, subset="seen").rows == ({"en": 60.0}, {"en": 50.0})


@pytest.mark.parametrize(
    ("tasks", "message"), [((("de",), ("ru",)), "2 tasks need 3 rows"), ((("en",),), "learnt twice")]
)
def test_tasks_that_do_not_fit_are_an_error(tasks: tuple[tuple[str, ...], ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        AccuracyMatrix(("en",), tasks, ({"en": 1.0}, {"en": 1.0}))


def test_wrong_use_is_an_error() -> None:
    with pytest.raises(DataError, match="is nan"):
        AccuracyMatrix.begin({"en": float("nan")})
    with pytest.raises(DataError, match="no task 4"):
        example().average(4)
    with pytest.raises(DataError, match="'xx' is not learnt"):
        example().known_since("xx")
