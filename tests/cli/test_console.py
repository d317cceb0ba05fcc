"""Words for people and documents for programs never mix."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rich.progress

from glotclip.cli.console import Console, Pace, Progress, duration, split_codes


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


@pytest.mark.parametrize(("before", "of_late"), [(5.0, 0.5), (0.5, 5.0)])
def test_time_left_follows_the_last_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, before: float, of_late: float
) -> None:
    """A machine that was busy and is quiet now, or the other way round: how it was no longer counts."""
    now = 0.0
    monkeypatch.setattr("glotclip.cli.console.time.monotonic", lambda: now)
    with Progress() as progress:
        for done in range(1, 200):
            now += before if done < 100 else of_late
            progress("training", done, 1000)
    last = capsys.readouterr().err.splitlines()[-1]
    done = int(last.split()[1])
    assert done > 150
    assert f"about {duration(of_late * (1000 - done))} left" in last


def test_the_bar_looks_as_far_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on a terminal, whose bars have an estimate of their own."""
    now, bars = 0.0, list[rich.progress.Progress]()

    class Watched(rich.progress.Progress):
        def __init__(self, *columns: Any, **more: Any) -> None:
            super().__init__(*columns, get_time=lambda: now, **more)
            bars.append(self)

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("rich.progress.Progress", Watched)
    with Progress() as progress:
        for done in range(1, 200):
            now += 5.0 if done < 100 else 0.5
            progress("training", done, 1000)
        (task,) = bars[0].tasks
        assert task.time_remaining == pytest.approx(0.5 * 801, rel=0.1)


def test_pace_where_reports_come_seldom_or_say_nothing() -> None:
    pace = Pace(seconds=10, least=2)
    assert pace.left(0, 0, 10) is None  # nothing is known yet
    assert pace.left(100, 1, 10) == 900
    assert pace.left(200, 2, 10) == 800
    assert pace.left(220, 3, 10) == 420  # the last two took 120 s together
    assert pace.left(240, 4, 10) == 120
    still = Pace(seconds=10)
    assert [still.left(second, 5, 10) for second in (0, 5, 50)] == [None] * 3  # it stands still
