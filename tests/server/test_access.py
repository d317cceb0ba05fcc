from __future__ import annotations

import pytest

from glotclip.server.access import COOKIE, WINDOW, Access

TOKEN = "a long enough token"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_without_a_token_everybody_may_ask() -> None:
    access = Access(None, 3)
    assert access.open and access.allows({}, {}) and access.right("anything")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [({}, False), (bearer(TOKEN), True), (bearer(TOKEN + "x"), False), (bearer(""), False), (bearer("ключ"), False),
     ({"authorization": f"Basic {TOKEN}"}, False), ({"authorization": f"bearer {TOKEN}"}, True)],
)  # fmt: skip
def test_a_token_in_a_header(headers: dict[str, str], allowed: bool) -> None:
    assert Access(TOKEN, 3).allows(headers, {}) is allowed


def test_cookies_are_worth_something_to_the_server_that_gave_them() -> None:
    access, other = Access(TOKEN, 3), Access(TOKEN, 3)
    assert access.allows({}, {COOKIE: access.cookie})
    assert TOKEN not in access.cookie
    assert not access.allows({}, {COOKIE: other.cookie})
    assert not access.allows({}, {COOKIE: TOKEN})


def test_who_guesses_waits() -> None:
    now = 100.0
    access = Access(TOKEN, 3, clock=lambda: now)
    for _ in range(3):
        assert access.wait("1.2.3.4") == 0
        access.wrong("1.2.3.4")
    assert access.wait("1.2.3.4") == pytest.approx(WINDOW) and access.wait("5.6.7.8") == 0
    now += WINDOW + 1
    assert access.wait("1.2.3.4") == 0
