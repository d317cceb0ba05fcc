"""What a server is told: where it listens, who may ask, and how much."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from glotclip.errors import ConfigError

LOCALHOST = ("localhost", "127.0.0.1", "::1")
HOST, PORT = "127.0.0.1", 8420
SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServerSettings:
    """Settings of a server.

    Attributes:
        host: the address it listens at.
        port: likewise; 0 takes a free one.
        token: what whoever asks has to know; None: nobody has to, which only localhost allows.
        names: host names, beside its address, by which it may be asked; "*" allows any.
        model: which of the library's models answers, or one with the same image tower and more languages.
        changes: whether items may be hidden through it.
        body: bytes of a request at most.
        body_seconds: in which a request has to arrive.
        waiting: requests that are worked on or wait at once; more are told to come again.
        guesses: wrong tokens in a minute, from one address, from which on it has to wait.
        zip_bytes: of all files of an export together.
    """

    host: str = HOST
    port: int = PORT
    token: str | None = None
    names: tuple[str, ...] = ()
    model: str | None = None
    changes: bool = True
    body: int = 32 * 2**20
    body_seconds: float = 30.0
    waiting: int = 128
    guesses: int = 10
    zip_bytes: int = 2 * 2**30

    def checked(self) -> ServerSettings:
        """These settings.

        Raises:
            ConfigError: if anybody in the network could ask without a token, or the token can be guessed.
        """
        if self.token is None and not self.is_local:
            raise ConfigError(
                f"whoever reaches {self.host} could see all pictures",
                hint="give a token (--token, or GLOTCLIP_TOKEN), or listen at 127.0.0.1",
            )
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ConfigError(
                f"a token of {len(self.token)} characters is soon guessed",
                hint=f"take at least {SHORTEST_TOKEN}, e.g. from `openssl rand -hex 16`",
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can reach it."""
        if self.host in LOCALHOST:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def allowed_hosts(self) -> list[str]:
        """The names in the Host header that are answered: a page elsewhere could otherwise lead a browser here."""
        if "*" in self.names:
            return ["*"]
        wildcard = self.host in ("0.0.0.0", "::")
        own = () if wildcard or self.host in LOCALHOST else (self.host,)
        return [*LOCALHOST[:2], "[::1]", *own, *self.names]
