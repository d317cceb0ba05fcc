"""The demonstration: one base, ten languages in sequence, learnt in three ways, and a query in three scripts.

It joins training, evaluation and search as a user would, through :mod:`glotclip.api`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

from glotclip import api
from glotclip.data import emoji
from glotclip.data.dataset import Dataset
from glotclip.data.emoji_images import plain_id
from glotclip.data.sources.emoji_dataset import EmojiDataset, EmojiVideoDataset
from glotclip.errors import DataError
from glotclip.evaluation import report
from glotclip.evaluation.continual import AccuracyMatrix
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Cell, Table
from glotclip.gallery.rank import Hit, rank
from glotclip.ownership import Workplace
from glotclip.packs.polyglot import Polyglot
from glotclip.scores import DIRECTIONS
from glotclip.training.callbacks import Callbacks
from glotclip.training.extension import Extension

LANGUAGES = ("de", "zh", "ru", "ar", "fa", "ja", "ko", "tr", "es", "id")
QUERY_LANGUAGES = ("zh", "ru", "ar")
QUERY_CONCEPTS = ("1f431", "1f98a", "1f418")  # cat face, fox, elephant: their names are among those taught
SUBSETS = ("seen", "unseen")
QUICK_STEPS = 10
OUTPUTS = ("results.json", *report.PAGES)
Measure = Callable[[AccuracyMatrix], float | None]


@dataclass(frozen=True)
class Variant:
    """A strategy to learn the languages: a folder's name, a title for tables, and its settings."""

    key: str
    title: str
    settings: Mapping[str, Any]


_TEIR = ("teir_init", "teir_gradient", "teir_decay")
VARIANTS = (
    Variant("plain", "plain fine-tuning", {"isolation": "shared", **dict.fromkeys(_TEIR, False)}),
    Variant("teir", "TEIR", {"isolation": "shared", **dict.fromkeys(_TEIR, True)}),
    Variant("per-language", "per language", {"isolation": "per-language"}),
)


@dataclass(frozen=True)
class Answer:
    """The best images for one query, and the emoji each shows."""

    lang: str
    query: str
    hits: tuple[Hit, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Demonstration:
    """What the demonstration found.

    Attributes:
        runs: what each variant made, by its title.
        table: the comparison.
        concept: the emoji the queries name.
        answers: one for each query language.
        videos: how well names find clips of emoji in motion, for the query languages.
        pages: the report's files.
    """

    runs: Mapping[str, api.Extended]
    table: Table
    concept: str
    answers: tuple[Answer, ...]
    videos: Table
    pages: tuple[Path, Path]


def run(
    out: Path,
    *,
    model: str | Path = "emoji-clip",
    settings: Mapping[str, Any] | None = None,
    callbacks: Callable[[Variant, Extension], Callbacks] = lambda variant, extension: Callbacks(),
    progress: api.Progress = api.silent,
) -> Demonstration:
    """Learn the languages in every variant, compare, write the report, and answer the queries.

    Run again after a kill, it goes on where it was.

    Args:
        out: the folder to write; each variant's model is a folder in it.
        model: the base, as :func:`glotclip.load` takes it.
        settings: settings of all variants that differ from what the base recommends.
        callbacks: called with each variant and its run before it starts.
        progress: called with (what, done, total) while features are computed.

    Raises:
        StorageError: if the folder holds anything that the demonstration did not make.
    """
    workplace = Workplace(out, "demonstration")
    workplace.check(OUTPUTS)
    workplace.claim()
    polyglot, dataset, langs = api.load(model), EmojiDataset(), LANGUAGES
    runs: dict[str, api.Extended] = {}
    used: dict[str, Any] = {}
    for variant in VARIANTS:
        config = api.ExtendConfig(
            model=polyglot,
            langs=langs,
            data=dataset,
            out=out / variant.key,
            settings={**(settings or {}), **variant.settings},
        )
        extension = api.prepare_extension(config, progress)
        used[variant.title] = extension.curriculum.settings()
        runs[variant.title] = api.run_extension(extension, callbacks=callbacks(variant, extension), progress=progress)
    table = comparison(runs)
    pages = _write(out, runs, table, used)
    taught = runs[VARIANTS[-1].title].load()
    concept, answers = answer(taught, dataset)
    return Demonstration(runs, table, emoji.sign(concept), answers, watch(taught, progress), pages)


def comparison(runs: Mapping[str, api.Extended]) -> Table:
    """R@1 of every language right after it was learnt and at the end, side by side for every run."""
    matrices = {title: [_matrix(run, subset) for subset in SUBSETS] for title, run in runs.items()}
    first = next(iter(matrices.values()))[0]
    taught = first.taught
    measures: dict[str, tuple[Measure, Measure]] = {  # right after learning, and at the end
        **{code: (methodcaller("learned", code), methodcaller("final", code)) for code in (*first.known, *taught)},
        "average of the learnt": (
            methodcaller("learning_accuracy", only=taught),
            methodcaller("average", only=taught),
        ),
        "forgetting": (_undefined, methodcaller("forgetting", only=taught)),
        **{f"forgetting {code}": (_undefined, methodcaller("forgetting", only=(code,))) for code in first.known},
    }
    rows: list[dict[str, Cell]] = []
    for name, (after_learning, at_the_end) in measures.items():
        row: dict[str, Cell] = {"language": name}
        for title, both in matrices.items():
            row[f"{title}: learnt"] = _pair(map(after_learning, both))
            row[f"{title}: end"] = _pair(map(at_the_end, both))
        rows.append(row)
    note = (
        "R@1 in %, mean of both directions, seen / unseen concepts. learnt: right after the language was learnt "
        "(English: before everything). end: after all languages."
    )
    return Table.of(rows, title="Ten languages, one after another", note=note)


def answer(polyglot: Polyglot, dataset: Dataset, *, top: int = 5) -> tuple[str, tuple[Answer, ...]]:
    """Ask for one concept by its name, in three scripts, among all emoji images."""
    asked = [code for code in QUERY_LANGUAGES if code in polyglot.languages]
    names = {code: emoji.texts(code) for code in asked}
    concept = next((each for each in QUERY_CONCEPTS if all(each in named for named in names.values())), None)
    if concept is None:
        raise DataError("no concept to ask for has a name in every query language", hint="install the extra `demo`")
    queries = [names[code][concept].name for code in asked]
    found = rank(polyglot, dataset.benchmark(asked).images, queries, asked, top=top)
    sign_of = {plain_id(one): emoji.sign(one) for one in emoji.concepts()}
    return concept, tuple(
        Answer(code, query, hits, tuple(sign_of[plain_id(hit.path.stem)] for hit in hits))
        for code, query, hits in zip(asked, queries, found.hits, strict=True)
    )


def gallery() -> Path:
    """The folder of the images that are searched."""
    return EmojiDataset().benchmark([api.ENGLISH]).images[0].parent


def watch(polyglot: Polyglot, progress: api.Progress = api.silent) -> Table:
    """Let names find videos: clips of emoji in motion, encoded on the fly; only images were learnt from."""
    asked = [code for code in (api.ENGLISH, *QUERY_LANGUAGES) if code in polyglot.languages]
    result = api.evaluate(polyglot, EmojiVideoDataset(), asked, progress=progress, intervals=0)
    columns = ("language", "text → video R@1", "video → text R@1")
    rows = tuple((code, *(result["languages"][code][each]["r@1"] for each in DIRECTIONS)) for code in asked)
    title = f"Videos: {result['gallery_images']} clips of emoji in motion"
    return Table(columns, rows, title, result["protocol"])


def _write(out: Path, runs: Mapping[str, api.Extended], table: Table, used: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write report and results."""
    matrices = {title: run.matrix for title, run in runs.items() if run.matrix is not None}
    page = report.from_run(
        title="Ten languages on one frozen base",
        summary="The same languages in the same order, learnt in three ways: plain fine-tuning of one table, "
        "one table with TEIR, and a table for each language.",
        matrices=matrices,
        rows=[dict(zip(table.columns, row, strict=True)) for row in table.rows],
        settings=used,
        environment=environment(),
    )
    results = {
        "format": 1,
        "matrices": {title: matrix.to_json() for title, matrix in matrices.items()},
        "subsets": {
            title: {subset: _matrix(run, subset).to_json() for subset in SUBSETS} for title, run in runs.items()
        },
        "environment": environment(),
    }
    Workplace(out, "demonstration").write_json(OUTPUTS[0], results)
    return report.write(page, out)


def _matrix(run: api.Extended, subset: str) -> AccuracyMatrix:
    matrix = api.accuracy_matrix(run.evaluations, subset)
    if matrix is None:
        raise DataError(f"{run.folder} was not evaluated", hint="remove it and repeat the command")
    return matrix


def _undefined(matrix: AccuracyMatrix) -> None:
    """What a measure is right after learning where it says something of the end only."""


def _pair(values: Iterable[float | None]) -> str | None:
    """Seen and unseen as one cell."""
    numbers = list(values)
    if all(number is None for number in numbers):
        return None
    # Adding zero turns a rounded −0.0 into 0.0: nothing was lost.
    return " / ".join("–" if number is None else f"{round(number, 1) + 0.0:.1f}" for number in numbers)
