"""``glotclip translate``: captions into another language, with a local engine and a disk cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.cli.console import Console, Progress, duration
from glotclip.cli.options import MAX_SKIPPED, AsJson, Encoding, MaxSkipped, say_notes

if TYPE_CHECKING:
    from glotclip.translate.corpus import TranslatedFile

Source = Annotated[
    Path, typer.Argument(metavar="IN", help="A text with one caption a line, or a CSV, TSV or JSONL table; also .gz.")
]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="What to write: a text or a table, by its name; also .gz.")]
Engine = Annotated[
    str,
    typer.Option(
        help="apertium, ctranslate2:DIR, transformers:DIR, files:SOURCE:TARGET, command:'PROGRAM ARGUMENTS'; "
        "or several: 'de,fi=ctranslate2:DIR or apertium'."
    ),
]


def translate(
    source: Source,
    out: Out,
    to: Annotated[str, typer.Option("--to", metavar="CODE", help="The language to translate into.")],
    origin: Annotated[str, typer.Option("--from", metavar="CODE", help="The language to translate from.")] = "en",
    engine: Engine = "apertium",
    cache: Annotated[Path | None, typer.Option(help="Folder of the cache; by default glotclip's own.")] = None,
    vocabulary: Annotated[
        bool,
        typer.Option(
            "--vocabulary", help="IN is a model: translate the English words that its tokenizer knows whole."
        ),
    ] = False,
    wordnet: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --vocabulary: WordNet's data.noun; its nouns as well.")
    ] = None,
    encoding: Encoding = None,
    max_skipped: MaxSkipped = MAX_SKIPPED,
    check: Annotated[bool, typer.Option("--check", help="Read both files again and compare them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Translate captions. A table gets rows in the new language with their English, ready for `extend --data`.

    With --vocabulary it makes a dictionary for a language that has none: IN is a model, such as photo-clip.
    Run again after a kill, it goes on; what was translated once comes out of the cache.
    """
    import tempfile
    import time
    from dataclasses import asdict
    from functools import partial

    from glotclip import ownership
    from glotclip.data.schema import describe
    from glotclip.translate.corpus import check_file, translate_file
    from glotclip.translate.translator import open_translator

    console = Console(as_json)
    ownership.check_file(out, (source,), option="OUT")  # before an engine is looked for
    started = time.perf_counter()
    translator = open_translator(engine, cache)
    with tempfile.TemporaryDirectory() as scratch:
        if vocabulary or wordnet:
            source = _words(source, wordnet, Path(scratch) / "words.txt", console)
        with Progress() as progress:
            made = translate_file(
                source, out, translator, origin, to, encoding=encoding, max_skipped=max_skipped,
                progress=partial(progress, "captions"),
            )  # fmt: skip
        seconds = time.perf_counter() - started
        _tell(made, f"from {origin} into {to} by {translator.name} {translator.version}", seconds, out, console)
        if check:
            checked = check_file(source, out, origin, to, encoding=encoding, max_skipped=max_skipped)
            console.say(f"checked: {checked:,} captions on both sides, none empty")
    console.result(
        {
            **asdict(made),
            "skipped": [describe(item) for item in made.skipped],
            "out": str(out),
            "from": origin,
            "to": to,
            "engine": {"name": translator.name, "version": translator.version},
            "seconds": round(seconds, 3),
            "checked": check,
        }
    )


def _words(model: Path, wordnet: Path | None, path: Path, console: Console) -> Path:
    """Write the English words of a model, and WordNet's nouns, one a line."""
    from glotclip import api
    from glotclip.translate.vocabulary import whole_words, wordnet_nouns

    words = whole_words(api.load(str(model)).base.tokenizer.pieces)
    nouns = [] if wordnet is None else wordnet_nouns(wordnet)
    console.say(f"{len(words):,} English words of {model}" + (f", {len(nouns):,} nouns of WordNet" if nouns else ""))
    path.write_text("".join(f"{word}\n" for word in dict.fromkeys([*words, *nouns])), encoding="utf-8")
    return path


def _tell(made: TranslatedFile, how: str, seconds: float, out: Path, console: Console) -> None:
    """How many captions there are, the first of them, and what stayed as it was or was left out."""
    from glotclip.data.schema import describe

    say_notes(console, made.notes)
    took = f"{seconds:.2f} s" if seconds < 10 else duration(seconds)
    console.say(f"{made.captions:,} captions {how} in {took}, {made.cached:,} of them from the cache")
    for before, after in made.first:
        console.say(f"  {before}\n  → {after}")
    if made.unchanged:
        console.say(f"{made.unchanged:,} came back as they were, {made.unanswered:,} of them without an answer")
    if made.empty_lines:
        console.say(f"{made.empty_lines:,} lines are empty and were left so")
    if made.skipped:
        console.say(f"{len(made.skipped):,} rows cannot be used, first: {describe(made.skipped[0])}")
    console.say(f"wrote {out}")
