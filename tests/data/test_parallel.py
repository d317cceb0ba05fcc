from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data import parallel
from glotclip.data.parallel import FROM_ENGLISH, HUMAN, TO_ENGLISH, Kind, Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.data.conftest import Desk

    from glotclip.data.parallel import Finding


def _found(findings: Sequence[Finding]) -> set[tuple[Kind, str, int, bool]]:
    return {(finding.kind, finding.where, finding.count, finding.fault) for finding in findings}


def _human(desk: Desk, *langs: str, part: str = "test") -> list[Text]:
    return [Text(f"human {lang}", part, lang, desk.captions(lang)) for lang in langs]


def test_sound_text_has_no_findings(desk: Desk) -> None:
    texts = _human(desk, "en", "de", "fr", "it", "ja", "zh", "ko")
    assert parallel.check(texts, language=True) == []


def test_korean_that_is_italian_is_caught(desk: Desk) -> None:
    """The fault of PECT's release, rebuilt: from-English ``ko`` is ``it``, byte for byte."""
    texts = [
        *_human(desk, "en", "it", "ko"),
        Text("from it", "test", "it", [line + "." for line in desk.captions("it")], FROM_ENGLISH),
        Text("from ko", "test", "ko", [line + "." for line in desk.captions("it")], FROM_ENGLISH),
    ]
    findings = parallel.check(texts, language=True)
    assert _found(findings) == {
        (Kind.SAME_TEXT, "from ko", 8, True),
        (Kind.SCRIPT, "from ko", 8, True),
        (Kind.LANGUAGE, "from ko", 8, True),
    }
    assert "from it" in next(finding.detail for finding in findings if finding.kind == Kind.SAME_TEXT)
    assert "looks like it" in next(finding.detail for finding in findings if finding.kind == Kind.LANGUAGE)


def test_nearly_the_same_file_is_caught_even_if_it_slid(desk: Desk) -> None:
    german = desk.captions("de")
    texts = [
        Text("de", "test", "de", german),
        Text("fr", "test", "fr", ["Un chien.", *german[:4], *desk.captions("fr")[5:]]),
    ]
    assert (Kind.SAME_TEXT, "fr", 4, True) in _found(parallel.check(texts, language=False))
    # In another part, or among few common lines, it is none.
    apart = [texts[0], Text("fr", "train", "fr", german)]
    assert not any(finding.kind == Kind.SAME_TEXT for finding in parallel.check(apart, language=False))
    few = [texts[0], Text("fr", "test", "fr", [*german[:2], *desk.captions("fr")[2:]])]
    assert not any(finding.kind == Kind.SAME_TEXT for finding in parallel.check(few, language=False))


def test_machine_text_that_equals_the_human_text_is_counted(desk: Desk) -> None:
    human = _human(desk, "en", "de")
    machine = [*desk.captions("de")[:3], *(line + "!" for line in desk.captions("de")[3:])]
    texts = [*human, Text("from", "test", "de", machine, FROM_ENGLISH)]
    assert _found(parallel.check(texts, language=False)) >= {(Kind.EQUAL, "from", 3, False)}
    into = Text("to", "test", "de", desk.captions("en"), TO_ENGLISH)  # nothing was translated at all
    findings = parallel.check([*human, into], language=True)
    assert _found(findings) == {(Kind.EQUAL, "to", 8, True)}


def test_the_language_is_checked_where_the_script_cannot_tell(desk: Desk) -> None:
    wrong = Text("cs", "test", "cs", desk.captions("de"))
    findings = parallel.check([wrong], language=True)
    assert _found(findings) == {(Kind.LANGUAGE, "cs", 8, True)}
    assert "looks like de in 1 of 1 samples; the file claims cs" in findings[0].detail
    for lang, other in (("ja", "zh"), ("zh", "ja")):
        swapped = parallel.check([Text("file", "test", lang, desk.captions(other))], language=True)
        assert (Kind.LANGUAGE, "file", 8, True) in _found(swapped)
    unknown = parallel.check([Text("mi", "test", "mi", ["he kurī"])], language=True)
    assert [(finding.kind, finding.detail) for finding in unknown] == [(Kind.UNCHECKED, "py3langid does not know mi")]


def test_what_was_not_checked_is_said(desk: Desk) -> None:
    findings = parallel.check(_human(desk, "en", "de"), language=False)
    assert _found(findings) == {(Kind.UNCHECKED, "all texts", 0, False)}


def test_row_counts(desk: Desk) -> None:
    texts = [*_human(desk, "en", "de", "fr"), Text("it", "test", "it", desk.captions("it")[:7])]
    findings = [finding for finding in parallel.check(texts, language=False) if finding.kind == Kind.ROWS]
    assert _found(findings) == {(Kind.ROWS, "it", 7, True)}
    assert str(findings[0]) == "it: row counts differ, 7 of 8 (the other files of test have 8)"
    free = parallel.check(texts, aligned=False, language=False)
    assert not any(finding.kind == Kind.ROWS for finding in free)


def test_empty_and_repeated_lines(desk: Desk) -> None:
    lines = [*desk.captions("de")[:6], " ", "", "Ein Hund", "Ein Hund", "Ein Hund"]
    findings = parallel.check([Text("de", "test", "de", lines)], language=False)
    assert _found(findings) >= {(Kind.EMPTY, "de", 2, True), (Kind.DUPLICATE, "de", 2, False)}
    details = {finding.kind: finding.detail for finding in findings}
    assert details[Kind.EMPTY] == "lines 7, 8"
    assert details[Kind.DUPLICATE] == "one 3 times: 'Ein Hund'"


def test_truncated_lines_are_far_shorter_than_their_counterparts(desk: Desk) -> None:
    english = [line + " while another one watches it from the window" for line in desk.captions("en")]
    german = [line + ", während ein anderer vom Fenster aus zusieht" for line in desk.captions("de")]
    german[3] = german[3][:10]
    texts = [Text("de", "test", "de", german), Text("en", "test", "en", english)]  # English last: order is free
    found = [finding for finding in parallel.check(texts, language=False) if finding.kind == Kind.TRUNCATED]
    assert _found(found) == {(Kind.TRUNCATED, "de", 1, True)}  # one of eight is much
    assert found[0].detail == "line 4"


def test_lines_that_slid_are_caught() -> None:
    sizes = np.random.default_rng(0).integers(20, 120, 1000)
    english = ["e" * int(size) for size in sizes]
    german = ["d" * int(size * 1.2) for size in sizes]
    out_of_step = [*german[:600], german[0], *german[600:-1]]  # one line too many, the last one lost
    for lines, expected in ((german, set()), (out_of_step, {(Kind.SLID, "de", 400, True)})):
        texts = [Text("en", "test", "en", english), Text("de", "test", "de", lines)]
        found = [f for f in parallel.check(texts, language=False) if f.kind in (Kind.SLID, Kind.TRUNCATED)]
        assert _found(found) == expected


@pytest.mark.parametrize(
    ("lang", "line", "wrong"),
    [
        ("ko", "개가 TV를 본다", 0),
        ("ko", "Un cane guarda la TV", 1),
        ("ja", "ケーキ", 0),
        ("ja", "犬", 0),
        ("zh", "イヌがはしる", 1),
        ("zh-Hant", "一隻狗", 0),
        ("ru", "собака", 0),
        ("uk", "a dog", 1),
        ("de", "собака", 1),
        ("sr", "пас", 0),
        ("de", "123 …", 0),
        ("hi", "कुत्ता घास पर दौड़ता है", 0),
        ("th", "สุนัขวิ่งบนหญ้า", 0),
    ],
)
def test_scripts(lang: str, line: str, wrong: int) -> None:
    assert parallel.wrong_script([line], lang) == wrong


@pytest.mark.slow
@given(st.lists(st.text(max_size=20), max_size=20), st.sampled_from(["de", "ko", "ja"]))
def test_any_text_can_be_checked(lines: list[str], lang: str) -> None:
    findings = parallel.check([Text("a", "p", lang, lines), Text("b", "p", "en", lines, HUMAN)], language=False)
    assert all(0 <= finding.count <= finding.total for finding in findings if finding.kind != Kind.ROWS)
    assert [finding.fault for finding in findings] == sorted((finding.fault for finding in findings), reverse=True)
