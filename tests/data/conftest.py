from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has an empty cache, and finds no data that happens to lie on this machine."""
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("GLOTCLIP_CLDR", raising=False)
    monkeypatch.delenv("GLOTCLIP_EMOJI_VENDORS", raising=False)
    monkeypatch.setattr("glotclip.data.cldr.DEBIAN", Path("/nonexistent"))
