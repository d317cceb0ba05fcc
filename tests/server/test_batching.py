"""Many threads, one encoder: what waits is encoded together, nothing is encoded twice, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from glotclip.errors import GlotclipError, LanguageError
from glotclip.library.torch_encoder import TorchEncoder
from glotclip.packs.polyglot import Polyglot
from glotclip.server.batching import BatchingEncoder

if TYPE_CHECKING:
    from glotclip.models.dual_encoder import DualEncoder


class Noting(TorchEncoder):
    """A real encoder that notes its batches, and can be held."""

    def __init__(self, base: DualEncoder) -> None:
        super().__init__(Polyglot(base))
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.gate.set()

    def encode_texts(self, texts: Sequence[str], langs: Sequence[str]) -> Any:
        self.batches.append(len(texts))
        self.entered.set()
        self.gate.wait(20)
        if "stumble" in texts:
            raise RuntimeError("no memory")
        return super().encode_texts(texts, langs)


@pytest.fixture
def noting(base: DualEncoder) -> Noting:
    return Noting(base)


@contextmanager
def held(noting: Noting, encoder: BatchingEncoder, *waiting: tuple[str, str]) -> Iterator[list[Future[Any]]]:
    """Texts with their languages that all wait while the first one is encoded, and go on inside."""
    noting.gate.clear()
    noting.entered.clear()
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(encoder.encode_texts, ["first"], ["en"])]
        noting.entered.wait(20)
        found += [pool.submit(encoder.encode_texts, [text], [lang]) for text, lang in waiting]
        while len(encoder._pending) < len(waiting):
            pass
        noting.gate.set()
        yield found


def test_what_waits_is_encoded_together(noting: Noting) -> None:
    encoder = BatchingEncoder(noting, most=4)
    texts = ["first", *(f"text {n}" for n in range(6))]
    expected = noting.encode_texts(texts, ["en"] * 7)
    noting.batches.clear()
    with held(noting, encoder, *((text, "en") for text in texts[1:])) as waiting:
        found = np.concatenate([each.result() for each in waiting])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert noting.batches == [1, 4, 2]


def test_what_was_asked_before_is_remembered_up_to_a_limit(noting: Noting) -> None:
    encoder = BatchingEncoder(noting, remembered=2)
    for text in ("a", "b", "a", "c", "a", "b"):  # b was the oldest when c came
        encoder.encode_texts([text], ["en"])
    assert sum(noting.batches) == 4
    assert encoder.encode_texts([], []).shape == (0, noting.dim)
    assert encoder.encode_texts(["x"] * 40, ["en"] * 40).shape == (40, noting.dim)


def test_an_error_is_only_its_own(noting: Noting) -> None:
    encoder = BatchingEncoder(noting)
    with held(noting, encoder, ("good", "en"), ("bad", "xx")) as (first, good, bad):
        assert first.result().shape == good.result().shape == (1, noting.dim)
        with pytest.raises(LanguageError):
            bad.result()


def test_nobody_waits_for_ever_where_the_encoder_fails(noting: Noting) -> None:
    encoder = BatchingEncoder(noting)
    with held(noting, encoder, ("stumble", "en"), ("beside it", "en")) as (first, *both):
        first.result()
        for each in both:
            with pytest.raises((RuntimeError, GlotclipError)):
                each.result(20)
    assert encoder.encode_texts(["after"], ["en"]).shape == (1, noting.dim)
