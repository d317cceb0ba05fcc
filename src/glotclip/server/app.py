"""The application: routes, limits, and what becomes of errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, Response
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from glotclip import __version__
from glotclip.errors import (
    ConfigError,
    DataError,
    GlotclipError,
    ImageError,
    LanguageError,
    MissingExtraError,
    StorageError,
    VideoError,
)
from glotclip.library.library import Library
from glotclip.server import embeddings, files, schemas, searching
from glotclip.server.access import COOKIE, Access
from glotclip.server.batching import BatchingEncoder
from glotclip.server.limits import Guard
from glotclip.server.media import Media, NotThereError
from glotclip.server.metrics import Measured, Metrics
from glotclip.server.searching import PROBLEMS
from glotclip.server.settings import ServerSettings

PAGE = Path(__file__).parent / "page"
_UNANSWERABLE = (ConfigError, LanguageError, DataError, ImageError, VideoError)


def create_app(library: Library, settings: ServerSettings) -> FastAPI:
    """The application that serves a library.

    Args:
        library: open; it is not closed.
        settings: checked.

    Raises:
        ConfigError: if the settings are not safe.
    """
    settings.checked()
    access, metrics = Access(settings.token, settings.guesses), Metrics(lambda: len(library))

    app = FastAPI(
        title="glotclip", version=__version__, docs_url=None, redoc_url=None,
        description="Search a library of pictures and videos in any language that its model was taught.",
    )  # fmt: skip
    app.state.library, app.state.settings = library, settings
    app.state.media, app.state.metrics, app.state.access = Media(library), metrics, access
    for router in (searching.router, files.router, embeddings.router):
        app.include_router(router)
    _add_page(app)
    _add_errors(app)
    # The last one added is passed first: what has another host's name is refused before anything else.
    app.add_middleware(Guard, settings=settings, access=access)
    app.add_middleware(Measured, metrics=metrics)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, www_redirect=False)
    return app


def use_encoders(library: Library, name: str | None = None) -> None:
    """Load the encoder of a library's model, and have queries of many threads encoded together.

    Raises:
        ConfigError: if the library is empty or has no vectors of the model.
    """
    model = library.model(name)
    library.add_encoder(BatchingEncoder(library.encoder(model, name)))


def _add_page(app: FastAPI) -> None:
    def sends(address: str, name: str, kind: str) -> None:
        @app.get(address, include_in_schema=False)
        def send() -> FileResponse:
            return FileResponse(PAGE / name, media_type=kind, headers={"cache-control": "no-cache"})

    sends("/", "index.html", "text/html; charset=utf-8")
    sends("/page.js", "page.js", "text/javascript; charset=utf-8")
    sends("/page.css", "page.css", "text/css; charset=utf-8")
    sends("/icon.svg", "icon.svg", "image/svg+xml")

    @app.get("/health", response_model=schemas.Health, responses=PROBLEMS, tags=["server"])
    def health(request: Request) -> Any:
        """Whether the server can answer."""
        library = searching.library_of(request)
        models = library.models
        return {
            "status": "ok", "items": len(library), "model": models[0].name if models else None,
            "version": __version__,
        }  # fmt: skip

    @app.get("/metrics", tags=["server"], responses=PROBLEMS, response_class=Response)
    def metrics(request: Request) -> Response:
        """Counts and times in Prometheus' format."""
        text, kind = request.app.state.metrics.text()
        return Response(text, media_type=kind)

    @app.post("/api/login", tags=["server"], responses=PROBLEMS, status_code=204, response_class=Response)
    def login(request: Request, token: Annotated[str, Form(max_length=1000)]) -> Response:
        """Give a browser a cookie for the token."""
        access: Access = request.app.state.access
        address = request.client.host if request.client else ""
        if wait := access.wait(address):
            raise HTTPException(429, "too many wrong tokens", headers={"retry-after": str(int(wait) + 1)})
        if not access.right(token):
            access.wrong(address)
            raise HTTPException(401, "this is not the token", headers={"www-authenticate": "Bearer"})
        response = Response(status_code=204)
        response.set_cookie(
            COOKIE, access.cookie, httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
        )
        return response


def _add_errors(app: FastAPI) -> None:
    def problem(status: int, error: str, hint: str = "", headers: Any = None) -> JSONResponse:
        return JSONResponse({"error": error, "hint": hint}, status, headers)

    @app.exception_handler(NotThereError)
    async def not_there(request: Request, error: NotThereError) -> JSONResponse:
        return problem(404, str(error), "search again")

    @app.exception_handler(GlotclipError)
    async def known(request: Request, error: GlotclipError) -> JSONResponse:
        if isinstance(error, _UNANSWERABLE):
            return problem(422, error.message, error.hint)
        if isinstance(error, StorageError):
            return problem(503, error.message, error.hint, {"retry-after": "5"})
        return problem(501 if isinstance(error, MissingExtraError) else 500, error.message, error.hint)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("query", "body", "path"))
        return problem(422, f"{where}: {first['msg']}" if where else str(first["msg"]), "see /openapi.json")

    @app.exception_handler(StarletteHTTPException)
    async def http(request: Request, error: StarletteHTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        if error.status_code == 405:  # Starlette names the methods of the first route alone
            headers["Allow"] = ", ".join(sorted(_methods(app, request)))
        return problem(error.status_code, str(error.detail), "", headers)


def _methods(app: FastAPI, request: Request) -> set[str]:
    """The methods of all routes of an address."""
    return {
        method.upper()
        for path, methods in app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), request.url.path)
        for method in methods
    }
