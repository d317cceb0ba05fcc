"""What a model keeps while it learns one language after another: the accuracy matrix and its summaries.

Notation: R[i, j] is the score of language j after task i. Row 0 is the base before any task. Language j becomes
known at task s_j: s_j = 0 for what the base knew already, such as English. K_i = {j : s_j ≤ i} is what should be
known after task i, O_i = {j : s_j < i} what was known before task i.

CLL-CLIP counts English as its first task; here that is row 0, which no formula leaves out. Its published
forgetting on COCO read a missing English score as zero; here a score that was not measured is missing, and a
summary that needs it raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glotclip.errors import DataError

FORMAT = 1


@dataclass(frozen=True)
class AccuracyMatrix:
    """Scores of languages after tasks. Made by :meth:`begin`, grown by :meth:`after`, never changed in place.

    ``known`` are the languages of the base (s_j = 0); ``tasks[i-1]`` the languages learnt in task i (several
    when they are learnt jointly); ``rows[i]`` the scores measured after task i, of any languages, also of
    those not learnt yet. ``score`` names the number, such as ``text_to_image.r@1``.
    """

    known: tuple[str, ...]
    tasks: tuple[tuple[str, ...], ...]
    rows: tuple[Mapping[str, float], ...]
    score: str = "text_to_image.r@1"

    def __post_init__(self) -> None:
        learnt = [*self.known, *(language for task in self.tasks for language in task)]
        if len(set(learnt)) < len(learnt):
            raise DataError("a language is learnt twice in one accuracy matrix", hint="give each language one task")
        if len(self.rows) != len(self.tasks) + 1:
            raise DataError(
                f"{len(self.tasks)} tasks need {len(self.tasks) + 1} rows of scores, got {len(self.rows)}",
                hint="give the scores before the first task and after each",
            )
        for i, row in enumerate(self.rows):
            for language, value in row.items():
                if not math.isfinite(value):
                    raise DataError(
                        f"the score of {language!r} after task {i} is {value}", hint="leave out what was not measured"
                    )

    @classmethod
    def begin(
        cls, scores: Mapping[str, float], *, known: Sequence[str] = ("en",), score: str = "text_to_image.r@1"
    ) -> AccuracyMatrix:
        """Start with the base's scores R[0, ·]; ``known`` are the languages it knows."""
        return cls(tuple(known), (), (dict(scores),), score)

    @classmethod
    def of(
        cls,
        evaluations: Mapping[str, Any],
        *,
        directions: Sequence[str] = ("text_to_image", "image_to_text"),
        subset: str | None = None,
        tasks: Sequence[Sequence[str]] | None = None,
    ) -> AccuracyMatrix:
        """Read R@1 of the scores that a run recorded.

        Args:
            evaluations: "start" and each task's name (its languages, joined by "+") → language → scores.
            directions: which R@1; the mean of it where both are given.
            subset: of the pictures; all without one.
            tasks: all tasks of the run, where it was not evaluated after each; by default those of ``evaluations``.
        """
        rows = {
            task: {
                code: float(np.mean([part[direction]["r@1"] for direction in directions]))
                for code, scores in by_language.items()
                if (part := scores if subset is None else scores["subsets"].get(subset)) is not None
            }
            for task, by_language in evaluations.items()
        }
        known = tuple(evaluations["start"])
        named = tasks if tasks is not None else [task.split("+") for task in rows if task != "start"]
        score = f"{directions[0]}.r@1" if len(directions) == 1 else "mean r@1 of both directions"
        matrix = cls.begin(rows["start"], known=known, score=score + (f", {subset} pictures" if subset else ""))
        for task in named:
            matrix = matrix.after([code for code in task if code not in known], rows.get("+".join(task), {}))
        return matrix

    def after(self, learnt: str | Sequence[str], scores: Mapping[str, float]) -> AccuracyMatrix:
        """Return the matrix with one task more, in which ``learnt`` was learnt and then ``scores`` measured."""
        languages = (learnt,) if isinstance(learnt, str) else tuple(learnt)
        return AccuracyMatrix(self.known, (*self.tasks, languages), (*self.rows, dict(scores)), self.score)

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages: the known, the learnt in their order, then others that were measured."""
        named = [*self.known, *(language for task in self.tasks for language in task)]
        return tuple(dict.fromkeys([*named, *(language for row in self.rows for language in row)]))

    @property
    def last(self) -> int:
        """The number of the last task, 0 before the first."""
        return len(self.tasks)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each row is called: ``base``, then the languages of each task."""
        return ("base", *("+".join(task) for task in self.tasks))

    def array(self) -> NDArray[np.float64]:
        """R as float64 (tasks + 1, languages), NaN where nothing was measured."""
        return np.array([[row.get(language, np.nan) for language in self.languages] for row in self.rows])

    def known_since(self, language: str) -> int:
        """s_j: the task after which the language should be known, 0 for the base's own."""
        if language in self.known:
            return 0
        for i, task in enumerate(self.tasks, start=1):
            if language in task:
                return i
        raise DataError(f"{language!r} is not learnt in these tasks", hint=f"learnt: {', '.join(self._known_by())}")

    def at(self, i: int, language: str) -> float:
        """R[i, j]; a score that was not measured raises :class:`DataError`."""
        value = self.rows[i].get(language)
        if value is None:
            raise DataError(
                f"the score of {language!r} after task {i} ({self.labels[i]}) was not measured",
                hint="evaluate every language known so far after each task",
            )
        return value

    def average(self, i: int | None = None, *, only: Collection[str] | None = None) -> float | None:
        """AR_i = 1/|K_i| · Σ_{j ∈ K_i} R[i, j] (CLL-CLIP; ACC of Lopez-Paz & Ranzato 2017)."""
        i = self._task(i)
        return _mean(self.at(i, language) for language in self._known_by(i, only))

    def forgetting(self, i: int | None = None, *, only: Collection[str] | None = None) -> float | None:
        """F_i = 1/|O_i| · Σ_{j ∈ O_i} ( max_{s_j ≤ k < i} R[k, j] − R[i, j] ) (Chaudhry et al. 2018).

        Chaudhry's f lets k run over all tasks before i; like CLL-CLIP we start at s_j, since before that
        there is nothing to forget. Terms may be negative: that language has got better. With
        ``only=("en",)`` it is CLL-CLIP's F_en. Scores missing between s_j and i are passed over in the maximum.
        """
        i = self._task(i)
        return _mean(
            self._best_before(i, language) - self.at(i, language) for language in self._known_by(i - 1, only)
        )

    def backward_transfer(self, i: int | None = None, *, only: Collection[str] | None = None) -> float | None:
        """BWT_i = 1/|O_i| · Σ_{j ∈ O_i} ( R[i, j] − R[s_j, j] ) (Lopez-Paz & Ranzato 2017); negative is loss."""
        i = self._task(i)
        return _mean(
            self.at(i, language) - self.at(self.known_since(language), language)
            for language in self._known_by(i - 1, only)
        )

    def learning_accuracy(self, i: int | None = None, *, only: Collection[str] | None = None) -> float | None:
        """LA_i = 1/|K_i| · Σ_{j ∈ K_i} R[s_j, j]: each language right after it was learnt (Riemer et al. 2019).

        So AR_i = LA_i + |O_i| / |K_i| · BWT_i: what was learnt, and what became of it.
        """
        i = self._task(i)
        return _mean(self.at(self.known_since(language), language) for language in self._known_by(i, only))

    def summary(self, i: int | None = None) -> dict[str, float | None]:
        """All four numbers after task ``i`` and ``forgetting_<language>`` of the base's own; None where undefined."""
        measures: dict[str, Callable[[], float | None]] = {
            "average": partial(self.average, i),
            "learning_accuracy": partial(self.learning_accuracy, i),
            "forgetting": partial(self.forgetting, i),
            "backward_transfer": partial(self.backward_transfer, i),
        }
        for language in self.known:
            measures[f"forgetting_{language}"] = partial(self.forgetting, i, only=(language,))
        return {name: _or_none(measure) for name, measure in measures.items()}

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers; a score that was not measured is null."""
        scores = [[row.get(language) for language in self.languages] for row in self.rows]
        return {
            "format": FORMAT,
            "score": self.score,
            "known": list(self.known),
            "tasks": [list(task) for task in self.tasks],
            "languages": list(self.languages),
            "scores": scores,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AccuracyMatrix:
        """Read what :meth:`to_json` gave; anything else raises :class:`DataError`."""
        try:
            if value["format"] > FORMAT:
                raise DataError(
                    f"the accuracy matrix has format {value['format']}, this version reads up to {FORMAT}",
                    hint="update glotclip",
                )
            languages = [str(language) for language in value["languages"]]
            rows = tuple(
                {language: float(x) for language, x in zip(languages, row, strict=True) if x is not None}
                for row in value["scores"]
            )
            tasks = tuple(tuple(str(language) for language in task) for task in value["tasks"])
            return cls(tuple(str(language) for language in value["known"]), tasks, rows, str(value["score"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"this is not an accuracy matrix: {error!r}", hint="use the JSON that AccuracyMatrix.to_json gave"
            ) from error

    def _task(self, i: int | None) -> int:
        if i is None:
            return self.last
        if not 0 <= i <= self.last:
            raise DataError(f"there is no task {i}", hint=f"tasks count from 0 (the base) to {self.last}")
        return i

    def _known_by(self, i: int | None = None, only: Collection[str] | None = None) -> list[str]:
        """K_i (and O_i as K_{i−1}; empty for i = −1), restricted to ``only``."""
        i = self.last if i is None else i
        if i < 0:
            return []
        languages = [*self.known, *(language for task in self.tasks[:i] for language in task)]
        return [language for language in languages if only is None or language in only]

    def _best_before(self, i: int, language: str) -> float:
        since = self.known_since(language)
        between = [row[language] for row in self.rows[since + 1 : i] if language in row]
        return max([self.at(since, language), *between])


def _mean(values: Iterable[float]) -> float | None:
    """Return the mean, or None for no values: before the second task there is nothing that could be forgotten."""
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else None


def _or_none(measure: Callable[[], float | None]) -> float | None:
    """Return None where a score that the measure needs was not measured."""
    try:
        return measure()
    except DataError:
        return None
