"""``glotclip data``: the datasets known by name, the check of one's own caption files, and of parallel text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.cli import completion
from glotclip.cli.console import Console
from glotclip.cli.options import MAX_SKIPPED, DefaultLang, Encoding, Images, MaxSkipped, say_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glotclip.data.catalog import Count, Entry
    from glotclip.data.parallel import Finding
    from glotclip.data.reading import ReadingOptions
    from glotclip.data.schema import Corpus

app = typer.Typer(help="List, check and get datasets.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SHOWN = 20
_LINES_CHECKED = 20_000  # enough to judge a text by; a corpus of 36 languages has 22 million lines


@app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """List the datasets that glotclip knows by name."""
    from glotclip.data.catalog import datasets

    console = Console(as_json)
    for dataset in datasets().values():
        console.say(f"{dataset.name}: {dataset.description}")
        console.say(f"  languages  {dataset.languages}")
        console.say(f"  size       {dataset.size}")
        console.say(f"  licence    {dataset.licence}")
        console.say(f"  files      {dataset.files}")
        how = f"`{dataset.command}`" if dataset.command else "by hand"
        console.say(f"  source     {dataset.source} ({how})")
    console.result(
        [
            {
                "name": dataset.name,
                "description": dataset.description,
                "languages": dataset.languages,
                "size": dataset.size,
                "licence": dataset.licence,
                "files": dataset.files,
                "source": dataset.source,
                "can_be_fetched": bool(dataset.command),
            }
            for dataset in datasets().values()
        ]
    )


@app.command()
def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME_OR_PATH",
            help="A dataset's name, or a caption file or folder.",
            autocompletion=completion.datasets,
        ),
    ],
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="Where a named dataset lies.")] = None,
    bad_rows: Annotated[Path | None, typer.Option(help="Write the rows that cannot be used here, as TSV.")] = None,
    images: Images = None,
    default_lang: DefaultLang = None,
    encoding: Encoding = None,
    max_skipped: MaxSkipped = MAX_SKIPPED,
    as_json: Json = False,
) -> None:
    """Compare a dataset's counts with its owner's, or check every row of a caption file.

    Exit code 1 if a count differs, if parallel text has a fault, or if too many rows cannot be used.
    """
    from glotclip.data import catalog
    from glotclip.data.dataset import open_catalogued
    from glotclip.data.reading import ReadingOptions
    from glotclip.ownership import check_file

    console = Console(as_json)
    if bad_rows is not None:
        check_file(bad_rows, (name, folder), option="--bad-rows")
    if name not in catalog.datasets() and Path(name).exists():
        options = ReadingOptions(images, default_lang, encoding)
        _check_file(Path(name), options, bad_rows, max_skipped, console)
        return
    entry = catalog.dataset(name)
    dataset = open_catalogued(name, folder)
    found = dataset.counts()
    counts = catalog.compare(found, entry.counts)
    wrong = [count for count in counts if not count.right]
    console.say(f"{name} is there" + (f", but {len(wrong)} of its counts differ from its owner's" if wrong else ""))
    for line in _shown(counts):
        console.say(f"  {line}")
    findings: list[Finding] = []
    if entry.parallel:
        from glotclip.data import parallel

        findings = parallel.check(dataset.parallel_texts(_LINES_CHECKED), aligned=entry.parallel == "aligned")
        _say_findings(findings, console)
    console.result(
        {
            "name": name,
            "found": found,
            "wrong": [{"name": count.name, "found": count.found, "expected": count.expected} for count in wrong],
            "findings": [_as_dict(finding) for finding in findings],
        }
    )
    _raise_if_wrong(entry, wrong, findings)


@app.command()
def parallel(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where line-aligned files such as train.de lie.")],
    language: Annotated[
        bool | None, typer.Option(help="Guess languages with py3langid; by default if it is installed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check line-aligned text in several languages; exit code 1 if it has a fault."""
    from glotclip.data import parallel as checks
    from glotclip.data.parallel_files import from_files
    from glotclip.errors import DataError

    console = Console(as_json)
    texts = from_files(folder)
    console.say(f"{folder}: {len(texts)} files, {sum(len(text.lines) for text in texts):,} lines")
    findings = checks.check(texts, language=language)
    _say_findings(findings, console)
    console.result({"path": str(folder), "files": len(texts), "findings": [_as_dict(found) for found in findings]})
    if faults := sum(finding.fault for finding in findings):
        raise DataError(f"{folder} has {faults} faults", hint="fetch or make the files named anew, or leave them out")


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A dataset's name.", autocompletion=completion.fetched)],
    folder: Annotated[Path | None, typer.Option(help="Where to put it; by default where glotclip looks.")] = None,
    langs: Annotated[
        list[str] | None,
        typer.Option("--lang", "--langs", metavar="CODES", help="For freedict: the languages; commas or repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch a dataset with the npm client, or dictionaries with apt; what is there already is not fetched again."""
    from glotclip.data.catalog import dataset
    from glotclip.data.fetch import get as fetch
    from glotclip.errors import ConfigError

    console = Console(as_json)
    if dataset(name).by_language:
        _get_dictionaries(name, langs, folder, console)
        return
    if langs:
        raise ConfigError(f"--lang has no meaning for {name}, which is fetched whole", hint="leave --lang out")
    place = fetch(name, folder)
    console.say(f"{name} lies in {place}")
    console.result({"name": name, "folder": str(place)})


def _get_dictionaries(name: str, langs: list[str] | None, folder: Path | None, console: Console) -> None:
    """Fetch the dictionaries of some languages."""
    from dataclasses import asdict

    from glotclip.data.fetch_freedict import get as fetch
    from glotclip.errors import ConfigError

    if not langs:
        raise ConfigError(
            f"{name} is fetched by language", hint=f"name one or more: glotclip data get {name} --lang de,fr"
        )
    found = fetch(",".join(langs), folder)
    counts = _pairs(",".join(langs)) if folder is None else {}
    for each in found:
        source = f" ({each.source}, SHA-256 {each.sha256[:16]}…)" if each.source else ", as before"
        console.say(f"{each.name} lies in {each.folder}{source}")
    for lang, count in counts.items():
        console.say(f"{lang}: {count:,} pairs of a text and its English (--data {name})")
    console.result(
        {
            "name": name,
            "pairs": counts,
            "dictionaries": [{**asdict(each), "folder": str(each.folder)} for each in found],
        }
    )


def _pairs(langs: str) -> dict[str, int]:
    """Read the dictionaries of some languages once, so that learning from them begins at once."""
    from glotclip.data.dataset import open_dataset
    from glotclip.languages import normalise_all

    dataset = open_dataset("freedict")
    return {lang: len(dataset.corpus([lang]).select(lang=lang)) for lang in normalise_all(langs)}


def _check_file(
    path: Path, options: ReadingOptions, bad_rows: Path | None, max_skipped: float, console: Console
) -> None:
    """Say what a caption file, a folder or a list of videos holds and what is wrong with it."""
    from glotclip.data.dataset import PathDataset, recognised
    from glotclip.data.likely_mistakes import likely_mistakes
    from glotclip.data.listing import summary
    from glotclip.data.schema import check_share, describe, write_skipped

    kind = recognised(path)
    assert kind is not None and issubclass(kind, PathDataset)  # something takes every path there is
    corpus = kind.open(str(path), options).read()
    notes = (*corpus.notes, *likely_mistakes(corpus))
    counts = _counts(corpus)
    console.say(f"{path}: {len(corpus):,} rows, {len(corpus.skipped):,} cannot be used")
    for code, by_split in counts.items():
        console.say(f"  {code}: " + ", ".join(f"{count:,} {split}" for split, count in by_split.items()))
    say_notes(console, notes)
    for item in corpus.skipped[:_SHOWN]:
        console.say(f"  {describe(item)}")
    if len(corpus.skipped) > _SHOWN:
        console.say(f"  and {len(corpus.skipped) - _SHOWN:,} more; --bad-rows writes all into a file")
    for line in summary(corpus.unused, path):
        console.say(f"  not used: {line}")
    if bad_rows is not None:
        write_skipped(corpus, bad_rows)
        console.say(f"wrote {bad_rows}")
    console.result(
        {
            "path": str(path),
            "rows": len(corpus),
            "languages": counts,
            "skipped": [{"where": each.where, "line": each.line, "reason": each.reason} for each in corpus.skipped],
            "notes": notes,
            "unused": [{"where": each.where, "reason": each.reason} for each in corpus.unused],
        }
    )
    check_share(corpus, max_skipped)


def _counts(corpus: Corpus) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for row in corpus.rows:
        by_split = counts.setdefault(row.lang, {})
        by_split[row.split] = by_split.get(row.split, 0) + 1
    return counts


def _shown(counts: Sequence[Count]) -> list[str]:
    """Return the lines to print: what agrees under one expected name becomes one line."""
    agreeing: dict[str, int] = {}
    for count in counts:
        if count.pattern is not None and count.right:
            agreeing[count.pattern] = agreeing.get(count.pattern, 0) + 1
    lines: dict[str, None] = {}
    for count in counts:
        if count.pattern is not None and count.right:
            times = f", {agreeing[count.pattern]} times" if agreeing[count.pattern] > 1 else ""
            lines[f"{count.pattern}: found {count.found:,}, as expected{times}"] = None
        else:
            lines[_count(count)] = None
    return list(lines)


def _count(count: Count) -> str:
    """Return one line: ``train captions de: found 28,999, expected 29,000``."""
    found = "nothing found" if count.found is None else f"found {count.found:,}"
    return f"{count.name}: {found}" + ("" if count.expected is None else f", expected {count.expected:,}")


def _say_findings(findings: Sequence[Finding], console: Console) -> None:
    faults = sum(finding.fault for finding in findings)
    console.say(f"parallel text: {faults} faults" + (f", {len(findings) - faults} remarks" if findings else ""))
    for finding in findings:
        console.say(f"  {'fault: ' if finding.fault else ''}{finding}")


def _as_dict(finding: Finding) -> dict[str, object]:
    return {
        "kind": finding.kind.value,
        "where": finding.where,
        "lang": finding.lang,
        "count": finding.count,
        "total": finding.total,
        "fault": finding.fault,
        "detail": finding.detail,
    }


def _raise_if_wrong(entry: Entry, wrong: Sequence[Count], findings: Sequence[Finding]) -> None:
    """Raise what is wrong with a named dataset, with what to do about it."""
    from glotclip.errors import DataError

    faults = sum(finding.fault for finding in findings)
    if wrong:
        named = "; ".join(_count(count) for count in wrong[:3]) + ("; …" if len(wrong) > 3 else "")
        raise DataError(
            f"{entry.name} is not as its owner released it: {named}",
            hint=f"fetch the missing or damaged files anew from: {entry.source}. Expected: {entry.files}",
        )
    if faults:
        raise DataError(
            f"the parallel text of {entry.name} has {faults} faults",
            hint="leave out the files named above, or make them anew; their readers leave out copies by themselves",
        )
