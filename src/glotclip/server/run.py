"""Running the server until it is told to stop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from glotclip.errors import ConfigError
from glotclip.library.library import Library
from glotclip.server.app import create_app, use_encoders
from glotclip.server.settings import ServerSettings

GRACE = 10  # seconds that requests have to end in when the server stops
CONNECTIONS = 512


def serve(library: Library, settings: ServerSettings, told: Callable[[str], object] = lambda address: None) -> None:
    """Serve a library until Ctrl-C or SIGTERM; requests that are worked on then are answered first.

    Args:
        library: open.
        settings: where and how.
        told: called with the address once it is listened at.

    Raises:
        ConfigError: if the settings are not safe, the library is empty, or the address is taken.
    """
    import uvicorn

    app = create_app(library, settings)
    use_encoders(library, settings.model)
    with contextlib.closing(_listening(settings)) as sock:
        port = sock.getsockname()[1]
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE,
            limit_concurrency=CONNECTIONS, timeout_keep_alive=15, proxy_headers=False,
        )  # fmt: skip
        told(f"http://{shown}:{port}")
        uvicorn.Server(config).run(sockets=[sock])


def _listening(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sends at once (TCP_NODELAY) where a socket says that it is TCP; else answers wait 40 ms for receipts.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise ConfigError(
            f"cannot listen at {settings.host}, port {settings.port}: {error}",
            hint="take another port (--port 0: any that is free)",
        ) from error
    return sock
