from __future__ import annotations

import pytest

from glotclip.errors import ConfigError
from glotclip.server.settings import ServerSettings

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "::1"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert ServerSettings(host=host).checked().is_local


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "photos.example"])
def test_anybody_else_does(host: str) -> None:
    with pytest.raises(ConfigError, match="could see all pictures"):
        ServerSettings(host=host).checked()
    assert not ServerSettings(host=host, token=TOKEN).checked().is_local


def test_a_token_that_is_soon_guessed_is_refused() -> None:
    with pytest.raises(ConfigError, match="soon guessed"):
        ServerSettings(token=TOKEN[:-1]).checked()


def test_names_that_are_answered() -> None:
    assert ServerSettings().allowed_hosts == ["localhost", "127.0.0.1", "[::1]"]
    assert "box.local" in ServerSettings(host="0.0.0.0", token=TOKEN, names=("box.local",)).allowed_hosts
    assert "0.0.0.0" not in ServerSettings(host="0.0.0.0", token=TOKEN).allowed_hosts
    assert ServerSettings(names=("*",)).allowed_hosts == ["*"]
