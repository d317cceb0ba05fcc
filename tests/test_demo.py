"""The demonstration: its table against numbers worked out by hand, and the whole of it on few emoji."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from glotclip import demo
from glotclip.api import Extended
from glotclip.data import emoji
from glotclip.data.sources.emoji_dataset import EmojiDataset
from glotclip.methods.method import method_named
from glotclip.models import bpe
from glotclip.models.checkpoints import save_base
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import ClipTokenizer
from glotclip.models.vision_tower import VisionConfig, VisionTransformer

pytestmark = pytest.mark.slow


def scores(seen: float, unseen: float) -> dict[str, Any]:
    """What an evaluation says of one language; the image side is two points better."""

    def both(r1: float) -> dict[str, Any]:
        return {"text_to_image": {"r@1": r1 - 1}, "image_to_text": {"r@1": r1 + 1}}

    return {**both((seen + unseen) / 2), "subsets": {"seen": both(seen), "unseen": both(unseen)}}


def run(english_end: float) -> Extended:
    """English 40 / 30 before; then German 20 / 10, which loses 2 / 1 when French, 30 / 15, is learnt."""
    evaluations = {
        "start": {"en": scores(40, 30)},
        "de": {"en": scores(38, 29), "de": scores(20, 10)},
        "fr": {"en": scores(english_end, 28), "de": scores(18, 9), "fr": scores(30, 15)},
    }
    return Extended(Path("out"), ("en", "de", "fr"), None, evaluations)


def test_the_table_says_what_was_learnt_and_lost() -> None:
    table = demo.comparison({"plain": run(35), "kept": run(40)})
    assert table.columns == ("language", "plain: learnt", "plain: end", "kept: learnt", "kept: end")
    rows = {str(row[0]): row[1:] for row in table.rows}
    assert rows["en"] == ("40.0 / 30.0", "35.0 / 28.0", "40.0 / 30.0", "40.0 / 28.0")
    assert rows["de"][:2] == ("20.0 / 10.0", "18.0 / 9.0")
    assert rows["fr"][:2] == ("30.0 / 15.0", "30.0 / 15.0")
    assert rows["average of the learnt"][:2] == ("25.0 / 12.5", "24.0 / 12.0")
    assert rows["forgetting"][:2] == (None, "2.0 / 1.0")
    assert rows["forgetting en"] == (None, "5.0 / 2.0", None, "0.0 / 2.0")


def test_the_variants_differ_in_what_they_are_called_for() -> None:
    settings = {
        variant.key: method_named("lexicon").settings.model_validate(variant.settings).model_dump()
        for variant in demo.VARIANTS
    }
    assert [each["isolation"] for each in settings.values()] == ["shared", "shared", "per-language"]
    differing = {name for name in settings["plain"] if settings["plain"][name] != settings["teir"][name]}
    assert differing == {"teir_init", "teir_gradient", "teir_decay"}


def test_what_is_asked_for_was_taught_by_name() -> None:
    assert {emoji.concepts()[concept] for concept in demo.QUERY_CONCEPTS} == {"train"}


@pytest.fixture
def few_emoji(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset of 60 concepts, an empty cache, and nothing that happens to lie on this machine."""
    monkeypatch.setenv("GLOTCLIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GLOTCLIP_EMOJI_VENDORS", raising=False)
    every = emoji.concepts()
    chosen = [*demo.QUERY_CONCEPTS, *(concept for concept in every if concept not in demo.QUERY_CONCEPTS)][:60]
    few = {concept: split for concept, split in every.items() if concept in set(chosen)}
    monkeypatch.setattr(emoji, "concepts", lambda: few)


@pytest.mark.usefixtures("few_emoji")
@pytest.mark.slow
def test_the_whole_way(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    shown = demo.run(tmp_path / "out", model=base, settings={"steps": 2, "batch_size": 16, "vocabulary": 300})
    assert set(demo.LANGUAGES) <= set(EmojiDataset().languages())
    rows = {str(row[0]): row[1:] for row in shown.table.rows}
    assert list(rows)[:11] == ["en", *demo.LANGUAGES]
    # A table for each language: nothing that was learnt changes afterwards, not even in the last digit.
    for code in ("en", *demo.LANGUAGES):
        assert rows[code][4] == rows[code][5]
    assert rows["forgetting"][5] == rows["forgetting en"][5] == "0.0 / 0.0"
    assert shown.concept == "🐱"
    assert [(answer.lang, len(answer.hits), len(answer.signs)) for answer in shown.answers] == [
        (code, 5, 5) for code in demo.QUERY_LANGUAGES
    ]
    assert [row[0] for row in shown.videos.rows] == ["en", *demo.QUERY_LANGUAGES]
    assert all(0 <= float(row[1] or 0) <= 100 for row in shown.videos.rows)
    assert all(page.stat().st_size > 1000 for page in shown.pages)
    assert (tmp_path / "out" / "results.json").exists()


def tiny_base(folder: Path) -> Path:
    torch.manual_seed(0)
    letters = list(bpe.byte_characters().values())
    tokens = [*letters, *(letter + bpe.END_OF_WORD for letter in letters), bpe.START, bpe.END]
    tokenizer = ClipTokenizer({token: place for place, token in enumerate(tokens)}, [], context_length=24)
    text = TextTower(
        TextConfig(width=32, layers=1, heads=2, mlp_width=32, vocab_size=len(tokens), context_length=24, embed_dim=16)
    )
    vision = VisionTransformer(
        VisionConfig(width=32, layers=1, heads=2, mlp_width=32, image_size=16, patch_size=8, embed_dim=16)
    )
    save_base(DualEncoder("tiny", text, vision, tokenizer, Preprocess(size=16), 14.0), folder)
    return folder
