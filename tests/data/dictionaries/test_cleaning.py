from __future__ import annotations

import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glotclip.data.dictionaries.cleaning import MOST_SENSES, MOST_WORDS, Cleaner, completed, words
from glotclip.data.markers import is_missing

WORD = st.text(st.characters(categories=("Ll", "Lo")), min_size=4, max_size=9)
MARKS = st.sampled_from(
    ["<n>", "<masc, n, sg>", "[techn.]", "(of a tank)", "(noun (common))", "{see that}", "/hʊnt/"]
)


@pytest.mark.parametrize(
    ("headword", "sense", "expected"),
    [
        (
            "Ablass /ˈaplˌas/ <masc, n, sg>",
            "drain <n>, drain line <n>",
            [("Ablass", "drain"), ("Ablass", "drain line")],
        ),
        ("Hund", "1. dog 2. hound; cur", [("Hund", "dog"), ("Hund", "hound"), ("Hund", "cur")]),
        ("etw. anheben", "to lift sth.", [("anheben", "to lift")]),
        ("पद", "पदच्युत~करना", [("पद", "पदच्युत करना")]),
        ("house", "<b>Haus</b><br/> &amp; Hof", [("house", "Haus & Hof")]),
        ("أكاد", "Akkad - a region", [("أكاد", "Akkad")]),
        ("angular", "köşeli. angular measure açı ölçüsü", [("angular", "köşeli")]),
        ("gehen", "see: laufen", []),
        ("Bank (Möbel)", "bench (furniture (old)), seat", [("Bank", "bench"), ("Bank", "seat")]),
        ("a", "(only a remark)", []),
        ("Hund", "None", []),
        ("1234", "5678", []),
    ],
)
def test_an_entry_becomes_clean_pairs(headword: str, sense: str, expected: list[tuple[str, str]]) -> None:
    assert list(Cleaner().pairs([headword], [sense])) == expected


def test_what_is_dropped_is_counted_by_reason() -> None:
    cleaner = Cleaner()
    long = " ".join(["word"] * (MOST_WORDS + 1))
    assert list(cleaner.pairs(["Hund <n>"], ["dog [zool.]", long, "<i>cur</i>"])) == [
        ("Hund", "dog"),
        ("Hund", "cur"),
    ]
    assert cleaner.dropped == {
        "grammar marks": 1, "remarks in brackets": 1, "HTML tags": 2,
        f"explanations of more than {MOST_WORDS} words": 1,
    }  # fmt: skip
    assert list(cleaner.pairs(["Hund"], [])) == []
    assert cleaner.dropped["entries without a word and its translation"] == 1 and cleaner.entries == 2


def test_an_entry_gives_a_sensible_number_of_pairs() -> None:
    cleaner = Cleaner()
    many = [f"meaning {chr(97 + place)}" for place in range(MOST_SENSES + 5)]
    assert [english for _, english in cleaner.pairs(["x-y"], many)] == many[:MOST_SENSES]
    assert cleaner.dropped[f"translations after the first {MOST_SENSES} of an entry"] == 5


def test_a_sentence_with_commas_stays_whole() -> None:
    sentence = "if it rains tomorrow at noon, we stay"
    assert list(Cleaner().meanings(sentence)) == [sentence]


def test_joined_words_of_ergane_are_parted_only_there() -> None:
    assert Cleaner().text("GreatBritain") == "GreatBritain"
    assert Cleaner(parts_joined_words=True).text("GreatBritain") == "Great Britain"


def test_examples_keep_their_words() -> None:
    cleaner = Cleaner()
    assert cleaner.example("“Der Hund, der bellt.”", "The dog, which <n> barks.") is not None
    assert cleaner.example("Der Hund.", "") is None
    assert cleaner.dropped["examples without a translation"] == 1


@given(
    st.lists(st.lists(WORD, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=4),
    st.lists(MARKS, max_size=3),
)
def test_marks_never_survive_and_words_always_do(meanings: list[str], marks: list[str]) -> None:
    line = "; ".join(f"{text} {' '.join(marks)}" for text in meanings)
    found = list(Cleaner().meanings(line))
    assert found == [text for each in meanings if not is_missing(text := unicodedata.normalize("NFC", each))]


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_comes_pairs_are_clean_and_cleaning_again_changes_nothing(headword: str, sense: str) -> None:
    for text, english in Cleaner().pairs([headword], [sense]):
        for each in (text, english):
            assert each == each.strip() and "\n" not in each and not set("<>{}[]()") & set(each)
            assert words(each) <= MOST_WORDS


FORMS = ("Plural of : {}", "plural of {}", "Past tense of: {}", "feminine of {}", "superlative of {}")


@given(WORD, st.text("abcdefghij", min_size=2, max_size=9), st.sampled_from(FORMS), st.sampled_from(["sw", "de"]))
def test_a_form_of_a_word_means_that_word(text: str, english: str, form: str, lang: str) -> None:
    dropped = Counter[str]()
    assert list(completed([(text, form.format(english))], lang, dropped)) == [(text, english)]
    assert list(completed([(text, form.format("").strip())], lang, dropped)) == []
    assert dropped == {"cross references and notes": 1}


@pytest.mark.parametrize("english", ["form of government", "plurals", "comparative law", "of"])
def test_what_only_looks_like_a_form_stays(english: str) -> None:
    assert list(completed([("x", english)], "sw", Counter())) == [("x", english)]


ARABIC = st.text("بتثجحخدرزسشصضطعغفقكلمنهوي", min_size=2, max_size=6)


@given(st.lists(ARABIC, min_size=1, max_size=6), st.sampled_from(["ar", "ar-EG", "fa"]), st.booleans())
def test_names_with_an_arabic_article_come_without_it_too(nouns: list[str], lang: str, marked: bool) -> None:
    doubled = [f"{noun[0]}ّ{noun[1:]}" if marked else noun for noun in nouns]
    text, bare = " ".join(f"ال{noun}" for noun in doubled), " ".join(doubled)
    found = list(completed([(text, "name")], lang, Counter()))
    named = lang != "fa" and len(nouns) <= 4
    assert found == [(text, "name"), *([(bare, "name")] if named else [])]
    assert list(completed([(bare, "name")], "fa", Counter())) == [(bare, "name")]
