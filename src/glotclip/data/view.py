"""A dataset as a strategy looks at it: which text is the caption, which text it is aligned with, how many images.

The choice is made here, once, on the rows. Training, validation and test all read the viewed rows, so they can never
disagree about which text is meant (a fault of PECT's released scripts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from glotclip.data import benchmark as benchmarks
from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import Dataset, held_out_of
from glotclip.data.holdout import place_of
from glotclip.data.licences import Licence
from glotclip.data.schema import Caption, Corpus, Row
from glotclip.data.serving import servers
from glotclip.errors import DataError

TENTH = 0.1
Translate = Callable[[Sequence[str], str, str], list[str]]  # texts, from, to → as many texts


@dataclass(frozen=True)
class View:
    """What is looked at.

    Attributes:
        text: "caption", the captions themselves, or "to-english", their machine translations into English.
        target_text: "english", the English counterpart, or "from-english", its machine translation into the language.
        shots: train on the rows of so many images only; None: all.
        shots_seed: fixes which. The first k of k + 1 shots are the same images, in every language.
        train_share: of a mere test set, the share of images to train on, beside a tenth to validate; None: a tenth
            where shots are asked for, else nothing.
    """

    text: Literal["caption", "to-english"] = "caption"
    target_text: Literal["english", "from-english"] = "english"
    shots: int | None = None
    shots_seed: int = 42
    train_share: float | None = None

    @property
    def divides(self) -> bool:
        """Whether a mere test set is divided."""
        return self.shots is not None or self.train_share is not None

    def divided(self, corpus: Corpus) -> Corpus:
        """A mere test set, divided; texts without images that come with it are trained on as they are.

        Raises:
            DataError: if a share is asked of images that have a split of their own.
        """
        if self.train_share is None:
            return corpus if has_training(corpus) else divide(corpus)
        if any(row.split == "train" and (row.image or row.video) for row in corpus.rows):
            raise DataError(
                f"{corpus.name} has images to train on, so it is not divided", hint="leave train_share out"
            )
        return divide(corpus, self.train_share)


class ViewedDataset(Dataset):
    """A dataset under a view.

    Args:
        dataset: what is looked at.
        view: how.
        translate: fills machine translations in where the dataset has none; None leaves those rows out.
    """

    def __init__(self, dataset: Dataset, view: View, translate: Translate | None = None) -> None:
        self.dataset, self.view, self.translate = dataset, view, translate
        self.name = dataset.name

    def view_of(self, other: Dataset) -> ViewedDataset:
        """Another dataset, whole, with the same kind of texts."""
        return ViewedDataset(other, replace(self.view, shots=None, train_share=None), self.translate)

    def languages(self) -> list[str]:
        """Those of the dataset."""
        return self.dataset.languages()

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """Those of the dataset."""
        return self.dataset.notes(langs)

    def licences(self, langs: Sequence[str]) -> tuple[Licence, ...]:
        """Those of the dataset."""
        return self.dataset.licences(langs)

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """The captions in ``langs``, as the view has them.

        Raises:
            DataError: if a language has no machine translation where the view needs one.
        """
        corpus = self._with_translations(self._divided(langs), langs)
        rows = [viewed for row in corpus.rows if (viewed := self._viewed(row)) is not None]
        if missing := sorted(set(langs) & {row.lang for row in corpus.rows} - {row.lang for row in rows}):
            raise DataError(
                f"{self.name} has no machine translations of its {', '.join(missing)} captions",
                hint="add them to the data (`glotclip translate`), or name an engine (--translator apertium)",
            )
        if self.view.shots is not None:
            rows = few_shots(rows, self.view.shots, self.view.shots_seed)
        return replace(corpus, rows=tuple(rows))

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The dataset's benchmark, its queries as the view has them."""
        benchmark = self._held_out(langs)
        if benchmark is None or self.view.text == "caption":
            return benchmark
        known = self._english_of(langs)
        captions: dict[str, list[Caption]] = {}
        for code, queries in benchmark.captions.items():
            texts = [query.text for query in queries]
            if code != "en":
                texts = self._into_english(texts, code, known)
            captions[code] = [Caption(text, query.image) for text, query in zip(texts, queries, strict=True)]
        protocol = f"{benchmark.protocol}; queries machine-translated into English"
        return replace(benchmark, captions=captions, protocol=protocol)

    def _held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """The dataset's benchmark; of a mere test set that is divided, the rows that stay for testing."""
        if self.view.divides:  # only then are the rows worth reading for it
            corpus = self.dataset.corpus(list(servers(langs, self.dataset.languages())))
            divided = self.view.divided(corpus)
            if divided is not corpus:
                return held_out_of(divided, langs)
        return self.dataset.held_out(langs)

    def _divided(self, langs: Sequence[str]) -> Corpus:
        """The dataset's rows; those of a mere test set that is divided, by split."""
        corpus = self.dataset.corpus(langs)
        return self.view.divided(corpus) if self.view.divides else corpus

    def _into_english(self, texts: Sequence[str], code: str, known: Mapping[tuple[str, str], str]) -> list[str]:
        missing = [text for text in texts if (code, text) not in known]
        if missing and self.translate is None:
            raise DataError(
                f"{len(missing)} of {len(texts)} held-out {code} captions have no machine translation into English",
                hint="add a column to_english, or name an engine (--translator apertium)",
            )
        found = dict(zip(missing, self.translate(missing, code, "en"), strict=True)) if self.translate else {}
        return [known.get((code, text)) or found[text] for text in texts]

    def _english_of(self, langs: Sequence[str]) -> dict[tuple[str, str], str]:
        """Machine translations that the dataset itself brings, by language and text."""
        rows = self.dataset.corpus(list(servers(langs, self.dataset.languages()))).rows
        return {(row.lang, row.text): row.to_english for row in rows if row.to_english}

    def _with_translations(self, corpus: Corpus, langs: Sequence[str]) -> Corpus:
        """Fill in the machine translations that the view needs and the rows lack."""
        if self.translate is None:
            return corpus
        rows = list(corpus.rows)
        for code in (code for code in langs if code != "en"):
            if self.view.text == "to-english":
                lacking = {n: row.text for n, row in enumerate(rows) if row.lang == code and row.to_english is None}
                for place, text in self._translated(lacking, code, "en"):
                    rows[place] = replace(rows[place], to_english=text)
            if self.view.target_text == "from-english":
                lacking = {
                    n: row.english for n, row in enumerate(rows)
                    if row.lang == code and row.english and row.from_english is None
                }  # fmt: skip
                for place, text in self._translated(lacking, "en", code):
                    rows[place] = replace(rows[place], from_english=text)
        return replace(corpus, rows=tuple(rows))

    def _translated(self, texts: Mapping[int, str], source: str, target: str) -> Iterator[tuple[int, str]]:
        """Yield the translation of each text, with its place."""
        assert self.translate is not None
        yield from zip(texts, self.translate(list(texts.values()), source, target), strict=True)

    def _viewed(self, row: Row) -> Row | None:
        """The row with the view's texts in place, or None where it lacks the caption itself."""
        if row.lang == "en":
            return row
        text = row.text if self.view.text == "caption" else row.to_english
        if text is None:
            return None
        return replace(
            row, text=text, english=row.english if self.view.target_text == "english" else row.from_english
        )


def validation(dataset: Dataset, langs: Sequence[str]) -> Benchmark | None:
    """A benchmark of a dataset's rows of split "validation" that have an image, or None without such."""
    corpus = dataset.corpus(langs)
    rows = [row for row in corpus.select(split="validation").rows if row.lang in langs]
    if not any(row.image is not None or row.video is not None for row in rows):
        return None
    return benchmarks.from_corpus(Corpus(dataset.name, tuple(rows), (), corpus.licence), split="validation")


def has_training(corpus: Corpus) -> bool:
    """Whether a corpus has rows to train on."""
    return any(row.split == "train" for row in corpus.rows)


def divide(corpus: Corpus, share: float = TENTH, seed: int = 42) -> Corpus:
    """Divide a mere test set by images: a share to train on, a tenth to validate, the rest to test.

    The split of an image follows from a hash of its own name, so it is the same whichever languages are asked for and
    for every number of shots, and scores can be compared (PECT's cannot: it tests on whatever its shots leave).
    """

    def split_of(row: Row) -> str:
        rank = _drawn(row, f"split {seed}")
        return "train" if rank < share else "validation" if rank < share + TENTH else "test"

    rows = (row if row.split == "train" else replace(row, split=split_of(row)) for row in corpus.rows)
    return replace(corpus, rows=tuple(rows))


def few_shots(rows: Sequence[Row], shots: int, seed: int) -> list[Row]:
    """Keep, of the training rows, those of ``shots`` images; all other splits stay whole.

    Raises:
        DataError: if there are not so many images (or texts, where rows have none).
    """
    keys = {_key(row): _drawn(row, f"shots {seed}") for row in rows if row.split == "train"}
    if len(keys) < shots:
        raise DataError(f"{shots} shots asked for, but there are {len(keys)} training images", hint="ask for fewer")
    chosen = set(sorted(keys, key=lambda key: (keys[key], key))[:shots])
    return [row for row in rows if row.split != "train" or _key(row) in chosen]


def _drawn(row: Row, draw: str) -> float:
    """A number from 0 to 1 that follows from a row's group, else the name of its file, wherever that lies."""
    medium = row.image or row.video
    name = row.group if row.group is not None else medium.name if medium is not None else _key(row)
    return place_of(f"{draw} {name}")


def _key(row: Row) -> str:
    return row.key or row.english or row.text
