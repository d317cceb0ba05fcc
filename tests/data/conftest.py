from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

_WORDS = {
    "en": ("A dog|A cat|A small boy|An old woman", "runs across the grass|sleeps on the red sofa"),
    "de": ("Ein Hund|Eine Katze|Ein kleiner Junge|Eine alte Frau", "läuft über das Gras|schläft auf dem roten Sofa"),
    "it": ("Un cane|Un gatto|Un ragazzino|Una donna anziana", "corre sull'erba del parco|dorme sul divano rosso"),
    "fr": ("Un chien|Un chat|Un petit garçon|Une vieille femme", "court dans l'herbe|dort sur le canapé rouge"),
    "ko": ("개가|고양이가|어린 소년이|노부인이", "잔디밭을 가로질러 달린다|빨간 소파에서 잠을 잔다"),
    "ja": ("犬が|猫が|小さな男の子が|おばあさんが", "芝生の上を走っている|赤いソファーで眠っている"),
    "zh": ("一只狗|一只猫|一个小男孩|一位老妇人", "在草地上奔跑|睡在红色的沙发上"),
}


class Desk:
    """Writes files as the owners of datasets do, in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def captions(lang: str) -> list[str]:
        """Eight captions in a real language; the k-th of every language say the same."""
        subjects, doings = (words.split("|") for words in _WORDS[lang])
        space = "" if lang in ("ja", "zh") else " "
        return [f"{subject}{space}{doing}" for subject in subjects for doing in doings]

    def lines(self, name: str, lines: Sequence[str]) -> Path:
        """Write lines, packed if the name ends in ``.gz``."""
        content = ("\n".join(lines) + "\n").encode()
        return self.bytes(name, gzip.compress(content) if name.endswith(".gz") else content)

    def dictd(self, name: str, entries: Sequence[tuple[str, str]], about: str = "", *, packed: bool = True) -> Path:
        """Write a dictionary of dictd; an entry is its word in the index, and its text. Returns the index."""
        body, index = b"", []
        for word, text in (("00databaseinfo", f"\n00-database-info\n{about}\n"), *entries):
            content = text.encode()
            index.append(f"{word}\t{_base64(len(body))}\t{_base64(len(content))}")
            body += content
        self.bytes(f"{name}.dict.dz" if packed else f"{name}.dict", gzip.compress(body) if packed else body)
        return self.lines(f"{name}.index", index)

    def json(self, name: str, value: object) -> Path:
        return self.bytes(name, json.dumps(value, ensure_ascii=False).encode())

    def bytes(self, name: str, content: bytes = b"x") -> Path:
        """Write a file; with the default content it passes for an image, which no reader of captions opens."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def _base64(number: int) -> str:
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    found = ""
    while number or not found:
        number, digit = divmod(number, 64)
        found = digits[digit] + found
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "data")


@pytest.fixture(autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has an empty cache, and finds no data that happens to lie on this machine."""
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("GLOTCLIP_EMOJI_VENDORS", raising=False)
