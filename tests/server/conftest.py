"""A server over a small library of real files; its model is a tiny CLIP of random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient
from tests.library.conftest import picture

from glotclip.library.library import Library
from glotclip.library.torch_encoder import TorchEncoder
from glotclip.packs.polyglot import Polyglot
from glotclip.server.app import create_app, use_encoders
from glotclip.server.settings import ServerSettings

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder

Start = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("GLOTCLIP_LIBRARY", raising=False)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of forty pictures, of which ten are in a folder of their own, and a secret beside it."""
    root = tmp_path / "photos"
    for number in range(40):
        picture(root / ("trip" if number >= 30 else "") / f"{number:02}.png", number, size=(48, 24))
    (tmp_path / "secret.png").write_bytes((root / "00.png").read_bytes())
    return root


@pytest.fixture
def library(tmp_path: Path, photos: Path, base: DualEncoder) -> Iterator[Library]:
    """A library of :func:`photos`."""
    with Library(tmp_path / "library", create=True) as made:
        encoder = TorchEncoder(Polyglot(base))
        made.index([photos], encoder=encoder)
        use_encoders(made)
        yield made


@pytest.fixture
def start(library: Library) -> Iterator[Start]:
    """Start a server of the library with some settings, and get a client of it."""
    opened: list[TestClient] = []

    def begin(client: str = "127.0.0.1", **settings: object) -> TestClient:
        app = create_app(library, ServerSettings(**settings))  # type: ignore[arg-type]
        made = TestClient(app, base_url="http://localhost", client=(client, 5000))
        opened.append(made)
        return made.__enter__()

    yield begin
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def client(start: Start) -> TestClient:
    """A client of a server that anybody on this machine may ask."""
    return start()
