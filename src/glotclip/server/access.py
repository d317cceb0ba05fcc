"""Who may ask: a token in a header or, for the page, in a cookie; and who guesses has to wait."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

COOKIE = "glotclip"
WINDOW = 60.0  # seconds in which guesses are counted
_ADDRESSES = 4096  # that are remembered for their guesses


class Access:
    """Checks tokens.

    Args:
        token: the right one; None: everybody may ask.
        guesses: wrong ones in a minute from which on an address has to wait.
        clock: seconds that only grow.
    """

    def __init__(self, token: str | None, guesses: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = None if token is None else token.encode()
        self._guesses, self._clock = guesses, clock
        self._secret = secrets.token_bytes(32)  # cookies are worth nothing after a restart
        self._wrong: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether everybody may ask."""
        return self._token is None

    @property
    def cookie(self) -> str:
        """What a browser keeps once it has shown the token."""
        return hmac.new(self._secret, self._token or b"", hashlib.sha256).hexdigest()

    def allows(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> bool:
        """Whether a request brings the token, or a cookie that was given for it; compared in constant time."""
        if self._token is None:
            return True
        if hmac.compare_digest(cookies.get(COOKIE, "").encode(), self.cookie.encode()):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.right(given.strip())

    def right(self, token: str) -> bool:
        """Whether a token is the right one."""
        return self._token is None or hmac.compare_digest(token.encode(errors="replace"), self._token)

    def wait(self, address: str) -> float:
        """Seconds that an address has to wait before it may show a token again; 0: it may now."""
        with self._lock:
            times = self._recent(address)
            return 0.0 if len(times) < self._guesses else max(0.001, times[0] + WINDOW - self._clock())

    def wrong(self, address: str) -> None:
        """Note that an address showed a wrong token."""
        with self._lock:
            self._recent(address).append(self._clock())
            while len(self._wrong) > _ADDRESSES:
                del self._wrong[next(iter(self._wrong))]

    def _recent(self, address: str) -> deque[float]:
        times = self._wrong.setdefault(address, deque(maxlen=self._guesses))
        while times and self._clock() - times[0] > WINDOW:
            times.popleft()
        return times
