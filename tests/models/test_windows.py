"""Windows of long texts: nothing is lost, nothing is read twice, and no character is torn apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from glotclip.models.tokenizer import ClipTokenizer, HfTokenizer, Tokenizer
from glotclip.models.windows import windows


def words(count: int) -> str:
    return " ".join(["dog"] * count)


def test_a_text_that_fits_is_one_window(tokenizer: ClipTokenizer) -> None:
    assert windows(tokenizer, "a dog") == ["a dog"]
    assert windows(tokenizer, "") == [""]


@pytest.mark.parametrize(("count", "sizes"), [(14, [14]), (28, [14, 14]), (42, [14, 14, 14]), (15, [8, 7])])
def test_windows_are_full_or_about_equal(tokenizer: ClipTokenizer, count: int, sizes: list[int]) -> None:
    """14 of the 16 places are for words, each of which is one token."""
    assert len(tokenizer.spans("dog")[1]) == 1
    assert [len(window.split()) for window in windows(tokenizer, words(count))] == sizes


def test_words_stay_whole_where_they_fit(tokenizer: ClipTokenizer) -> None:
    text = " ".join(f"wort{place}xyz" for place in range(9))  # several tokens each
    assert " ".join(windows(tokenizer, text)).split() == text.split()


@pytest.mark.slow
@settings(max_examples=200)
@given(
    st.text(
        st.one_of(st.sampled_from("ab é狗क्षि\u0301👩\u200d🚀,. \n"), st.characters(exclude_categories=["Cs"])),
        max_size=80,
    )
)
def test_windows_fit_and_are_the_text(tokenizer: ClipTokenizer, text: str) -> None:
    found = windows(tokenizer, text)
    assert "".join(found) == text
    assert all(found) or not text
    long = [window for window in found if tokenizer.encode([window]).truncated]
    assert all(len(window) == 1 for window in long)
    if not tokenizer.encode([text]).truncated:
        assert found == [text]


def test_marks_and_joiners_stay_with_their_letters(tokenizer: ClipTokenizer) -> None:
    text = "क्षि" * 10  # no space anywhere
    for window in windows(tokenizer, text)[1:]:
        assert window[0] in "कष"


def test_other_tokenizers_have_spans_too(tmp_path: Path) -> None:
    backend = Backend(WordLevel({"red": 0, "dog": 1, "</s>": 2, "<unk>": 3}, unk_token="<unk>"))
    backend.pre_tokenizer = Whitespace()
    backend.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    backend.save(str(tmp_path / "tokenizer.json"))
    hf_tokenizer: Tokenizer = HfTokenizer(tmp_path / "tokenizer.json", context_length=8, pad_id=2)
    text = " ".join(["red", "dog", "circle"] * 9)
    assert len(hf_tokenizer.spans(text)[1]) == 27
    assert [len(window.split()) for window in windows(hf_tokenizer, text)] == [7, 7, 7, 6]
    assert hf_tokenizer.encode([text]).truncated
    found = windows(hf_tokenizer, text)
    assert "".join(found) == text
    assert not hf_tokenizer.encode(found).truncated
