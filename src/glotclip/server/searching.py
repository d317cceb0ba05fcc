"""The routes of searches and of what the library is made of."""

from __future__ import annotations

import io
import threading
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.exceptions import HTTPException
from PIL import Image

from glotclip import image_formats
from glotclip.errors import ConfigError
from glotclip.library import facets
from glotclip.library.library import Library
from glotclip.library.records import Item
from glotclip.server import schemas
from glotclip.server.media import Media, NotThereError
from glotclip.server.settings import ServerSettings
from glotclip.storage import printable

router = APIRouter(prefix="/api", tags=["search"])
_DECODING = threading.Semaphore(2)  # a picture at the limit of pixels takes 450 MB
Number = Annotated[int, Path(ge=1, lt=2**53)]
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.Problem, "description": description}
    for status, description in {
        400: "the request cannot be read",
        401: "a token is needed",
        403: "not allowed",
        404: "not there",
        408: "the request took too long",
        413: "too large",
        422: "the request makes no sense",
        429: "too many wrong tokens",
        503: "busy: come again",
    }.items()
}


def library_of(request: Request) -> Library:
    """The library that is served."""
    found: Library = request.app.state.library
    return found


def settings_of(request: Request) -> ServerSettings:
    """The server's settings."""
    found: ServerSettings = request.app.state.settings
    return found


def media_of(request: Request) -> Media:
    """The library's files."""
    found: Media = request.app.state.media
    return found


def told(value: Any) -> Any:
    """A value as JSON in UTF-8 can hold it: what is no UTF-8 in names of files is written as ``printable`` does."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {told(key): told(each) for key, each in value.items()}
    return [told(each) for each in value] if isinstance(value, list | tuple) else value


def model_of(request: Request, name: str | None) -> str | None:
    """The model that is to answer: one of the library's, by name; whoever asks opens no other.

    Raises:
        ConfigError: if the library has none of this name.
    """
    own = settings_of(request).model
    if name is None or name == own:
        return own
    known = [each for model in library_of(request).models for each in (model.name, model.source, model.fingerprint)]
    if name not in known:
        raise ConfigError(f"the library has no vectors of the model {printable(name)!r}", hint="leave out model")
    return name


def _search(request: Request, narrowed: schemas.Narrowed, query: Any = None, **asked: Any) -> dict[str, Any]:
    filters = narrowed.filters()
    filters["model"] = model_of(request, filters["model"])
    record: dict[str, Any] = told(library_of(request).search(query, **asked, **filters).record())
    return record


@router.get("/search", response_model=schemas.Answer, responses=PROBLEMS)
def search(request: Request, asked: Annotated[schemas.SearchParameters, Query()]) -> Any:
    """Find pictures and videos by a text."""
    return _search(request, asked, asked.q, lang=asked.lang)


@router.post("/search", response_model=schemas.Answer, responses=PROBLEMS)
def search_several(request: Request, asked: schemas.Search) -> Any:
    """Find pictures and videos by several texts and items, each maybe pushing away."""
    texts = [(each, 1.0) if isinstance(each, str) else (each.text, each.weight) for each in asked.texts]
    _check_shown(request, [*asked.like, *asked.unlike])
    return _search(request, asked, texts or None, lang=asked.lang, like=asked.like, unlike=asked.unlike)


@router.post("/search/image", response_model=schemas.Answer, responses=PROBLEMS)
def search_image(
    request: Request, asked: Annotated[schemas.ImageSearch, Form(media_type="multipart/form-data")]
) -> Any:
    """Find pictures and videos that look like a picture, and fit a text if there is one."""
    with read_picture(asked.image.file.read()) as picture:
        return _search(request, asked, asked.q or None, image=picture, lang=asked.lang)


def read_picture(content: bytes) -> Image.Image:
    """Open a picture that somebody sent; its size is checked before it is decoded.

    Raises:
        ImageError: if it is none, broken, or too large.
    """
    from glotclip.models.image_files import check_size, readable, upright

    with _DECODING, readable("the picture"):
        image = Image.open(io.BytesIO(content), formats=image_formats.decodable())
        check_size(image, "the picture")
        return upright(image, 1024)


@router.get("/items/{number}", response_model=schemas.About, responses=PROBLEMS)
def item(request: Request, number: Number) -> Any:
    """Tell what is known of an item."""
    return about(media_of(request).item(number))


@router.get("/items/{number}/similar", response_model=schemas.Answer, responses=PROBLEMS)
def similar(request: Request, number: Number, asked: Annotated[schemas.Narrowed, Query()]) -> Any:
    """Find what looks like an item."""
    _check_shown(request, [number])
    return _search(request, asked, like=[number])


@router.get("/duplicates", response_model=schemas.Duplicates, responses=PROBLEMS)
def duplicates(request: Request) -> Any:
    """List the items that look the same."""
    library = library_of(request)
    return {"groups": library.duplicates(settings_of(request).model) if library.models else []}


@router.get("/languages", response_model=schemas.Languages, responses=PROBLEMS)
def languages(request: Request) -> Any:
    """List the languages that queries may be in."""
    library = library_of(request)
    name = settings_of(request).model
    encoder = library.encoder(library.model(name), name)
    return {"model": encoder.name, "languages": sorted(encoder.languages)}


@router.get("/facets", response_model=schemas.LibraryFacets, responses=PROBLEMS)
def narrowing(request: Request) -> Any:
    """Count what searches can be narrowed down by."""
    library = library_of(request)
    return {"items": len(library), **told(asdict(facets.facets(library.catalogue)))}


@router.post("/hide", response_model=schemas.Changed, responses=PROBLEMS)
def hide(request: Request, asked: schemas.Hiding) -> Any:
    """Hide items, or show them again; hidden ones appear nowhere."""
    if not settings_of(request).changes:
        raise HTTPException(403, "this server changes nothing")
    return {"changed": library_of(request).hide(asked.items, hidden=asked.hidden)}


def about(found: Item) -> dict[str, Any]:
    """An item as JSON."""
    known = {name: getattr(found, name) for name in schemas.About.model_fields if hasattr(found, name)}
    record: dict[str, Any] = told({**known, "item": found.id, "paths": [str(path) for path in found.paths]})
    return record


def _check_shown(request: Request, numbers: list[int]) -> None:
    shown = library_of(request).items(numbers)
    if missing := [number for number in numbers if number not in shown]:
        raise NotThereError(f"the library shows no item {missing[0]}")
