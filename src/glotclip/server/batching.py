"""An encoder for many threads: what waits is encoded together, and queries that were asked before are remembered.

There is no timer: whoever finds the encoder free takes everything that waits by then, so that a single user never
waits and many share the tower's passes.

Shapes: M texts, N images, E embedding.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from glotclip.errors import GlotclipError
from glotclip.library.encoder import Encoder, Floats, LanguageGuess

MOST = 16  # texts of a batch
REMEMBERED = 4096  # texts, each with its language


@dataclass(eq=False)
class _Waiting:
    """A text that waits for its vector."""

    text: str
    lang: str
    vector: Floats | None = None
    error: GlotclipError | None = None
    done: threading.Event = field(default_factory=threading.Event)


class BatchingEncoder:
    """Another encoder, asked by many threads; see :class:`glotclip.library.encoder.Encoder`.

    Args:
        encoder: encodes.
        most: texts that are encoded together at most.
        remembered: texts whose vectors are kept.
    """

    def __init__(self, encoder: Encoder, *, most: int = MOST, remembered: int = REMEMBERED) -> None:
        self.encoder, self.most, self.remembered = encoder, most, remembered
        self.name, self.source = encoder.name, encoder.source
        self.fingerprint, self.dim, self.calibration = encoder.fingerprint, encoder.dim, encoder.calibration
        self._kept: OrderedDict[tuple[str, str], Floats] = OrderedDict()
        self._pending: list[_Waiting] = []
        self._lock = threading.Lock()  # of what waits and what is kept
        self._turn = threading.Lock()  # held by whoever encodes

    @property
    def languages(self) -> Sequence[str]:
        """Codes that texts may be in."""
        return self.encoder.languages

    @property
    def decode_size(self) -> int:
        """Pictures need not be decoded larger."""
        return self.encoder.decode_size

    def preprocess(self, image: Image.Image) -> Floats:
        """Pixels of one picture."""
        return self.encoder.preprocess(image)

    def encode_images(self, batch: Sequence[Floats]) -> Floats:
        """Normalised vectors (N, E)."""
        with self._turn:
            return self.encoder.encode_images(batch)

    def guess(self, texts: Sequence[str]) -> Sequence[LanguageGuess]:
        """Guess the language of each text."""
        return self.encoder.guess(texts)

    def encode_texts(self, texts: Sequence[str], langs: Sequence[str]) -> Floats:
        """Normalised vectors (M, E).

        Raises:
            LanguageError: if a language is not installed.
        """
        found: list[_Waiting] = []
        with self._lock:
            for text, lang in zip(texts, langs, strict=True):
                waiting = _Waiting(text, lang, self._kept.get((text, lang)))
                if waiting.vector is None:
                    self._pending.append(waiting)
                else:
                    self._kept.move_to_end((text, lang))
                    waiting.done.set()
                found.append(waiting)
        for waiting in found:
            while not waiting.done.is_set():
                with self._turn:
                    if not waiting.done.is_set():
                        self._work()
            if waiting.error is not None:
                raise waiting.error
        vectors = [each.vector for each in found if each.vector is not None]
        return np.stack(vectors) if vectors else np.zeros((0, self.dim), np.float32)

    def _work(self) -> None:
        """Encode what waits, at most one batch."""
        with self._lock:
            batch, self._pending = self._pending[: self.most], self._pending[self.most :]
        try:
            self._encode(batch)
        except GlotclipError as error:
            if len(batch) == 1:
                batch[0].error = error
            else:
                for each in batch:  # what is wrong with one is not the others'
                    try:
                        self._encode([each])
                    except GlotclipError as own:
                        each.error = own
        except BaseException as error:
            for each in batch:  # nobody may wait for ever
                each.error = GlotclipError(f"the query could not be encoded: {error!r}", hint="see the server's log")
            raise
        finally:
            for each in batch:
                each.done.set()

    def _encode(self, batch: Sequence[_Waiting]) -> None:
        vectors = self.encoder.encode_texts([each.text for each in batch], [each.lang for each in batch])
        with self._lock:
            for each, vector in zip(batch, vectors, strict=True):
                each.vector = self._kept[(each.text, each.lang)] = vector
            while len(self._kept) > self.remembered:
                self._kept.popitem(last=False)
