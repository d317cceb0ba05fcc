from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from glotclip.errors import CheckpointError, ConfigError
from glotclip.models import bpe
from glotclip.models.bpe import SIMPLE_VOCABULARY, Vocabulary, read_simple_vocabulary
from glotclip.models.tokenizer import ClipTokenizer, HfTokenizer, Tokenizer

GERMAN = ("ein Hund läuft über das grüne Gras", "zwei Hunde und eine Katze", "der Hund und die Frau")
HINDI = ("एक कुत्ता घास पर दौड़ता है", "कुत्ता और बिल्ली", "एक बिल्ली")
ODD = (
    "", "   ", "a dog's", "İSTANBUL ẞ", "it's they're!!'s 12345 ½ ²", "e\u0301 é", "\u200d👩‍🚀 x", "\x00\x1f\x85",
    "\u3000x\u2028y\tz", "ไทย ภาษา", "漢字かな", "हिन्दी", "<|ENDOFTEXT|>", "a</w> b", "'S 'd'LL", "עברית\u200f",
)  # fmt: skip


@pytest.fixture(scope="module")
def reference(tokenizer: ClipTokenizer) -> Any:
    from transformers import CLIPTokenizer

    merges: Any = list(tokenizer.merges)
    return CLIPTokenizer(vocab=tokenizer.vocabulary, merges=merges)


@pytest.mark.parametrize("text", ODD)
def test_ids_equal_transformers_on_odd_texts(tokenizer: ClipTokenizer, reference: Any, text: str) -> None:
    _assert_same(tokenizer, reference, text)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=40))
def test_ids_equal_transformers_on_any_text(tokenizer: ClipTokenizer, reference: Any, text: str) -> None:
    assume("<|" not in text)  # hypothesis tries constants of the code, and special tokens cannot be written
    _assert_same(tokenizer, reference, text)


def _assert_same(tokenizer: ClipTokenizer, reference: Any, text: str) -> None:
    long = ClipTokenizer(tokenizer.vocabulary, tokenizer.merges, context_length=1000)
    assert long.encode([text])[0].tolist() == reference(text)["input_ids"]
    cut = reference(text, truncation=True, max_length=16)["input_ids"]
    assert tokenizer.encode([text])[0].tolist() == cut


def test_special_tokens_cannot_be_written(tokenizer: ClipTokenizer) -> None:
    tokens = tokenizer.encode(["a <|endoftext|> b <|startoftext|>"[:20]])
    assert not set(tokens[0][1:-1].tolist()) & tokenizer.special_ids


def test_long_texts_are_cut_with_the_end_kept(tokenizer: ClipTokenizer) -> None:
    tokens = tokenizer.encode(["dog", "dog " * 40, "cat", "x" * 14])
    assert tokens.truncated == (1,)
    assert tokens.lengths.tolist() == [3, 16, 3 + len(tokenizer.encode(["cat"])[0]) - 3, tokens.lengths[3]]
    assert all(tokens[index][-1] == tokenizer.end_id for index in range(4))


def test_extension_keeps_ids_and_really_uses_new_merges(tokenizer: ClipTokenizer, tmp_path: Path) -> None:
    learnt = bpe.learn(HINDI * 5, 300, "marks")
    extended = tokenizer.extended(learnt)
    assert tokenizer.vocabulary.items() <= extended.vocabulary.items()
    new = [token for token in learnt.tokens if token not in tokenizer.vocabulary]
    assert [extended.vocabulary[token] for token in new] == list(range(tokenizer.vocab_size, extended.vocab_size))
    assert extended.special_ids == tokenizer.special_ids
    assert extended.merges[: len(tokenizer.merges)] == tokenizer.merges
    # The fault this guards against: the table grows, but after a reload no new token is ever emitted.
    extended.save(tmp_path)
    reloaded = ClipTokenizer.load(tmp_path)
    before, after = tokenizer.encode(HINDI), reloaded.encode(HINDI)
    assert after.lengths.sum() < before.lengths.sum() / 2
    assert (after.flat >= tokenizer.vocab_size).sum() > len(after.flat) / 2
    assert after.flat.tolist() == extended.encode(HINDI).flat.tolist()
    assert reloaded.identity == extended.identity
    assert reloaded.splitting == "marks"


def test_union_of_several_languages(tokenizer: ClipTokenizer) -> None:
    german = tokenizer.extended(bpe.learn(GERMAN * 4, 100, "marks"))
    both = german.extended(bpe.learn(HINDI * 4, 200, "marks"))
    assert german.vocabulary.items() <= both.vocabulary.items()
    assert both.merges[: len(german.merges)] == german.merges
    assert len(set(both.merges)) == len(both.merges)
    assert both.encode(["a dog"]).flat.tolist() == german.encode(["a dog"]).flat.tolist()
    assert german.extended(bpe.learn(GERMAN * 4, 100, "marks")).identity == german.identity


def test_added_is_the_inverse_of_extended(tokenizer: ClipTokenizer) -> None:
    extended = tokenizer.extended(bpe.learn(GERMAN * 4, 100, "marks"))
    added = extended.added(tokenizer)
    assert tokenizer.extended(added).identity == extended.identity
    assert tokenizer.added(tokenizer) == Vocabulary((), (), "clip")
    with pytest.raises(ConfigError, match="does not extend"):
        tokenizer.added(extended)


def test_identity_tells_tokenizers_apart(tokenizer: ClipTokenizer) -> None:
    others = [
        ClipTokenizer(tokenizer.vocabulary, tokenizer.merges[:-1], context_length=16),
        ClipTokenizer(tokenizer.vocabulary, tokenizer.merges, context_length=17),
        ClipTokenizer(tokenizer.vocabulary, tokenizer.merges, context_length=16, splitting="marks"),
    ]
    assert len({tokenizer.identity, *(other.identity for other in others)}) == 4


def test_byte_fallback(tokenizer: ClipTokenizer) -> None:
    extended = tokenizer.extended(bpe.learn(HINDI * 5, 300, "marks"))
    assert tokenizer.byte_fallback(tokenizer.encode(["a dog runs"])) == 0
    assert tokenizer.byte_fallback(tokenizer.encode(HINDI)) == 1
    assert extended.byte_fallback(extended.encode(HINDI)) < 0.2
    assert tokenizer.byte_fallback(tokenizer.encode([""])) == 0


def test_reads_openai_merges_and_tokenizer_json(tokenizer: ClipTokenizer, reference: Any, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    content = "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in [("d", "o"), ("do", "g</w>")])
    (tmp_path / "a" / SIMPLE_VOCABULARY).write_bytes(gzip.compress(content.encode()))
    read = ClipTokenizer.load(tmp_path / "a")
    assert read.vocabulary["!"] == 0
    assert read.vocabulary["dog</w>"] == 513
    assert read.encode(["dog"]).flat.tolist() == [514, 513, 515]
    # The published file holds five times as many merges as CLIP uses.
    vocabulary, merges = read_simple_vocabulary(tmp_path / "a" / SIMPLE_VOCABULARY, size=515)
    assert (len(vocabulary), merges) == (515, [("d", "o")])

    reference.save_pretrained(tmp_path / "b")
    for file in (tmp_path / "b").glob("[vm]*"):
        file.unlink()
    assert ClipTokenizer.load(tmp_path / "b", context_length=16).identity == tokenizer.identity


@pytest.mark.parametrize(
    ("vocabulary", "merges", "message"),
    [
        ({"a": 0, bpe.START: 1}, [], "lacks the special token"),
        ({"a": 0, bpe.START: 1, bpe.END: 1}, [], "same id"),
        ({"a": 0, bpe.START: 1, bpe.END: 2}, [("a", "a")], "the merge 'a'"),
    ],
)
def test_bad_vocabularies_are_refused(
    vocabulary: dict[str, int], merges: list[tuple[str, str]], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        ClipTokenizer(vocabulary, merges)


def test_damaged_files_are_refused(tokenizer: ClipTokenizer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no CLIP tokenizer"):
        ClipTokenizer.load(tmp_path)
    tokenizer.save(tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b c\n")
    with pytest.raises(CheckpointError, match="line 2"):
        ClipTokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="not a tokenizer"):
        HfTokenizer(tmp_path / "tokenizer.json", context_length=8, pad_id=0)


def test_slips_of_the_caller_are_named(tokenizer: ClipTokenizer) -> None:
    with pytest.raises(ConfigError, match="list of texts"):
        tokenizer.encode("a dog")
    with pytest.raises(ConfigError, match="text 1 is NoneType"):
        tokenizer.encode(["a", None])  # type: ignore[list-item]


def test_hf_tokenizer_appends_what_its_file_says(tmp_path: Path) -> None:
    from tokenizers import Tokenizer as Backend
    from tokenizers import models, pre_tokenizers, processors

    backend = Backend(models.WordLevel({"<unk>": 0, "</s>": 1, "a": 2, "dog": 3}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = HfTokenizer(tmp_path / "tokenizer.json", context_length=4, pad_id=1)
    assert isinstance(tokenizer, Tokenizer)
    tokens = tokenizer.encode(["a dog", "a a a a a dog", ""])
    assert [tokens[index].tolist() for index in range(3)] == [[2, 3, 1], [2, 2, 2, 1], [1]]
    assert tokens.truncated == (1,)
    assert (tokenizer.vocab_size, set(tokenizer.special_ids)) == (4, {1})
    tokenizer.save(tmp_path / "copy")
    assert HfTokenizer.load(tmp_path / "copy").identity == tokenizer.identity
