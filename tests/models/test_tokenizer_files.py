"""Ids equal those of transformers for every family of tokenizers, on files as it saves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from glotclip.errors import CheckpointError
from glotclip.models.known_keys import known_keys
from glotclip.models.tokenizer import ClipTokenizer, HfTokenizer
from glotclip.models.tokenizer_files import read_clip, read_hugging_face

CONTEXT = 16
SENTENCES = (
    "a photo of a dog running over the green grass two cats and a dog, isn't it? it's sunny! ein hund läuft über das "
    "gras zwei hunde und eine katze 12 34 5 890 狗和猫 在草地上 ο σκύλος τρέχει στο γρασίδι кошка и собака x y z"
)
WORDS = SENTENCES.split(" ")
LETTERS = (
    "".join(WORDS)
    + "ABCDXYZÄÖÜΣΑΕßİıŉǅ "
    + "▁\t\n\u00a0\u3000\u2028\x1c\x85\u200b\u200d'.,!?-_\"<>/ﬁ①½Å²ａ𝔸\u0301\u0345·🐕\ufe0f\x00\x07"
)
TEXTS = st.one_of(
    st.text(st.sampled_from(LETTERS), max_size=40),
    st.text(max_size=12),
    st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join),
    st.lists(st.sampled_from(WORDS), max_size=8).map(lambda words: " ".join(words).title()),
)


def write(folder: Path, config: Mapping[str, Any], name: str = "tokenizer_config.json") -> None:
    (folder / name).write_text(json.dumps(config))


def change(folder: Path, **values: Any) -> None:
    """Change keys of ``tokenizer_config.json``; None removes one."""
    config = {**json.loads((folder / "tokenizer_config.json").read_text()), **values}
    write(folder, {key: value for key, value in config.items() if value is not None})


def gemma(vocabulary: Any, name: str, folder: Path, **settings: Any) -> Any:
    """Save a tokenizer of this class and return what transformers reads of the folder."""
    import transformers

    vocab, merges = vocabulary
    getattr(transformers, name)(vocab=dict(vocab), merges=merges, **settings).save_pretrained(folder)
    return getattr(transformers, name).from_pretrained(folder)


def assert_same(ours: HfTokenizer, theirs: Any, text: str, context: int = CONTEXT) -> None:
    """Padded ids are the same, cut ones included."""
    expected = theirs(text, padding="max_length", truncation=True, max_length=context)["input_ids"]
    tokens = ours.encode([text])
    ids, _ = tokens.padded([0], ours.pad_id, to=context)
    assert ids[0].tolist() == expected, text


Reference = tuple[HfTokenizer, Any]
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "siglip2 as on the hub": ("Siglip2Tokenizer", {"add_eos_token": True, "padding_side": "right"}),
    "siglip2 by default": ("Siglip2Tokenizer", {}),
    "siglip2 with start token": ("Siglip2Tokenizer", {"add_bos_token": True, "add_eos_token": True}),
    "siglip2 cut from the left": ("Siglip2Tokenizer", {"add_eos_token": True, "truncation_side": "left"}),
    "siglip2 with another pad": ("Siglip2Tokenizer", {"add_eos_token": True, "pad_token": "<mask>"}),
    "gemma": ("GemmaTokenizer", {"add_eos_token": True, "add_bos_token": False, "padding_side": "right"}),
}


@pytest.fixture(scope="module", params=VARIANTS)
def gemma_pair(request: Any, gemma_vocabulary: Any, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    name, values = VARIANTS[request.param]
    folder = tmp_path_factory.mktemp("gemma")
    theirs = gemma(gemma_vocabulary, name, folder, model_max_length=CONTEXT, **values)
    return read_hugging_face(folder, CONTEXT, usual="SiglipTokenizer"), theirs


@pytest.mark.slow
@settings(max_examples=150)
@given(text=TEXTS)
def test_gemma_bpe(gemma_pair: Reference, text: str) -> None:
    assert_same(*gemma_pair, text)


@pytest.fixture(scope="module", params=["spiece.model", "tokenizer.json", "cased", "left"])
def siglip_pair(
    request: Any, spiece: Path, siglip_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    """SigLIP's own file; what a plain conversion makes of it, which lacks the rules of the class; two settings."""
    from glotclip.models.sentencepiece_model import convert

    folder = tmp_path_factory.mktemp("siglip")
    values: dict[str, dict[str, Any]] = {
        "cased": {"do_lower_case": False},
        "left": {"truncation_side": "left", "padding_side": "left"},
    }
    theirs = siglip_tokenizer(spiece, model_max_length=CONTEXT, **values.get(request.param, {}))
    theirs.save_pretrained(folder)
    if request.param == "tokenizer.json":
        (folder / "tokenizer.json").write_text(convert(folder / "spiece.model", "</s>"), encoding="utf-8")
    return read_hugging_face(folder, CONTEXT, usual="SiglipTokenizer"), theirs


@pytest.mark.slow
@settings(max_examples=300)
@given(text=TEXTS)
def test_siglip_unigram(siglip_pair: Reference, text: str) -> None:
    ours, theirs = siglip_pair
    assume(not any(token in text for token in ("</s>", "<unk>", "<pad>")))  # these cannot be written in a text
    assert_same(ours, theirs, text)


@pytest.fixture(scope="module")
def xlmr_pair(spiece: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    import transformers

    from glotclip.models.sentencepiece_model import read_model

    model = read_model(spiece)
    pieces = [(piece.text, piece.score) for piece in model.pieces[3:]]
    vocab = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *pieces, ("<mask>", 0.0)]
    folder = tmp_path_factory.mktemp("xlmr")
    kind: Any = transformers.XLMRobertaTokenizer
    theirs = kind(vocab=vocab, _spm_precompiled_charsmap=model.charsmap)
    theirs.save_pretrained(folder)
    ours = read_hugging_face(folder, CONTEXT, usual="PreTrainedTokenizerFast", pad_id=1, sees_padding=False)
    return ours, theirs


@pytest.mark.slow
@settings(max_examples=300)
@given(text=TEXTS)
def test_xlm_roberta(xlmr_pair: Reference, text: str) -> None:
    assert_same(*xlmr_pair, text)


@pytest.fixture(scope="module")
def clip_pair(tokenizer: ClipTokenizer, tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipTokenizer, Any]:
    import transformers

    folder = tmp_path_factory.mktemp("clip")
    merges: Any = list(tokenizer.merges)
    theirs: Any = transformers.CLIPTokenizer(vocab=tokenizer.vocabulary, merges=merges, model_max_length=12)
    theirs.save_pretrained(folder)
    return read_clip(folder, CONTEXT), theirs


@pytest.mark.slow
@settings(max_examples=300)
@given(text=TEXTS)
def test_clip_bpe(clip_pair: tuple[ClipTokenizer, Any], text: str) -> None:
    ours, theirs = clip_pair
    assume("<|" not in text)  # special tokens cannot be written in a text
    assert ours.context_length == 12
    assert ours.encode([text])[0].tolist() == theirs(text, truncation=True, max_length=12)["input_ids"]


def test_a_file_that_canonicalises_itself_is_read_as_it_is(spiece: Path, tmp_path: Path) -> None:
    """So that packs learnt on bases with such files keep their base's fingerprint."""
    from glotclip.models.sentencepiece_model import convert

    table = json.loads(convert(spiece, "</s>"))
    own = [
        {"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": r"[!-/:-@\[-`{-~]"}, "content": ""},
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ]  # fmt: skip
    table["normalizer"]["normalizers"] = [*own, *table["normalizer"]["normalizers"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(table), encoding="utf-8")
    ours = read_hugging_face(tmp_path, CONTEXT, usual="SiglipTokenizer")
    older = HfTokenizer(tmp_path / "tokenizer.json", context_length=CONTEXT, pad_id=1)
    assert (ours.identity, ours.rule) == (older.identity, "file")
    assert ours.encode(["A Dog!"])[0].tolist() == ours.encode(["a dog"])[0].tolist()


def test_what_gemma_files_say_of_case_is_done(gemma_vocabulary: Any, tmp_path: Path) -> None:
    """SigLIP 2 was trained on lower case, and its files say so; transformers' Gemma class passes over it."""
    theirs = gemma(gemma_vocabulary, "GemmaTokenizer", tmp_path, add_eos_token=True, do_lower_case=True)
    ours = read_hugging_face(tmp_path, CONTEXT, usual="SiglipTokenizer")
    assert_same(ours, lambda text, **how: theirs(text.lower(), **how), "Two CATS and a Dog")
    forced = read_hugging_face(tmp_path, CONTEXT, usual="Siglip2Tokenizer")
    assert forced.identity == ours.identity
    change(tmp_path, do_lower_case=None)
    assert read_hugging_face(tmp_path, CONTEXT, usual="SiglipTokenizer").identity != ours.identity
    assert read_hugging_face(tmp_path, CONTEXT, usual="Siglip2Tokenizer").identity == ours.identity


@pytest.mark.slow
def test_a_tokenizer_is_saved_with_all_its_ways(
    siglip_pair: Reference, gemma_pair: Reference, tmp_path: Path
) -> None:
    for place, (ours, _) in enumerate((siglip_pair, gemma_pair)):
        ours.save(tmp_path / str(place))
        again = HfTokenizer.load(tmp_path / str(place))
        assert again.identity == ours.identity
        assert [again.encode([text]).flat.tolist() for text in WORDS] == [
            ours.encode([text]).flat.tolist() for text in WORDS
        ]


def test_settings_of_a_newer_version_are_refused(siglip_pair: Reference, tmp_path: Path) -> None:
    siglip_pair[0].save(tmp_path)
    file = tmp_path / "glotclip-tokenizer.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "folding": "kana"}))
    with pytest.raises(CheckpointError, match="settings"):
        HfTokenizer.load(tmp_path)


def test_ways_are_part_of_the_identity(spiece: Path) -> None:
    from glotclip.models.sentencepiece_model import convert

    content = convert(spiece, "</s>")
    made = [
        HfTokenizer(content, context_length=CONTEXT, pad_id=1, **ways)  # type: ignore[arg-type]
        for ways in ({}, {"rule": "siglip"}, {"rule": "siglip-cased"}, {"padding": "left"}, {"truncation": "left"})
    ]
    assert len({one.identity for one in made}) == len(made)


Spoil = Callable[[Path], object]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "tokenizer_config.json").unlink(), "is not said"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"has no tokenizer\.json"),
        (lambda folder: change(folder, pad_token="[PAD]"), r"padded with '\[PAD\]'"),
        (lambda folder: change(folder, tokenizer_class="BertTokenizer"), "'BertTokenizer'"),
        (lambda folder: change(folder, padding_side="middle"), "padding_side = 'middle'"),
        (lambda folder: change(folder, model_max_length=12), "model_max_length is 12"),
        (lambda folder: change(folder, strip_accents=True), "strip_accents = True"),
        (lambda folder: change(folder, split_special_tokens=True), "split_special_tokens = True"),
        (lambda folder: change(folder, added_tokens_decoder={"9000": {"content": "<new>"}}), "'<new>'"),
        (lambda folder: change(folder, add_eos_token=True, eos_token="</end>"), "'</end>'"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "not a tokenizer|lacks"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "not valid JSON"),
        (lambda folder: (folder / "tokenizer_config.json").write_text("[]"), "no table"),
        (
            lambda folder: change(folder, tokenizer_class="PreTrainedTokenizerFast", pad_token=None),
            "says with what texts are padded",
        ),
    ],
)
def test_what_is_missing_or_odd_is_refused(gemma_vocabulary: Any, tmp_path: Path, spoil: Spoil, message: str) -> None:
    gemma(gemma_vocabulary, "Siglip2Tokenizer", tmp_path, model_max_length=CONTEXT)
    spoil(tmp_path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_hugging_face(tmp_path, CONTEXT, usual="SiglipTokenizer")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"tokenizer_class": "BertTokenizer"}, "'BertTokenizer'"),
        ({"truncation_side": "left"}, "truncation_side = 'left'"),
        ({"add_bos_token": False}, "add_bos_token = False"),
        ({"fold_case": 1}, "fold_case = 1"),
    ],
)
def test_clip_files_that_say_something_else_are_refused(
    tokenizer: ClipTokenizer, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    tokenizer.save(tmp_path)
    write(tmp_path, config)
    with pytest.raises(CheckpointError, match=message):
        read_clip(tmp_path, CONTEXT)


def test_a_generic_class_must_normalise_as_clip_does(clip_pair: Any, tmp_path: Path) -> None:
    clip_pair[1].save_pretrained(tmp_path)
    change(tmp_path, tokenizer_class="PreTrainedTokenizerFast")
    assert read_clip(tmp_path, CONTEXT).identity == clip_pair[0].identity
    table = json.loads((tmp_path / "tokenizer.json").read_text())
    write(tmp_path, {**table, "normalizer": {"type": "NFKC"}}, "tokenizer.json")
    with pytest.raises(CheckpointError, match="normalises texts otherwise"):
        read_clip(tmp_path, CONTEXT)


@pytest.mark.parametrize("key", sorted(known_keys("tokenizer").harmless))
def test_harmless_keys_change_no_id(gemma_vocabulary: Any, tmp_path: Path, key: str) -> None:
    gemma(gemma_vocabulary, "Siglip2Tokenizer", tmp_path, model_max_length=CONTEXT)
    before = read_hugging_face(tmp_path, CONTEXT, usual="SiglipTokenizer").identity
    change(tmp_path, **{key: "<unk>"})
    assert read_hugging_face(tmp_path, CONTEXT, usual="SiglipTokenizer").identity == before
