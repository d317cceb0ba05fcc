"""Text encoders of transformers: computed as theirs, from folders as people have them, or refused with the reason."""

from __future__ import annotations

import copy
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.text_encoder_folders import BERT_WORDS, KINDS, make_folder, pooled

from glotclip.errors import CheckpointError, ConfigError, FingerprintError
from glotclip.models.checkpoints import save_base
from glotclip.models.text_encoders import TextEncoder, find_encoder, load_encoder, pooling_of

if TYPE_CHECKING:
    from tests.conftest import MakeBase

    from glotclip.models.dual_encoder import DualEncoder

TEXTS = ["ein Hund und eine Katze", "Katze", "", "EIN hund", " ".join(["Hund"] * 40)]


def read(encoder: TextEncoder, base: DualEncoder, texts: list[str]) -> torch.Tensor:
    return base.encode_tokens(encoder.tokenizer.encode(texts), encoder.reading())


@pytest.mark.parametrize("pooling", ["mean", "first"])
@pytest.mark.parametrize("kind", KINDS)
def test_features_are_what_transformers_computes(kind: str, pooling: Any, tmp_path: Path, base: DualEncoder) -> None:
    theirs = make_folder(tmp_path / kind, kind)
    encoder = load_encoder(str(tmp_path / kind), pooling=pooling)
    assert encoder.tokenizer.context_length == 16
    torch.testing.assert_close(read(encoder, base, TEXTS), pooled(theirs, encoder, TEXTS, pooling), atol=2e-5, rtol=0)
    low = base.encode_tokens(encoder.tokenizer.encode(TEXTS), encoder.reading(), precision="bf16")
    assert torch.cosine_similarity(low, read(encoder, base, TEXTS)).min() > 0.99


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_beside_it_is_passed_over(kind: str, tmp_path: Path, base: DualEncoder) -> None:
    make_folder(tmp_path / "bare", kind)
    make_folder(tmp_path / "headed", kind, head=True)
    bare, headed = (load_encoder(str(tmp_path / name)) for name in ("bare", "headed"))
    torch.testing.assert_close(read(bare, base, TEXTS), read(headed, base, TEXTS))
    assert bare.fingerprint == headed.fingerprint


def test_bert_lowers_case_as_its_settings_say(tmp_path: Path) -> None:
    make_folder(tmp_path / "a", "bert")
    cased = load_encoder(str(tmp_path / "a")).tokenizer
    settings = json.loads((tmp_path / "a" / "tokenizer_config.json").read_text(encoding="utf-8"))
    (tmp_path / "a" / "tokenizer_config.json").write_text(json.dumps({**settings, "do_lower_case": True}))
    lower = load_encoder(str(tmp_path / "a")).tokenizer
    known = BERT_WORDS["katze"]
    assert known in lower.encode(["KATZE"])[0].tolist()
    assert known not in cased.encode(["KATZE"])[0].tolist()


def test_how_sentence_transformers_pools_and_cuts(tmp_path: Path) -> None:
    folder = tmp_path / "st"
    make_folder(folder / "0_Transformer", "xlm-roberta")
    assert pooling_of(folder) == "mean"
    (folder / "modules.json").write_text("[]")
    (folder / "1_Pooling").mkdir()
    file = folder / "1_Pooling" / "config.json"
    file.write_text(json.dumps({"word_embedding_dimension": 32, "pooling_mode_cls_token": True}))
    (folder / "0_Transformer" / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 7}))
    encoder = load_encoder(str(folder))
    assert encoder.text.config.pooling == "first"
    assert encoder.tokenizer.encode(["Hund " * 30]).lengths.tolist() == [7]
    file.write_text(json.dumps({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}))
    with pytest.raises(CheckpointError, match="max_tokens and pooling_mode_mean_tokens") as caught:
        load_encoder(str(folder))
    assert "encoder_pooling=mean" in caught.value.hint
    assert load_encoder(str(folder), pooling="mean").text.config.pooling == "mean"


def test_the_text_tower_of_a_base(make_base: MakeBase, tmp_path: Path, base: DualEncoder) -> None:
    own = make_base(1)
    save_base(own, tmp_path / "clip")
    save_base(make_base(causal=False), tmp_path / "siglip")
    encoder = load_encoder(str(tmp_path / "clip"))
    hidden = read(encoder, base, ["red circle", "bar"])
    want = own.encode_tokens(own.tokenizer.encode(["red circle", "bar"]))
    torch.testing.assert_close(hidden @ own.text.projection.weight.T, want, atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match="padding"):
        load_encoder(str(tmp_path / "siglip"))
    with pytest.raises(ConfigError, match="read by 'eot'"):
        load_encoder(str(tmp_path / "clip"), pooling="mean")
    with pytest.raises(ConfigError, match="takes no prefix"):
        load_encoder(str(tmp_path / "clip"), prefix="query: ")


def test_packs_share_one_encoder_and_a_copy_is_the_same(tmp_path: Path) -> None:
    make_folder(tmp_path / "a", "bert")
    first = load_encoder(str(tmp_path / "a"))
    assert load_encoder(str(tmp_path / "a")) is first
    assert copy.deepcopy(first) is first
    make_folder(tmp_path / "a", "bert", seed=1)  # other weights in the same place
    second = load_encoder(str(tmp_path / "a"))
    assert second.fingerprint != first.fingerprint
    print_of = first.fingerprint
    del first, second
    gc.collect()
    make_folder(tmp_path / "a", "bert")
    assert load_encoder(str(tmp_path / "a")).fingerprint == print_of


def test_a_packs_encoder_is_found_or_the_hint_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    make_folder(tmp_path / "mine", "bert")
    wanted = load_encoder(str(tmp_path / "mine")).fingerprint

    def find(source: str, wanted: str = wanted) -> TextEncoder:
        return find_encoder(source, pooling="auto", prefix="", wanted=wanted)

    assert find(str(tmp_path / "mine")).fingerprint == wanted
    (tmp_path / "cache" / "encoders").mkdir(parents=True)
    (tmp_path / "mine").rename(tmp_path / "gone")
    with pytest.raises(CheckpointError, match="needs the text encoder") as caught:
        find(str(tmp_path / "mine"))
    assert str(tmp_path / "cache" / "encoders" / "mine") in caught.value.hint
    (tmp_path / "gone").rename(tmp_path / "cache" / "encoders" / "mine")
    assert find(str(tmp_path / "mine")).fingerprint == wanted
    with pytest.raises(FingerprintError, match="other weights"):
        find(str(tmp_path / "mine"), "sha256:0")
    with pytest.raises(CheckpointError) as caught:
        find("nobody/nothing-of-this-name")
    assert "hf download nobody/nothing-of-this-name" in caught.value.hint


def spoil_config(key: str, value: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, key: value}))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_config("model_type", "mpnet"), "a text model of type 'mpnet'"),
        (spoil_config("position_embedding_type", "relative_key"), "position_embedding_type"),
        (spoil_config("embedding_size", 16), "embedding_size"),
        (spoil_config("hidden_act", "swish"), "swish"),
        (spoil_config("num_hidden_layers", 3), "missing"),
        (spoil_config("num_attention_heads", 5), "not divisible"),
        (spoil_config("vocab_size", 8), "of a wrong shape"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "holds no weights"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(spoil: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    make_folder(tmp_path / "bad", "bert")
    spoil(tmp_path / "bad")
    with pytest.raises(CheckpointError, match=said) as caught:
        load_encoder(str(tmp_path / "bad"))
    assert caught.value.hint
