"""``glotclip search``: what fits a text best, in a library or among the images of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glotclip.cli import completion
from glotclip.cli.console import BaseOption, Console, Progress
from glotclip.cli.library_search import guessed, search_library
from glotclip.cli.options import AsJson, Device, LibraryOption, LongTexts, TranslatorOption

if TYPE_CHECKING:
    from glotclip.api import SearchResult

DEFAULT_MODEL = "photo-clip"
_SKIPPED_SHOWN = 5


def search(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A built-in name (photo-clip, which is the default, emoji-clip, …), a hub id, a checkpoint, or a "
            "folder made by `extend` or `export`; of a library, one of those that indexed it.",
            autocompletion=completion.models,
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Argument(
            metavar="QUERY",
            help="What it shows, in any language of the model. In a library `-word` and `not:word` push away.",
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="A folder of images to search instead of a library.", show_default=False)
    ] = None,
    named: Annotated[
        str | None,
        typer.Option("--model", help="Another way to write MODEL.", autocompletion=completion.models),
    ] = None,
    library: LibraryOption = None,
    image: Annotated[
        list[Path] | None, typer.Option(help="A picture that hits shall be like, with or without a QUERY.")
    ] = None,
    lang: Annotated[
        str,
        typer.Option(
            help="The query's language; guessed if it is not given, or auto.", autocompletion=completion.languages
        ),
    ] = "",
    top: Annotated[int, typer.Option(help="How many hits to show.")] = 5,
    offset: Annotated[int, typer.Option(min=0, help="Better hits to leave out.")] = 0,
    folder: Annotated[Path | None, typer.Option(help="Only what lies below this folder.")] = None,
    after: Annotated[
        str | None, typer.Option(metavar="DATE", help="Only what was taken then or later: 2021-07.")
    ] = None,
    before: Annotated[str | None, typer.Option(metavar="DATE", help="Only what was taken then or earlier.")] = None,
    near: Annotated[
        str | None, typer.Option(metavar="LAT,LON,KM", help="Only what was taken so near to a place: 48.2,16.4,5.")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="Only what a camera took whose name holds this.")] = None,
    kind: Annotated[str | None, typer.Option(metavar="image|video", help="Only pictures, or only videos.")] = None,
    min_score: Annotated[float | None, typer.Option(help="The least cosine of a hit.")] = None,
    min_probability: Annotated[
        float | None, typer.Option(help="The least probability of a hit; 0 shows whatever fits best.")
    ] = None,
    fold: Annotated[bool, typer.Option("--fold/--no-fold", help="Of near-duplicates show only the best.")] = True,
    translator: TranslatorOption = None,
    long: LongTexts = "cut",
    base: BaseOption = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Find what fits a text best: in a library that `glotclip index` made, or with --images in a folder.

    Everything is compared, so the result is exact. Of a folder, images are encoded once and remembered.
    """
    from glotclip.errors import ConfigError

    console = Console(as_json)
    model, query = _model_and_query(model, query, named, query_needed=images is None and not image)
    if images is None:
        search_library(
            console, library, query, image or [], model=model, lang=lang or None, limit=top, offset=offset,
            folder=folder, after=after, before=before, near=near, camera=camera, kind=kind, min_score=min_score,
            min_probability=min_probability, fold=fold, base=base, device=device,
        )  # fmt: skip
        return
    given = (library, image, offset, folder, after, before, near, camera, kind, min_score, min_probability)
    if any(value not in (None, 0, []) for value in given):
        raise ConfigError("a folder of images has no filters: they are a library's", hint="leave out --images")
    chosen = model or DEFAULT_MODEL
    if query is None:
        raise ConfigError(f"what to look for in {images} is not said", hint=f'glotclip search {chosen} "a dog" …')
    _search_folder(
        console, images, chosen, query, lang=lang, translator=translator, long=long, top=top, base=base, device=device
    )


def _model_and_query(
    first: str | None, second: str | None, named: str | None, *, query_needed: bool
) -> tuple[str | None, str | None]:
    """Tell the model from the query: one argument alone is the query, unless it can only be a model.

    Raises:
        ConfigError: if the model is named twice.
    """
    from glotclip.errors import ConfigError
    from glotclip.models.built_in import BUILT_IN

    if named is not None and second is not None:
        raise ConfigError("the model is named twice", hint="as the first argument, or with --model")
    if named is not None:
        return named, first
    if second is None and first is not None and (query_needed or not (first in BUILT_IN or Path(first).exists())):
        return None, first
    return first, second


def _search_folder(
    console: Console, images: Path, model: str, query: str, *, lang: str, translator: str | None, long: str, top: int,
    base: str | None, device: str,
) -> None:  # fmt: skip
    from glotclip import api
    from glotclip.models.windows import check_long

    with Progress() as progress:
        found = api.search(
            model, images, query, lang or None, top=top, long=check_long(long), translator=translator, device=device,
            base=base, progress=progress,
        )  # fmt: skip
    _show(found, images, console)
    console.result(
        {
            "model": model,
            "query": found.query,
            "lang": found.lang,
            "lang_guessed": found.guess is not None,
            "lang_sure": found.guess.sure if found.guess else True,
            "lang_among": list(found.among),
            "lang_weights": {each: round(weight, 4) for each, weight in found.weights.items()},
            "searched": found.searched,
            "hits": [{**_place(hit.path), "score": round(hit.score, 6)} for hit in found.hits],
            "unreadable": [{**_place(item.where), "reason": item.reason} for item in found.unreadable],
            "unused": [{**_place(item.where), "reason": item.reason} for item in found.unused],
        }
    )


def _show(found: SearchResult, images: Path, console: Console) -> None:
    """The answer for people: the guess, the hits, and what was not searched."""
    from glotclip.data.listing import summary
    from glotclip.data.schema import describe
    from glotclip.evaluation.tables import Table
    from glotclip.storage import shown

    if found.guess:
        console.say(guessed(found.guess, found.weights))
    rows = tuple((place, f"{hit.score:.3f}", shown(hit.path)) for place, hit in enumerate(found.hits, start=1))
    title = f"“{found.query}” ({', '.join(found.weights)}) among {found.searched} images"
    console.table(Table(("#", "score", "image"), rows, title=title))
    if count := len(found.unreadable):
        console.say(f"{count} images could not be read:")
        for item in found.unreadable[:_SKIPPED_SHOWN]:
            console.say(f"  {describe(item)}")
        if count > _SKIPPED_SHOWN:
            console.say(f"  and {count - _SKIPPED_SHOWN} more; --json lists all")
    for line in summary(found.unused, images):
        console.say(f"not searched: {line}")


def _place(path: str | Path) -> dict[str, str]:
    """A file's name, and its address, which tells names apart that are no UTF-8."""
    return {"path": str(path), "uri": Path(path).absolute().as_uri()}
