"""What every request passes: size, time, how many wait, who asks, and the headers of every answer.

Written as ASGI middleware of its own since a request is to be refused before its body is read.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from glotclip.server.access import Access
from glotclip.server.settings import ServerSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN_PATHS = frozenset({"/", "/page.js", "/page.css", "/icon.svg", "/health", "/api/login", "/favicon.ico"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self'; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
)


class Refused(Exception):  # noqa: N818 -- it is an answer, not an error
    """A request that gets an answer at once."""

    def __init__(self, status: int, error: str, hint: str, wait: float = 0.0) -> None:
        super().__init__(error)
        self.status, self.error, self.hint, self.wait = status, error, hint, wait


class Guard:
    """Lets through what is allowed.

    Args:
        app: what lies behind.
        settings: the limits.
        access: who may ask.
    """

    def __init__(self, app: App, settings: ServerSettings, access: Access) -> None:
        self.app, self.settings, self.access = app, settings, access
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        try:
            self._admit(scope)
            self.inside += 1
            try:
                await self.app(scope, await self._with_body(scope, receive), sending)
            finally:
                self.inside -= 1
        except Refused as refused:
            if not started:
                await _answer(refused, sending)

    def _admit(self, scope: Scope) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if _elsewhere(scope, headers):
            raise Refused(403, "another site's page asks", "open the page of this server itself")
        if scope["path"] not in OPEN_PATHS and not self.access.open:
            self._check_token(scope, headers)
        if self.inside >= self.settings.waiting and scope["path"] != "/health":
            raise Refused(503, f"{self.inside} requests are waiting already", "come again in a moment", 1)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.settings.body:
            raise self._too_large()

    def _check_token(self, scope: Scope, headers: dict[str, str]) -> None:
        try:
            cookies = {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
        except CookieError:
            cookies = {}
        address = (scope.get("client") or ("",))[0]
        shown = "authorization" in headers
        if shown and (wait := self.access.wait(address)):
            raise Refused(429, "too many wrong tokens", "wait, and check the token", wait)
        if not self.access.allows(headers, cookies):
            if shown:
                self.access.wrong(address)
            raise Refused(401, "a token is needed", "send it as Authorization: Bearer TOKEN, or log in on the page")

    async def _with_body(self, scope: Scope, receive: Receive) -> Receive:
        """Read the body whole, within the limits; what lies behind is given it at once."""
        if scope["method"] in SAFE_METHODS:
            return receive
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the request broke off", "send it again")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self.settings.body:
                        raise self._too_large()
                    if not message.get("more_body"):
                        break
        except TimeoutError as error:
            raise Refused(408, "the request took too long to arrive", "send it again") from error
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}

        return replay

    def _too_large(self) -> Refused:
        most = self.settings.body / 2**20
        return Refused(413, f"a request may have {most:g} MB", "send a smaller picture, or fewer things")


def _elsewhere(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether a page of another site asks: to change something, or for anything but the page itself."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if scope["method"] not in SAFE_METHODS:
        foreign = origin is not None and origin.partition("://")[2] != headers.get("host", "")
        return foreign or site in ("cross-site", "same-site")
    return site == "cross-site" and scope["path"] not in OPEN_PATHS


async def _answer(refused: Refused, send: Send) -> None:
    body = json.dumps({"error": refused.error, "hint": refused.hint}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refused.wait:
        headers.append((b"retry-after", str(int(refused.wait) + 1).encode()))
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refused.status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
