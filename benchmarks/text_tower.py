"""Texts encoded and pairs trained a second, against transformers' CLIP text tower as its users run it.

    make bench            (python benchmarks/text_tower.py [--captions FILE] [--rounds 3])

Both sides: the exact ViT-B/32 text geometry (12 × 512, 49,408 rows), random weights, and the lengths of Multi30K's
English captions; rates do not depend on what the ids are. The rival pads to 77, computes in fp32, and trains with
AdamW over its whole token table. Ours sorts by length, packs, and trains the sub-table of rows in use. All variants
take turns in every round; the figures are ratios of medians of one run. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Cell, Table, markdown
from glotclip.methods.lexicon import Lexicon
from glotclip.models.bpe import END, START, byte_characters, learn
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import ClipTokenizer
from glotclip.models.tokens import Tokens
from glotclip.storage import write_json, write_text

CAPTIONS = Path("../shared/data/multi30k/human/train.en.gz")
BATCH_TOKENS, TRAIN_BATCH, VOCABULARY = 2048, 128, 10_000
TARGETS = {"encode fp32": 6, "encode bf16": 15, "train bf16": 12}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=Path, default=CAPTIONS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=1024)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    tokens = captions_as_tokens(arguments.captions, arguments.texts)
    torch.manual_seed(0)
    theirs, ours = rival_tower(), TextTower(TextConfig()).eval().requires_grad_(False)
    runs: dict[str, Callable[[], float]] = {
        "transformers, encode": lambda: _encode_rival(theirs),
        "encode fp32": lambda: _encode(ours, tokens, torch.float32),
        "encode bf16": lambda: _encode(ours, tokens, torch.bfloat16),
        "transformers, train": _Training(theirs.text_model.embeddings.token_embedding.weight, theirs).rival,
        "train fp32": _lesson(ours, tokens, torch.float32),
        "train bf16": _lesson(ours, tokens, torch.bfloat16),
    }
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(arguments.rounds + 1):
        for name, run in runs.items():
            rate = run()
            if round_:  # the first round warms up: kernels are compiled, memory is mapped
                rates[name].append(rate)
    peaks = {str(dtype).removeprefix("torch."): _peak(dtype) for dtype in (torch.float32, torch.bfloat16)}
    _write(arguments.out, rates, peaks, float(tokens.lengths.mean()))


def captions_as_tokens(file: Path, count: int) -> Tokens:
    """Captions under a byte-level BPE of CLIP's kind, learnt on them: their lengths are what matters here."""
    with gzip.open(file, "rt", encoding="utf-8") as stream:
        texts = [line.strip() for line in stream]
    learnt = learn(texts, VOCABULARY, "clip")
    alphabet = list(byte_characters().values())
    known = [*alphabet, *(byte + "</w>" for byte in alphabet)]
    known += [token for token in learnt.tokens if token not in set(known)]
    tokenizer = ClipTokenizer({token: place for place, token in enumerate([*known, START, END])}, learnt.merges)
    step = max(1, len(texts) // count)
    return tokenizer.encode(texts[::step][:count])


def rival_tower() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(hidden_size=512, intermediate_size=2048, projection_dim=512, eos_token_id=49_407)
    model: Any = CLIPTextModelWithProjection(config)
    return model.eval()


def _padded(count: int) -> dict[str, torch.Tensor]:
    ids = torch.randint(0, 49_000, (count, 77))
    ids[:, 20:] = 49_407
    mask = torch.ones_like(ids)
    mask[:, 21:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _encode_rival(model: Any, count: int = 64) -> float:
    inputs = _padded(count)
    with torch.inference_mode():
        began = time.perf_counter()
        model(**inputs)
    return count / (time.perf_counter() - began)


def _encode(tower: TextTower, tokens: Tokens, dtype: torch.dtype) -> float:
    order = np.argsort(tokens.lengths, kind="stable")
    lengths, start = tokens.lengths[order], 0
    with torch.inference_mode():
        began = time.perf_counter()
        while start < len(order):
            stop = min(len(order), start + max(1, BATCH_TOKENS // int(lengths[start])))
            ids, sizes = tokens.padded(order[start:stop], 0)
            tower(torch.from_numpy(ids), torch.from_numpy(sizes), precision=dtype)
            start = stop
    return len(order) / (time.perf_counter() - began)


class _Training:
    """One table that trains against random targets with AdamW; all else is frozen."""

    def __init__(self, table: nn.Parameter, model: Any) -> None:
        self.model, self.table = model, table
        model.requires_grad_(False)
        table.requires_grad_(True)
        self.optimizer = torch.optim.AdamW([table], lr=5e-5, eps=1e-6, weight_decay=0.05)

    def step(self, features: torch.Tensor) -> None:
        F.mse_loss(features, torch.zeros_like(features)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([self.table], 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def rival(self, count: int = TRAIN_BATCH) -> float:
        inputs = _padded(count)
        began = time.perf_counter()
        self.step(self.model(**inputs).text_embeds)
        return count / (time.perf_counter() - began)


class TrainingRows(Lexicon):
    """The rows in use, as a task trains them: no other token occurs, so one lookup is enough."""

    def embed(self, ids: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Look up (B, T) ids."""
        return F.embedding(self.slot[ids], self.rows)


def _lesson(tower: TextTower, tokens: Tokens, dtype: torch.dtype, steps: int = 6) -> Callable[[], float]:
    present = torch.from_numpy(np.unique(tokens.flat).astype(np.int64))
    lexicon = TrainingRows(present, tower.table.detach()[present].clone(), len(tower.table))
    training = _Training(lexicon.rows, lexicon)
    rng = np.random.default_rng(0)

    def run() -> float:
        chosen = [rng.choice(len(tokens), TRAIN_BATCH, replace=False) for _ in range(steps)]
        began = time.perf_counter()
        for rows in chosen:
            ids, sizes = tokens.padded(rows, int(present[0]))
            training.step(tower(torch.from_numpy(ids), torch.from_numpy(sizes), lexicon, precision=dtype))
        return steps * TRAIN_BATCH / (time.perf_counter() - began)

    return run


def _peak(dtype: torch.dtype, size: int = 2048) -> float:
    """This machine's rate in matrix products of the tower's kind, in operations a second."""
    a, b = torch.randn(size, 512).to(dtype), torch.randn(2048, 512).to(dtype)
    rates = []
    for _ in range(40):
        began = time.perf_counter()
        F.linear(a, b)
        rates.append(2 * size * 512 * 2048 / (time.perf_counter() - began))
    return statistics.median(rates)


def _write(out: Path, rates: dict[str, list[float]], peaks: dict[str, float], length: float) -> None:
    medians = {name: statistics.median(values) for name, values in rates.items()}
    per_token = 2 * 12 * 12 * 512 * 512  # twice the weights of the linear maps, attention left out
    rows: list[dict[str, Cell]] = []
    for name, rate in medians.items():
        rival = medians["transformers, encode" if "encode" in name else "transformers, train"]
        passes = 2 if "train" in name else 1  # frozen blocks take no weight gradients: one backward like the forward
        tokens = 77 if "transformers" in name else length
        peak = peaks["bfloat16" if "bf16" in name else "float32"]
        rows.append(
            {
                "variant": name,
                "texts a second": round(rate),
                "ratio": rate / rival,
                "target": TARGETS.get(name),
                "share of peak, %": 100 * rate * tokens * per_token * passes / peak,
            }
        )
    note = (
        f"Median of {len(next(iter(rates.values())))} rounds; {length:.1f} tokens a text; share: linear maps alone."
    )
    table = markdown(Table.of(rows, note=note))
    content = {"command": "make bench", "rates": rates, "peaks": peaks, "rows": rows, "environment": environment()}
    write_json(out / "text_tower.json", content)
    write_text(out / "text_tower.md", table)
    print(table)


if __name__ == "__main__":
    main()
