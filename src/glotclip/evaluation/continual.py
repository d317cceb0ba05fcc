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

from glotclip.errors import DataError
from glotclip.scores import DIRECTIONS, REFERENCE, headline

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
        if len({*self.known, *self.taught}) < len(self.known) + len(self.taught):
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
        cls, scores: Mapping[str, float], *, known: Sequence[str] = (REFERENCE,), score: str = "text_to_image.r@1"
    ) -> AccuracyMatrix:
        """Start with the base's scores R[0, ·]; ``known`` are the languages it knows."""
        return cls(tuple(known), (), (dict(scores),), score)

    @classmethod
    def of(
        cls,
        evaluations: Mapping[str, Any],
        *,
        directions: Sequence[str] = DIRECTIONS,
        subset: str | None = None,
        tasks: Sequence[Sequence[str]] | None = None,
    ) -> AccuracyMatrix:
        """Read the headline scores of what a run recorded.

        Args:
            evaluations: "start" and each task's name (its languages, joined by "+") → language → scores.
            directions: of R@1; the mean of both by default.
            subset: of the images; all without one.
            tasks: all tasks of the run, where it was not evaluated after each; by default those of ``evaluations``.
        """
        rows = {
            task: {
                code: headline(chosen, directions)
                for code, scores in by_language.items()
                if (chosen := scores if subset is None else scores["subsets"].get(subset)) is not None
            }
            for task, by_language in evaluations.items()
        }
        known = tuple(evaluations["start"])
        named = tasks if tasks is not None else [task.split("+") for task in rows if task != "start"]
        score = f"{directions[0]}.r@1" if len(directions) == 1 else "mean r@1 of both directions"
        matrix = cls.begin(rows["start"], known=known, score=score + (f", {subset} images" if subset else ""))
        for task in named:
            matrix = matrix.after([code for code in task if code not in known], rows.get("+".join(task), {}))
        return matrix

    def after(self, learnt: str | Sequence[str], scores: Mapping[str, float]) -> AccuracyMatrix:
        """Return the matrix with one task more, in which ``learnt`` was learnt and then ``scores`` measured."""
        languages = (learnt,) if isinstance(learnt, str) else tuple(learnt)
        return AccuracyMatrix(self.known, (*self.tasks, languages), (*self.rows, dict(scores)), self.score)

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages: the known, the taught in their order, then others that were measured."""
        return tuple(dict.fromkeys([*self.known, *self.taught, *(code for row in self.rows for code in row)]))

    @property
    def taught(self) -> tuple[str, ...]:
        """The languages of all tasks, in order."""
        return tuple(language for task in self.tasks for language in task)

    @property
    def last(self) -> int:
        """The number of the last task, 0 before the first."""
        return len(self.tasks)

    @property
    def labels(self) -> tuple[str, ...]:
        """What each row is called: ``base``, then the languages of each task."""
        return ("base", *("+".join(task) for task in self.tasks))

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

    def learned(self, language: str) -> float | None:
        """R[s_j, j]: the score right after the language was learnt; None if it was not measured."""
        return self.rows[self.known_since(language)].get(language)

    def final(self, language: str) -> float | None:
        """The score after the last task; None if it was not measured."""
        return self.rows[-1].get(language)

    def lost(self, language: str) -> float | None:
        """How much of a language was lost since it was learnt, or since the start if no task taught it.

        None where a score was not measured.
        """
        before = self.learned(language) if language in self.taught else self.rows[0].get(language)
        after = self.final(language)
        return None if before is None or after is None else before - after

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
        measures: dict[str, Callable[..., float | None]] = {
            "average": self.average,
            "learning_accuracy": self.learning_accuracy,
            "forgetting": self.forgetting,
            "backward_transfer": self.backward_transfer,
            **{f"forgetting_{language}": partial(self.forgetting, only=(language,)) for language in self.known},
        }
        found: dict[str, float | None] = {}
        for name, measure in measures.items():
            try:
                found[name] = measure(i)
            except DataError:  # a score that it needs was not measured
                found[name] = None
        return found

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers; a score that was not measured is null."""
        return {
            "format": FORMAT,
            "score": self.score,
            "known": list(self.known),
            "tasks": [list(task) for task in self.tasks],
            "languages": list(self.languages),
            "scores": [[row.get(language) for language in self.languages] for row in self.rows],
        }

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
