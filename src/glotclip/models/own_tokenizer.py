"""A vocabulary that belongs to one language, for bases whose own cannot grow or splits the language's words badly.

The base's special tokens frame every text as they do there, with the base's ids; all other ids come after the last
row of the base's table. So a token table has rows for both, and nothing that the base knows is used or changed.
"""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

from glotclip import storage
from glotclip.errors import CheckpointError
from glotclip.models import bpe
from glotclip.models.bpe import END_OF_WORD, Vocabulary
from glotclip.models.tokenizer import HfTokenizer, Tokenizer


class OwnTokenizer(HfTokenizer):
    """Byte-level BPE of one language within the frame of a base's special tokens.

    Bytes that the vocabulary lacks are left out: no row could say anything of them.

    Args:
        base: the base's tokenizer, whose special tokens, context and padding hold here too.
        vocabulary: the language's tokens and merges.
        first_id: of the language's tokens: the number of rows of the base's table.
    """

    def __init__(self, base: Tokenizer, vocabulary: Vocabulary, first_id: int) -> None:
        from tokenizers.models import BPE
        from tokenizers.processors import TemplateProcessing

        self.vocabulary, self.first_id = vocabulary, first_id
        ids = {token: first_id + place for place, token in enumerate(vocabulary.tokens)}
        backend = bpe.pipeline(
            BPE(vocab=ids, merges=list(vocabulary.merges), end_of_word_suffix=END_OF_WORD), vocabulary.splitting
        )
        before, after = frame(base)
        names = {id_: f"<{id_}>" for id_ in (*before, *after)}
        if names:
            backend.post_processor = TemplateProcessing(
                single=[*(names[id_] for id_ in before), "$A", *(names[id_] for id_ in after)],
                special_tokens=[(name, id_) for id_, name in names.items()],
            )
        super().__init__(
            backend.to_str(),
            context_length=base.context_length,
            pad_id=base.pad_id,
            padding=base.padding if isinstance(base, HfTokenizer) else "right",
            truncation=base.truncation if isinstance(base, HfTokenizer) else "right",
        )
        self.special_ids = base.special_ids
        self.vocab_size = first_id + len(ids)

    def write(self, file: Path) -> None:
        """Write what it has beyond the base's tokenizer, compressed: its bytes, then its merges in order."""
        merged = {left + right for left, right in self.vocabulary.merges}
        alphabet = [token for token in self.vocabulary.tokens if token not in merged]
        lines = [self.vocabulary.splitting, " ".join(alphabet), *(" ".join(pair) for pair in self.vocabulary.merges)]
        with storage.writing(file) as aside:
            aside.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))

    @classmethod
    def read(cls, file: Path, base: Tokenizer, first_id: int) -> OwnTokenizer:
        """Read what :meth:`write` wrote.

        Raises:
            CheckpointError: the file is damaged.
        """
        try:
            splitting, alphabet, *pairs = gzip.decompress(file.read_bytes()).decode().split("\n")
            merges = [(left, right) for left, right in (pair.split(" ") for pair in pairs)]
        except (OSError, EOFError, ValueError) as error:
            raise CheckpointError(f"{file} is no vocabulary: {error}", hint="get the pack again") from error
        tokens = dict.fromkeys([*alphabet.split(" "), *(left + right for left, right in merges)])
        return cls(base, Vocabulary(tuple(tokens), tuple(merges), bpe.check_splitting(splitting)), first_id)


def frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The ids that a tokenizer puts before and after every text."""
    empty, some = (tokenizer.encode([text])[0].tolist() for text in ("", "a"))
    same = [one == other for one, other in zip(empty, some, strict=False)]
    before = len(list(itertools.takewhile(bool, same)))
    return empty[:before], empty[before:]
