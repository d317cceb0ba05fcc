"""Where the vectors of a library are kept, chosen by URL.

To add an engine: a module here with ``open_url(url, dim, *, create)``, and its line in :data:`ENGINES`.
"""

from __future__ import annotations

from importlib import import_module

from glotclip.errors import ConfigError, did_you_mean
from glotclip.library.stores.protocol import VectorStore

#: Module by scheme of the URL.
ENGINES = {"file": "file", "postgresql": "postgres", "milvus": "milvus"}


def open_store(url: str, dim: int, create: bool = False) -> VectorStore:
    """Open the store of a URL: ``file:PATH``, ``postgresql://…#NAME`` or ``milvus:…#NAME``.

    Args:
        url: where it is.
        dim: width of its vectors, E.
        create: whether to make it if it is not there.

    Raises:
        ConfigError: for a URL of another kind.
        StorageError: if it is not there, cannot be reached, or is damaged.
        MissingExtraError: if the engine's package is not installed.
    """
    engine = import_module(f"glotclip.library.stores.{ENGINES[engine_of(url)]}")
    store: VectorStore = engine.open_url(url, dim, create=create)
    return store


def engine_of(url: str) -> str:
    """The engine that a URL names.

    Raises:
        ConfigError: if it names none.
    """
    scheme = url.partition(":")[0]
    scheme = "postgresql" if scheme == "postgres" else scheme
    if scheme not in ENGINES or ":" not in url:
        raise ConfigError(
            f"{url!r} is no address of vectors",
            hint=f"{did_you_mean(scheme, ENGINES)}it begins with {', '.join(f'{each}:' for each in ENGINES)}",
        )
    return scheme
