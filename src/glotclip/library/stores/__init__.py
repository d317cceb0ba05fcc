"""Where the vectors of a library are kept."""

from __future__ import annotations

from pathlib import Path

from glotclip.library.stores.file import FileStore
from glotclip.library.stores.protocol import VectorStore


def open_store(url: str, dim: int, create: bool = False) -> VectorStore:
    """Open a store by its URL."""
    return FileStore(Path(url.removeprefix("file:")), dim, create=create)
