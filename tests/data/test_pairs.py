from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.licences import Licence
from glotclip.data.pairs import FEW_PAIRS, MOST_OF_ONE, PairCollector, corpus_of

PAIRS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("uvwxyz")), max_size=60)


def collected(pairs: list[tuple[str, str]], most: int = 1_000) -> list[tuple[str, str]]:
    collector = PairCollector("de", most)
    collector.add(pairs)
    return [(row.text, row.english or "") for row in collector.rows()]


@given(PAIRS)
def test_each_pair_is_there_once_and_in_its_order(pairs: list[tuple[str, str]]) -> None:
    assert collected(pairs) == list(dict.fromkeys(pairs))


@given(PAIRS, st.integers(1, 20), st.randoms())
def test_of_too_many_the_same_are_drawn_whatever_their_order(
    pairs: list[tuple[str, str]], most: int, random: object
) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    once = collected(pairs, most)
    assert len(once) == min(most, len(set(pairs)))
    assert set(once) == set(collected(shuffled, most))


def test_one_english_word_for_ten_thousand_entries_is_capped_and_told() -> None:
    collector = PairCollector("de")
    collector.add((f"Wort {number}", "thing") for number in range(10_000))
    collector.add([("Hund", "dog")])
    assert len(collector.rows()) == MOST_OF_ONE + 1
    note = collector.notes("list")[-1]
    assert "10,000 de texts have the one English counterpart 'thing'" in note and "9,950 are not" in note
    collector.add(("Hund", f"meaning {number}") for number in range(100))
    assert collector.dropped == {f"translations of a text after its first {MOST_OF_ONE}": 51}


def test_few_pairs_are_warned_about() -> None:
    few, enough = PairCollector("de"), PairCollector("fi")
    few.add((f"w{number}", f"e{number}") for number in range(30))
    enough.add((f"w{number}", f"e{number}") for number in range(FEW_PAIRS))
    corpus = corpus_of("list", [few, enough], [Licence("list", "CC0-1.0", "me")], ["said"])
    assert corpus.notes[0] == "said" and len(corpus.notes) == 2 and corpus.licence == "CC0-1.0"
    assert "30 pairs are too few to learn de" in corpus.notes[1] and "glotclip data get freedict" in corpus.notes[1]


@pytest.mark.slow
def test_memory_is_bounded_however_many_pairs_come() -> None:
    def pairs(count: int) -> Iterator[tuple[str, str]]:
        return ((f"ein langer Text {number}", f"a long text {number}") for number in range(count))

    peaks = []
    for count in (20_000, 200_000):
        collector = PairCollector("de", 5_000)
        tracemalloc.start()
        collector.add(pairs(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(collector.rows()) == 5_000
        assert f"of {count:,} pairs 5,000 are used" in collector.notes("list")[1]
    assert peaks[1] < 1.3 * peaks[0]
