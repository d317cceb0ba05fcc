"""The registry: every check runs, and one that fails keeps no other from speaking."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from glotclip.doctor import check as checking
from glotclip.doctor.check import CHECKS, MODULES, Case, Finding, broken, check, examine
from glotclip.errors import ConfigError


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No checks but those that the test registers."""
    monkeypatch.setattr(checking, "CHECKS", {})
    monkeypatch.setattr(checking, "MODULES", ())


def test_our_checks_are_registered_in_order() -> None:
    sections = examine(Case())
    titles = [section.title for section in sections]
    assert sorted(titles) == sorted(CHECKS) and (titles[0], titles[-1]) == ("versions", "translation engines")
    assert {"devices", "threads", "caches", "built-in models", "models", "translation engines"} <= set(titles)
    assert set(MODULES) == {function.__module__.rpartition(".")[2] for function in CHECKS.values()}
    assert all(each.mend for each in broken(sections))


def test_one_check_keeps_no_other_from_speaking(alone: None) -> None:
    @check("ours")
    def ours(case: Case) -> Iterator[Finding]:
        yield Finding("before", "seen")
        raise ConfigError("the wall is crooked", hint="straighten it")

    @check("theirs")
    def theirs(case: Case) -> Iterator[Finding]:
        yield Finding("x", str(1 // 0))

    @check("fine")
    def fine(case: Case) -> Iterator[Finding]:
        yield Finding("well", "all of it")
        yield Finding("extra", "not there", "missing", "get it")

    sections = examine(Case())
    assert [section.title for section in sections] == ["ours", "theirs", "fine"]
    first, second, third = (section.findings for section in sections)
    assert first[1] == Finding("ours", "the wall is crooked", "broken", "straighten it")
    assert first[0].what == "before" and second[0].state == "broken" and "ZeroDivisionError" in second[0].said
    assert broken(sections) == [first[1], second[0]] and len(third) == 2
