"""Where the vectors of a library are kept, chosen by URL."""

from __future__ import annotations

from pathlib import Path

from glotclip.errors import ConfigError
from glotclip.library.stores.file import FileStore
from glotclip.library.stores.protocol import VectorStore


def open_store(url: str, dim: int, create: bool = False) -> VectorStore:
    """Open the store of a URL: ``file:PATH``.

    Args:
        url: where it is.
        dim: width of its vectors, E.
        create: whether to make it if it is not there.

    Raises:
        ConfigError: for a URL of another kind.
        StorageError: if it is not there, or damaged.
    """
    if not url.startswith("file:"):
        raise ConfigError(f"{url!r} is no address of vectors", hint="it begins with file:")
    return FileStore(Path(url.removeprefix("file:")), dim, create=create)
