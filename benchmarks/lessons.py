"""Lessons at the papers' real geometries, with random weights, on 2,048 of Multi30K's captions: tokens a second.

    make bench-lessons    (python benchmarks/lessons.py [--data ../shared/data/multi30k] [--steps 12])

MLA: a 12 × 512 text tower of 49,408 rows, acquirers of 256 in every block, rows of the language, native language
transfer on German captions in batches of 128. Its rival does the same on transformers' CLIP text tower as the paper's
code does: texts padded to 77, fp32, a whole table that trains. PECT: a 24 × 1024 XLM-R-large tower of 250,002 rows
with a linear head, LoRA r = 8 on q and v and the layer norms, a batch of 32, the machine-translated companion encoded
beside the human caption in every step (its strategy "method 2", without pictures). Last, what LoRA costs when served.
No picture is opened anywhere. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from glotclip import api
from glotclip.data.dataset import Dataset, open_dataset
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Cell, Table, markdown
from glotclip.methods.lora import Lora
from glotclip.methods.stack import ModuleStack
from glotclip.models.bpe import END, START, byte_characters, learn
from glotclip.models.dual_encoder import DualEncoder
from glotclip.models.preprocess import Preprocess
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokenizer import ClipTokenizer
from glotclip.models.vision_tower import VisionConfig, VisionTransformer
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_json, write_text
from glotclip.training.callbacks import Callbacks

XLM_R_LARGE = TextConfig(
    width=1024, layers=24, heads=16, mlp_width=4096, vocab_size=250_002, context_length=512, embed_dim=768,
    activation="gelu", causal=False, pooling="mean", norms="post", projection_bias=True,
)  # fmt: skip
WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/multi30k"))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    data = open_dataset(arguments.data)
    clip = random_base("random-b32", TextConfig(), data)
    common = {"steps": arguments.steps, "batch_size": 128, "stages": ["nlt"], "bottleneck": 256, "shots": 2048}
    rows = [
        lesson("MLA, transfer", clip, data, "acquirer", {**common, "precision": precision})
        for precision in ("fp32", "bf16")
    ]
    rows.append(rival(data, arguments.steps))
    for row in rows:
        row["ratio to the rival"] = float(row["texts a second"] or 0) / float(rows[2]["texts a second"] or 1)
    rows += served(clip, data)
    large = random_base("random-xlm-r-large", XLM_R_LARGE, data)
    pect = {
        "steps": arguments.steps, "batch_size": 32, "embedding": "base", "cross_modal": 0.0, "precision": "bf16",
        "target_text": "from-english", "target_encoder": "trained", "shots": 2048,
    }  # fmt: skip
    rows.append(lesson("PECT, alignment", large, data, "lora", pect))
    note = "Random weights; medians over steps. Served: 256 captions in one call, ratio to the base without LoRA."
    table = markdown(Table.of(rows, note=note))
    write_json(
        arguments.out / "lessons.json",
        {"command": "make bench-lessons", "rows": rows, "environment": environment()},
    )
    write_text(arguments.out / "lessons.md", table)
    print(table)


def random_base(name: str, config: TextConfig, data: Dataset) -> DualEncoder:
    """A base of random weights, with a byte-level BPE of Multi30K's English captions as its tokenizer."""
    english = [row.text for row in data.corpus(["en"]).rows if row.lang == "en"]
    learnt = learn(english, 10_000, "clip")
    alphabet = list(byte_characters().values())
    known = [*alphabet, *(byte + "</w>" for byte in alphabet)]
    known += [token for token in learnt.tokens if token not in set(known)]
    vocabulary = {token: place for place, token in enumerate([*known, START, END])}
    tokenizer = ClipTokenizer(vocabulary, learnt.merges, context_length=min(77, config.context_length))
    torch.manual_seed(0)
    vision = VisionTransformer(VisionConfig(width=64, layers=1, heads=1, mlp_width=64, embed_dim=config.embed_dim))
    return DualEncoder(name, TextTower(config), vision, tokenizer, Preprocess(), 100.0)


def lesson(title: str, base: DualEncoder, data: Dataset, method: str, settings: dict[str, Any]) -> dict[str, Cell]:
    """Run a real lesson on German and read its steps' times."""
    clock: list[float] = []
    lengths: dict[str, Any] = {}
    callbacks = Callbacks(
        log=lambda numbers: clock.append(time.perf_counter()),
        task_started=lambda name, task, steps: lengths.update(task.tokens, trainable=task.trainable),
    )
    with tempfile.TemporaryDirectory() as folder:
        api.extend(
            Polyglot(base), ["de"], data=data, method=method, out=Path(folder) / "out", benchmark=False,
            settings=settings, callbacks=callbacks, cache=Path(folder) / "cache",
        )  # fmt: skip
    seconds = statistics.median(np.diff(clock)[WARM_UP:].tolist())
    texts = settings["batch_size"] / seconds
    partners = 2 if settings.get("side") == "trained" else 1
    return {
        "run": f"{title}, {settings['precision']}",
        "trainable weights": f"{lengths['trainable']:,}",
        "texts a second": texts,
        "tokens a second": round(texts * partners * float(lengths["de"].lengths.mean())),
    }


class RivalAcquirers(nn.Module):
    """transformers' CLIP text tower with an acquirer after every block and a table that trains."""

    def __init__(self) -> None:
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection

        super().__init__()
        config = CLIPTextConfig(hidden_size=512, intermediate_size=2048, projection_dim=512, eos_token_id=49_407)
        tower: Any = CLIPTextModelWithProjection(config)
        self.tower = tower.eval().requires_grad_(False)
        self.tower.text_model.embeddings.token_embedding.weight.requires_grad_(True)
        self.acquirers = nn.ModuleList(
            nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 512)) for _ in range(12)
        )
        for layer, acquirer in zip(self.tower.text_model.encoder.layers, self.acquirers, strict=True):
            layer.register_forward_hook(self._after(acquirer))

    @staticmethod
    def _after(acquirer: nn.Module) -> Any:
        def add(layer: Any, inputs: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (output[0] + acquirer(output[0]), *output[1:])
            return output + acquirer(output)

        return add

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Sentence features (B, 512)."""
        features: torch.Tensor = self.tower(**inputs).text_embeds
        return features


def rival(data: Dataset, steps: int) -> dict[str, Cell]:
    """The same step on transformers' tower: 128 texts padded to 77, fp32, AdamW over acquirers and table."""
    torch.manual_seed(0)
    model = RivalAcquirers()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-4)
    ids = torch.randint(0, 49_000, (128, 77))
    ids[:, 16:] = 49_407
    mask = torch.ones_like(ids)
    mask[:, 17:] = 0
    times = []
    for _ in range(min(steps, 6)):
        began = time.perf_counter()
        F.mse_loss(model({"input_ids": ids, "attention_mask": mask}), torch.zeros(128, 512)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - began)
    return {
        "run": "MLA, transfer on transformers, fp32",
        "trainable weights": f"{sum(weight.numel() for weight in weights):,}",
        "texts a second": 128 / statistics.median(times[1:]),
        "tokens a second": None,
    }


def served(base: DualEncoder, data: Dataset, rounds: int = 7) -> list[dict[str, Cell]]:
    """Encoding with LoRA beside the weights, and merged into them, against the base alone."""
    texts = [row.text for row in data.corpus(["en"]).rows if row.lang == "en"][:256]
    tokens = base.tokenizer.encode(texts)
    part = Lora(base.text.config, Lora.Config())
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.normal_(std=0.02)
    route = ModuleStack([part.requires_grad_(False)])
    variants = {"base": None, "LoRA beside the weights": route, "LoRA merged": route.merged(base.text)}
    found: list[dict[str, Cell]] = []
    for precision in ("fp32", "bf16"):
        times: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(rounds + 1):
            for name, hooks in variants.items():
                began = time.perf_counter()
                base.encode_tokens(tokens, hooks, precision=precision)
                times[name].append(time.perf_counter() - began)
        alone = statistics.median(times["base"][1:])
        for name, values in times.items():
            median = statistics.median(values[1:])
            found.append(
                {
                    "run": f"served: {name}, {precision}",
                    "texts a second": len(texts) / median,
                    "ratio to the rival": alone / median,
                }
            )
    return found


if __name__ == "__main__":
    main()
