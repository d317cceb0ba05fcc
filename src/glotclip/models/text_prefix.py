"""Tokenizers that read a prefix before every text, as E5 wants "query: " there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def prefixed(content: str, prefix: str) -> str:
    """A ``tokenizer.json`` that puts ``prefix`` before every text, as special tokens: no cut loses it."""
    from tokenizers import Tokenizer as Backend

    table = json.loads(content)
    backend = Backend.from_str(content)
    vocabulary = backend.get_vocab(with_added_tokens=True)
    bare = backend.encode("a")
    marks = bare.special_tokens_mask
    first = marks.index(0) if 0 in marks else len(marks)
    before, after = (
        bare.tokens[:first],
        [token for token, mark in zip(bare.tokens, marks, strict=True) if mark][first:],
    )
    table["post_processor"] = prefix_template(
        prefix, backend.encode(prefix, add_special_tokens=False).tokens, vocabulary, before, after
    )
    return json.dumps(table, ensure_ascii=False)


def prefix_template(
    prefix: str, pieces: Sequence[str], ids: Mapping[str, int], before: Sequence[str], after: Sequence[str]
) -> dict[str, Any]:
    """The post-processor that puts a prefix, in pieces, between the special tokens before a text and the text."""
    wrapped = {**{token: [token] for token in before}, prefix: list(pieces), **{token: [token] for token in after}}
    opening = [{"SpecialToken": {"id": token, "type_id": 0}} for token in (*before, prefix)]
    closing = [{"SpecialToken": {"id": token, "type_id": 0}} for token in after]
    single = [*opening, {"Sequence": {"id": "A", "type_id": 0}}, *closing]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 0}}, *closing],
        "special_tokens": {
            token: {"id": token, "ids": [ids[piece] for piece in tokens], "tokens": tokens}
            for token, tokens in wrapped.items()
        },
    }
