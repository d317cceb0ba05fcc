"""Words for people and documents for programs never mix."""

from __future__ import annotations

import json

import pytest

from glotclip.cli.console import Console, Progress, duration, split_codes


def test_json_keeps_standard_output_for_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(as_json=True)
    console.say("ein Wort")
    console.result({"größe": 1})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"größe": 1}
    assert err == "ein Wort\n"


def test_without_json_people_get_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.say("ein Wort")
    console.result({"a": 1})
    assert capsys.readouterr() == ("ein Wort\n", "")


@pytest.mark.parametrize(
    ("given", "codes"), [(None, []), (["de,fr"], ["de", "fr"]), (["de, fr", "ru,"], ["de", "fr", "ru"])]
)
def test_codes_may_be_split_and_repeated(given: list[str] | None, codes: list[str]) -> None:
    assert split_codes(given) == codes


@pytest.mark.parametrize(("seconds", "text"), [(3.2, "3 s"), (89, "89 s"), (90, "1.5 min"), (7200, "2.0 h")])
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_away_from_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("glotclip.cli.console.time.monotonic", lambda: float(next(clock)))
    with Progress() as progress:
        for done in range(1, 11):
            progress("pictures", done, 10)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert 1 <= len(lines) <= 4  # 40 seconds of this clock
    assert lines[0] == "pictures: 3 of 10, about 28 s left"
