import pytest

from glotclip.data.dictionaries.codes import english_share, sides_of_name, sides_of_title, usual_language


@pytest.mark.parametrize(
    ("code", "usual"),
    [("deu", "de"), ("swh", "sw"), ("arb", "ar"), ("zho_Hans", "zh-Hans"), ("cmn", "zh"), ("xyzzy", None)],
)
def test_languages_have_their_usual_codes(code: str, usual: str | None) -> None:
    assert usual_language(code) == usual


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("freedict-deu-eng.index", ("de", "en")),
        ("deu-eng.tsv", ("de", "en")),
        ("en-de.txt", ("en", "de")),
        ("my_words_fi-en.tsv", ("fi", "en")),
        ("Tatoeba.de-en.de", ("de", "en")),
        ("deu.txt", None),
        ("my-list.tsv", None),
        ("words.tsv", None),
    ],
)
def test_a_name_says_its_languages(name: str, sides: tuple[str, str] | None) -> None:
    assert sides_of_name(name) == sides


def test_a_title_says_its_languages() -> None:
    assert sides_of_title("German - English Ding/FreeDict dictionary") == ("de", "en")
    assert sides_of_title("suomi-English FreeDict+WikDict dictionary") == ("fi", "en")
    assert sides_of_title("Modern Greek-English FreeDict Dictionary") == ("el", "en")
    assert sides_of_title("A thesaurus") is None


def test_english_is_told_from_others() -> None:
    english = english_share(["dog", "the old house", "<b>bird</b>", "to swim"])
    assert english > 0.5 > 3 * english_share(["Hund", "das alte Haus", "<b>Vogel</b>", "schwimmen"])
    assert english_share(["собака", "дом"]) == 0 == english_share([])
