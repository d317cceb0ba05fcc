"""The dry run: what is measured, that it is measured on the real thing, and that nothing is left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glotclip.data.features import Features
from glotclip.methods.method import method_named
from glotclip.models import bpe
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import ClipTokenizer
from glotclip.models.vision_tower import VisionConfig, VisionTransformer
from glotclip.packs.polyglot import Polyglot
from glotclip.training.captions import Captions
from glotclip.training.curriculum import Curriculum
from glotclip.training.estimate import estimate, peak_memory, tokenizer_health
from glotclip.training.settings import TrainSettings

TEXTS = {
    "de": ("ein roter Kreis", "ein blaues Quadrat", "ein grüner Balken", "ein roter Balken"),
    "hi": ("लाल वृत्त", "नीला वर्ग", "हरी पट्टी", "लाल पट्टी"),
}


@pytest.fixture
def tokenizer() -> ClipTokenizer:
    """All bytes and no merges: every text is spelt."""
    letters = list(bpe.byte_characters().values())
    tokens = [*letters, *(letter + bpe.END_OF_WORD for letter in letters), bpe.START, bpe.END]
    return ClipTokenizer({token: place for place, token in enumerate(tokens)}, [], context_length=32)


@pytest.fixture
def base(tokenizer: ClipTokenizer) -> DualEncoder:
    torch.manual_seed(0)
    text = TextTower(
        TextConfig(
            width=32,
            layers=1,
            heads=2,
            mlp_width=32,
            vocab_size=tokenizer.vocab_size,
            context_length=32,
            embed_dim=16,
        )
    )
    vision = VisionTransformer(
        VisionConfig(width=32, layers=1, heads=2, mlp_width=32, image_size=16, patch_size=8, embed_dim=16)
    )
    return DualEncoder("tiny", text, vision, tokenizer, Preprocess(size=16), 14.0)


@pytest.fixture
def captions() -> dict[str, Captions]:
    rng = np.random.default_rng(0)
    features = Features(rng.standard_normal((4, 16), dtype=np.float32), np.arange(4))
    return {
        code: Captions(texts, features, features, np.arange(4), {"name": "four"}) for code, texts in TEXTS.items()
    }


def curriculum(isolation: str, *tasks: tuple[str, ...]) -> Curriculum:
    method = method_named("lexicon")
    settings = method.config({"isolation": isolation, "vocabulary": 280})
    return Curriculum(method, settings, TrainSettings(steps=20, batch_size=4), tasks)


def test_tasks_are_those_of_the_run(base: DualEncoder, captions: dict[str, Captions]) -> None:
    plan = curriculum("shared", ("de",), ("hi",))
    german, hindi = estimate(Polyglot(base), plan, captions)
    assert (german.languages, hindi.languages) == (("de",), ("hi",))
    assert (german.captions, german.steps) == (4, 20)
    task = plan.prepare(base, None, ("de",), captions)
    assert german.trainable == task.trainable
    second = plan.prepare(base, task.finish(1.0), ("hi",), captions)
    assert hindi.trainable == second.trainable  # the second task stands on the first one's table
    assert hindi.facts == dict(second.facts)
    assert second.tokenizer.vocab_size > task.tokenizer.vocab_size
    assert german.seconds > 0


def test_nothing_is_changed(base: DualEncoder, captions: dict[str, Captions]) -> None:
    polyglot, before = Polyglot(base), base.fingerprint
    estimate(polyglot, curriculum("per-language", ("de",), ("hi",)), captions)
    assert base.fingerprint == before
    assert polyglot.languages == ["en"]


def test_time_grows_with_the_steps(base: DualEncoder, captions: dict[str, Captions]) -> None:
    plan = curriculum("per-language", ("de",))
    long = Curriculum(plan.method, plan.method_settings, TrainSettings(steps=20_000, batch_size=4), plan.tasks)
    (few,), (many,) = (estimate(Polyglot(base), each, captions) for each in (plan, long))
    assert many.steps == 1000 * few.steps
    assert many.seconds > 20 * few.seconds


def test_to_json_is_plain(base: DualEncoder, captions: dict[str, Captions]) -> None:
    import json

    (task,) = estimate(Polyglot(base), curriculum("per-language", ("hi",)), captions)
    value = json.loads(json.dumps(task.to_json()))
    assert value["languages"] == ["hi"]
    assert value["after"]["hi"]["byte_fallback"] < value["before"]["hi"]["byte_fallback"] == 1.0


def test_health_counts_what_it_says(tokenizer: ClipTokenizer) -> None:
    health = tokenizer_health(tokenizer, ["ab cd", "efg"])
    assert health.tokens_per_word == pytest.approx(7 / 3)
    assert (health.truncated, health.byte_fallback) == (0, 0)
    assert tokenizer_health(tokenizer, ["a" * 31, "ab"]).truncated == 0.5
    assert tokenizer_health(tokenizer, ["ल"]).byte_fallback == 1.0


def test_combining_marks_do_not_end_a_word(tokenizer: ClipTokenizer) -> None:
    # Six letters and marks of one word, three bytes each.
    assert tokenizer_health(tokenizer, ["पट्टी"]).tokens_per_word == 3 * len("पट्टी")


def test_no_texts_are_no_error(tokenizer: ClipTokenizer) -> None:
    assert tokenizer_health(tokenizer, []).tokens_per_word == 0


def test_peak_memory_never_falls() -> None:
    before = peak_memory(torch.device("cpu"))
    held = torch.ones(40_000_000)
    after = peak_memory(torch.device("cpu"))
    assert before is not None
    assert after is not None
    assert after >= before > 10e6
    assert after >= held.nbytes
