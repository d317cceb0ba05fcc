"""What a CUDA device gives: the same features and lessons as a processor, in three precisions, and how fast.

    python benchmarks/accelerator.py [--captions train.en.gz] [--photos ../shared/data/photos] [--out DIR]
    python benchmarks/accelerator.py --only photographs    # the others keep their figures

Features: emoji-clip, and random weights at the geometry of ViT-B/32's text tower, against the processor in fp32.
Photographs: labels and 500 pictures under ``photo-clip`` and ``photo-e5``, and how many pictures a second are
encoded, and indexed into a library, decoding included. Lessons: every method learns German emoji names on the
processor in fp32 and on the device in fp32, bf16 and fp16 from the same start with the same batches; then one lesson
is repeated, and stopped and resumed, to see whether the bits agree. Speed: texts encoded and trained a second,
against transformers' CLIP text tower padded to 77 tokens, in the same precision on the same device (medians of
alternating rounds). Needs the extras ``demo``, ``hf`` and ``photo``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend

from glotclip import api
from glotclip.data import emoji
from glotclip.data.sources.emoji_dataset import EmojiDataset
from glotclip.errors import GlotclipError
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Cell, Table, markdown
from glotclip.library.library import Library
from glotclip.library.torch_encoder import TorchEncoder
from glotclip.methods.method import methods
from glotclip.models import attention
from glotclip.models.device import DTYPES
from glotclip.models.text_tower import TextConfig, TextTower
from glotclip.models.tokens import Tokens
from glotclip.packs.folder import PolyglotFolder
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import read_json, write_json, write_text
from glotclip.training.callbacks import Callbacks
from text_tower import CAPTIONS, TrainingRows, captions_as_tokens, rival_tower

LESSON = {"steps": 20, "batch_size": 128}
BATCH = 512
ROUNDS = 7
BASES = ("photo-clip", "photo-e5")
DIGITS = {"features": 6, "photographs": 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=Path, default=CAPTIONS)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/photos"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--only", nargs="*", help="features, photographs, speed, kernels, lessons, repeated; all by default"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    sections: list[tuple[str, str, Callable[[], list[dict[str, Cell]]]]] = [
        ("features", "Features against the processor's in fp32", lambda: features(device, arguments.captions)),
        (
            "photographs",
            "Photographs: features against the processor's in fp32, and speed",
            lambda: photographs(device, arguments.photos),
        ),
        ("speed", "Texts a second", lambda: speed(device, arguments.captions)),
        (
            "kernels",
            "Texts trained a second in bf16, by the attention kernels allowed",
            lambda: kernels(device, arguments.captions),
        ),
        ("lessons", "Lessons: R@1 on twemoji, mean of both directions, after 20 steps", lambda: lessons(device)),
        ("repeated", "The same lesson again", lambda: repeated(device)),
    ]
    file = arguments.out / "accelerator.json"
    page, kept = "", arguments.only and file.exists()
    measured: dict[str, dict[str, Any]] = read_json(file)["measured"] if kept else {}
    for name, title, measure in sections:
        if arguments.only and name not in arguments.only:
            continue
        measured[name] = {"title": title, "rows": measure(), "on": device_name(device), "environment": environment()}
        write_json(file, {"command": "python benchmarks/accelerator.py", "measured": measured})
        page = page_of({name: measured[name] for name, _, _ in sections if name in measured})
        write_text(arguments.out / "accelerator.md", page)
    print(page)


def page_of(measured: dict[str, dict[str, Any]]) -> str:
    """The tables, each with what it was measured on."""
    parts = []
    for name, each in measured.items():
        digits = DIGITS.get(name, 1)
        on = f"{each['on']}, torch {each['environment']['torch']}"
        parts.append(f"## {each['title']}\n\n{on}\n\n{markdown(Table.of(each['rows'], digits=digits))}")
    return "\n".join(parts)


def device_name(device: torch.device) -> str:
    """The card as it calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def features(device: torch.device, captions: Path) -> list[dict[str, Cell]]:
    """Largest difference and smallest cosine to the processor's features, by tower and precision."""
    model = api.load("emoji-clip", device="cpu")
    names = [text.name for text in emoji.texts("en").values()]
    images = list(EmojiDataset("twemoji").benchmark(["en"]).images)[:256]
    expected = {"emoji-clip, text": model.encode_text(names), "emoji-clip, images": model.encode_image(images)}
    tokens = captions_as_tokens(captions, 1024)
    torch.manual_seed(0)
    tower = TextTower(TextConfig()).eval().requires_grad_(False)
    expected["12 × 512 of random weights, text"] = F.normalize(encode(tower, tokens, torch.float32), dim=-1)
    model, tower = model.to(device), tower.to(device)
    rows: list[dict[str, Cell]] = []
    for precision, dtype in DTYPES.items():
        pixels = torch.from_numpy(np.stack([model.base.preprocess.load(path) for path in images]))
        got = {
            "emoji-clip, text": model.encode_text(names, precision=precision),
            "emoji-clip, images": model.base.encode_pixels(pixels, precision=precision),  # type: ignore[arg-type]
            "12 × 512 of random weights, text": encode(tower, tokens, dtype),
        }
        for what, reference in expected.items():
            unit = F.normalize(got[what].float().cpu(), dim=-1)
            difference, cosine = (unit - reference).abs().max(), (unit * reference).sum(1).min()
            rows.append(
                {"features": what, "precision": precision, "largest difference": float(difference),
                 "smallest cosine": float(cosine)}
            )  # fmt: skip
    return rows


def photographs(device: torch.device, photos: Path) -> list[dict[str, Cell]]:
    """The bases of photographs in every precision, and the pictures encoded and indexed a second."""
    listed = json.loads((photos / "photos.json").read_text(encoding="utf-8"))
    names, files = [each["name"] for each in listed], [photos / each["file"] for each in listed]
    rows: list[dict[str, Cell]] = []
    for base in BASES:
        model = api.load(base, device="cpu")
        pixels = torch.from_numpy(np.stack([model.base.preprocess.load(path) for path in files]))
        references = model.encode_text(names), F.normalize(model.base.encode_pixels(pixels), dim=-1)
        indexed(model, files[0].parent)  # remembers the digests of the files
        for place, precision in [(torch.device("cpu"), "fp32"), *((device, name) for name in DTYPES)]:
            model = model.to(place)
            got = (
                model.encode_text(names, precision=precision).float().cpu(),
                F.normalize(model.base.encode_pixels(pixels, precision=precision).float().cpu(), dim=-1),  # type: ignore[arg-type]
            )
            labels, pictures = ((one * two).sum(1).min() for one, two in zip(got, references, strict=True))
            row: dict[str, Cell] = {
                "base": base, "on": device_name(place), "precision": precision,
                "labels: smallest cosine": float(labels), "pictures: smallest cosine": float(pictures),
                "encoded a second": encoded(model, pixels, precision, place),
                "indexed a second": indexed(model, files[0].parent) if precision == "fp32" else None,
            }  # fmt: skip
            rows.append(row)
    return rows


def encoded(model: Polyglot, pixels: torch.Tensor, precision: str, place: torch.device) -> int:
    """Pictures that are encoded a second, from the processor's memory; the median of some rounds."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        model.base.encode_pixels(pixels, precision=precision)  # type: ignore[arg-type]
        finish(place)
        seconds.append(time.perf_counter() - began)
    return round(len(pixels) / statistics.median(seconds))


def indexed(model: Polyglot, folder: Path) -> int:
    """Pictures that are indexed a second into a new library, decoding and all."""
    with tempfile.TemporaryDirectory() as place, Library(Path(place) / "library", create=True) as library:
        report = library.index([folder], encoder=TorchEncoder(model), batch=128)
    return round(report.encoded / report.seconds)


def encode(tower: TextTower, tokens: Tokens, dtype: torch.dtype, rows: int = BATCH) -> torch.Tensor:
    """Encode texts sorted by length, ``rows`` at a time; features (M, E) in the texts' order."""
    order = np.argsort(tokens.lengths, kind="stable")
    parts = []
    with torch.inference_mode():
        for start in range(0, len(order), rows):
            ids, lengths = tokens.padded(order[start : start + rows], 0)
            device = tower.table.device
            encoded = tower(torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device), precision=dtype)
            parts.append(encoded.float())
    return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(parts[0].device)]


def lessons(device: torch.device) -> list[dict[str, Cell]]:
    """German by every method, on the processor and on the device; a failure is a row, too."""
    rows: list[dict[str, Cell]] = []
    for method in methods():
        row: dict[str, Cell] = {"method": method}
        places = [("processor fp32", "cpu", "fp32"), *((f"device {name}", str(device), name) for name in DTYPES)]
        losses: dict[str, float] = {}
        for title, place, precision in places:
            seen: list[float] = []
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                try:
                    made = api.extend(
                        "emoji-clip", ["de"], data="emoji:twemoji", method=method, out=Path(folder) / "out",
                        settings={**LESSON, "precision": precision}, device=place,
                        callbacks=Callbacks(log=partial(note, seen, "loss")),
                    )  # fmt: skip
                except (GlotclipError, RuntimeError) as error:
                    row[title] = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
                    continue
                row[title] = made.matrix.rows[-1]["de"] if made.matrix else None
                row[f"s, {title}"] = time.perf_counter() - began
            losses[title] = seen[-1]
        if "processor fp32" in losses and "device fp32" in losses:
            reference = losses["processor fp32"]
            row["last loss differs by, %"] = 100 * abs(losses["device fp32"] - reference) / abs(reference)
        rows.append(row)
    return rows


def repeated(device: torch.device) -> list[dict[str, Cell]]:
    """The weights of one lesson made three times: whole, whole again, and stopped half-way and resumed."""
    rows: list[dict[str, Cell]] = []
    for method in ("lexicon", "acquirer", "lora"):
        sums: list[str] = []
        for stop_at in (None, None, 10):
            with tempfile.TemporaryDirectory() as folder:
                steps: list[float] = []
                callbacks = Callbacks(log=partial(note, steps, "step"), stop=partial(reached, steps, stop_at))
                out = Path(folder) / "out"
                for _ in range(2 if stop_at else 1):
                    try:
                        api.extend(
                            "emoji-clip", ["de"], data="emoji", method=method, out=out, settings=LESSON,
                            device=str(device), benchmark=False, callbacks=callbacks,
                        )  # fmt: skip
                    except KeyboardInterrupt:
                        steps.clear()
                sums.append(PolyglotFolder(out).manifests()["de"].sha256)
        rows.append({"method": method, "again": verdict(sums[0], sums[1]), "resumed": verdict(sums[0], sums[2])})
    return rows


def kernels(device: torch.device, captions: Path) -> list[dict[str, Cell]]:
    """The same steps with other attention kernels; shapes are new at every step, as in training."""
    tokens = captions_as_tokens(captions, 8192)
    torch.manual_seed(0)
    tower = TextTower(TextConfig()).eval().requires_grad_(False).to(device)
    choices = {
        "memory-efficient (ours)": attention.CUDA_KERNELS,
        "and FlashAttention": [SDPBackend.FLASH_ATTENTION, *attention.CUDA_KERNELS],
        "and cuDNN (torch's default)": [
            SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, *attention.CUDA_KERNELS,
        ],
    }  # fmt: skip
    rows: list[dict[str, Cell]] = []
    for name, chosen in choices.items():
        with mock.patch.object(attention, "CUDA_KERNELS", chosen):
            step, times = lesson_step(tower, tokens, torch.bfloat16, device), list[float]()
            for _ in range(ROUNDS + 2):
                finish(device)
                began = time.perf_counter()
                step()
                finish(device)
                times.append(time.perf_counter() - began)
        rows.append({"kernels": name, "texts a second": round(BATCH / statistics.median(times[2:]))})
    return rows


def note(into: list[float], name: str, numbers: dict[str, Any]) -> None:
    """Keep one of a step's numbers."""
    into.append(numbers[name])


def reached(steps: list[float], stop_at: int | None) -> bool:
    """Whether the step at which to stop has just been taken."""
    return bool(steps) and steps[-1] == stop_at


def verdict(one: str, other: str) -> str:
    """Whether two files agree."""
    return "the same bits" if one == other else "other bits"


def speed(device: torch.device, captions: Path) -> list[dict[str, Cell]]:
    """Texts encoded and trained a second, ours and transformers', in turns."""
    tokens = captions_as_tokens(captions, 8192)
    torch.manual_seed(0)
    theirs, ours = rival_tower().to(device), TextTower(TextConfig()).eval().requires_grad_(False).to(device)
    rows: list[dict[str, Cell]] = []
    for precision, dtype in DTYPES.items():
        runs: dict[str, Callable[[], object]] = {
            "encode": partial(encode, ours, tokens, dtype),
            "encode, transformers": partial(encode_rival, theirs, len(tokens), dtype, device),
            "train": lesson_step(ours, tokens, dtype, device),
            "train, transformers": train_rival(theirs, dtype, device),
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for round_ in range(ROUNDS + 2):
            for name, run in runs.items():
                finish(device)
                began = time.perf_counter()
                run()
                finish(device)
                if round_ > 1:
                    times[name].append(time.perf_counter() - began)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for what, count in (("encode", len(tokens)), ("train", BATCH)):
            rows.append(
                {"what": what, "precision": precision, "texts a second": round(count / medians[what]),
                 "transformers": round(count / medians[f"{what}, transformers"]),
                 "ratio": medians[f"{what}, transformers"] / medians[what]}
            )  # fmt: skip
    return rows


def finish(device: torch.device) -> None:
    """Wait until the device has done everything it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def padded(count: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Ids (count, 77) and mask, as transformers' users give them."""
    ids = torch.randint(0, 49_000, (count, 77), device=device)
    ids[:, 20:] = 49_407
    mask = torch.ones_like(ids)
    mask[:, 21:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def encode_rival(model: Any, count: int, dtype: torch.dtype, device: torch.device) -> None:
    """Encode ``count`` padded texts with autocast."""
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        for _ in range(0, count, BATCH):
            model(**padded(BATCH, device))


def train_rival(model: Any, dtype: torch.dtype, device: torch.device) -> Callable[[], None]:
    """One step on a whole token table with AdamW; all else is frozen."""
    model.requires_grad_(False)
    table = model.text_model.embeddings.token_embedding.weight.requires_grad_(True)
    optimizer = torch.optim.AdamW([table], lr=5e-5, eps=1e-6, weight_decay=0.05)

    def step() -> None:
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            encoded = model(**padded(BATCH, device)).text_embeds
        update(encoded, table, optimizer)

    return step


def lesson_step(tower: TextTower, tokens: Tokens, dtype: torch.dtype, device: torch.device) -> Callable[[], None]:
    """One step on the rows in use."""
    present = torch.from_numpy(np.unique(tokens.flat).astype(np.int64)).to(device)
    lexicon = TrainingRows(present, tower.table.detach()[present].clone(), len(tower.table)).to(device)
    optimizer = torch.optim.AdamW([lexicon.rows], lr=5e-5, eps=1e-6, weight_decay=0.05)
    rng = np.random.default_rng(0)

    def step() -> None:
        ids, lengths = tokens.padded(rng.choice(len(tokens), BATCH, replace=False), int(present[0]))
        encoded = tower(
            torch.from_numpy(ids).to(device), torch.from_numpy(lengths).to(device), lexicon, precision=dtype
        )
        update(encoded, lexicon.rows, optimizer)

    return step


def update(encoded: torch.Tensor, weight: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Mean squared error to zero, clip, step: the same for both sides."""
    F.mse_loss(encoded.float(), torch.zeros_like(encoded, dtype=torch.float32)).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([weight], 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


if __name__ == "__main__":
    main()
