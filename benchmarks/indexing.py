"""Indexing: images a second against a plain loop of transformers, and 5,000 files that are killed, moved and changed.

    python benchmarks/indexing.py [--photos ../shared/data/photos/images] [--files 5000] [--out benchmarks/results]

The rival is ``Image.open → processor → get_image_features``, one picture after another, with the same CLIP ViT-B/32
(random weights: the time is the same) and as many threads. Both go over the photographs as they are (about 400 × 300
pixels), and over copies of some at 12 megapixels, which is what phones take; in turns, and the medians are compared.
``bound`` is the time of decoding and the tower alone: decoding by as many threads as there are cores, then the tower
over batches of 32. ``of bound``: what share of indexing's time that is.

The files are photographs of which each has its own brightness and size. ``glotclip index`` with photo-clip is killed
when half of them are in the library and run again; then the folder is moved, every file is renamed, and half of them
are changed. ``encoded`` has to be what is new each time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.library.decoding import decode_image
from glotclip.library.library import Library
from glotclip.library.torch_encoder import TorchEncoder
from glotclip.storage import read_json, write_json, write_text
from glotclip.threads import usable_cores

BATCH, TURNS, SMALL, LARGE = 32, 3, 200, (4000, 3000)
COMMAND = [sys.executable, "-c", "from glotclip.cli.main import main; main()", "index"]
NOTE = "images a second, medians of turns in one process; ratio: index / plain loop; of bound: see the script"


def main() -> None:
    """Measure both, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/photos/images"))
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--changes-only", action="store_true", help="speeds stay those of the results that are there")
    asked = parser.parse_args()
    photos = sorted(path for path in asked.photos.iterdir() if path.suffix == ".jpg")
    with tempfile.TemporaryDirectory() as scratch:
        kept = asked.out / "indexing.json"
        speed = read_json(kept)["speed"] if asked.changes_only else speeds(photos, Path(scratch))
        story = changes(photos, asked.files, Path(scratch) / "many")
    results = {
        "command": "python benchmarks/indexing.py",
        "speed": speed,
        "changes": story,
        "environment": environment(),
    }
    write_json(asked.out / "indexing.json", results)
    tables = (markdown(Table.of(speed, note=NOTE, digits=2)), markdown(Table.of(story, digits=1)))
    write_text(asked.out / "indexing.md", "\n\n".join(tables) + "\n")


def speeds(photos: Sequence[Path], scratch: Path) -> list[dict[str, Any]]:
    """Images a second of indexing and of the plain loop, on small and on large pictures."""
    theirs, processor, encoder = towers(scratch / "clip")
    large = scratch / "large"
    large.mkdir()
    for path in photos[:64]:
        Image.open(path).convert("RGB").resize(LARGE, Image.Resampling.BICUBIC).save(large / path.name, quality=90)
    small = scratch / "small"
    small.mkdir()
    for path in photos[:SMALL]:
        shutil.copy(path, small)
    rows = []
    for title, folder in (("as they are", small), ("12 megapixels", large)):
        paths = sorted(folder.iterdir())

        def plain(paths: Sequence[Path] = paths) -> None:
            import torch

            with torch.no_grad():
                for path in paths:
                    inputs = processor(images=Image.open(path).convert("RGB"), return_tensors="pt")
                    theirs.get_image_features(**inputs)

        def ours(folder: Path = folder, paths: Sequence[Path] = paths) -> None:
            with tempfile.TemporaryDirectory() as place, Library(Path(place) / "library", create=True) as library:
                assert library.index([folder], encoder=encoder, batch=BATCH).encoded == len(paths)

        pixels = decoded(paths, encoder)
        tasks: dict[str, Callable[[], object]] = {
            "plain loop": plain,
            "index": ours,
            "decode": lambda paths=paths: decoded(paths, encoder),  # type: ignore[misc]
            "tower": lambda pixels=pixels: [  # type: ignore[misc]
                encoder.encode_images(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)
            ],
        }
        took = {name: [] for name in tasks}  # type: dict[str, list[float]]
        for turn in range(TURNS + 1):
            for name, task in tasks.items():
                began = time.perf_counter()
                task()
                if turn:  # the first warms up
                    took[name].append(time.perf_counter() - began)
        middle = {name: statistics.median(each) for name, each in took.items()}
        rows.append(
            {
                "pictures": title,
                "count": len(paths),
                **{name: len(paths) / seconds for name, seconds in middle.items()},
                "ratio": middle["plain loop"] / middle["index"],
                "of bound": (middle["decode"] + middle["tower"]) / middle["index"],
            }
        )
        print(rows[-1], flush=True)
    return rows


def towers(folder: Path) -> tuple[Any, Any, TorchEncoder]:
    """The same CLIP in transformers, with its processor, and as a library's encoder."""
    import torch
    import transformers

    import glotclip

    torch.manual_seed(0)
    tokenizer = glotclip.load("emoji-clip").base.tokenizer
    shape = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 64}
    text = {**shape, "vocab_size": tokenizer.vocab_size, "eos_token_id": tokenizer.vocab_size - 1}
    model: Any = transformers.CLIPModel(transformers.CLIPConfig(text_config=text))
    model.eval()
    model.save_pretrained(folder)
    processor: Any = transformers.CLIPImageProcessor()
    processor.save_pretrained(folder)
    tokenizer.save(folder)
    return model, processor, TorchEncoder(glotclip.load(folder), precision="auto")


def decoded(paths: Sequence[Path], encoder: TorchEncoder) -> list[Any]:
    """Decode and preprocess, in as many threads as there are cores."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        return [each.pixels[0] for each in pool.map(lambda path: decode_image(path, encoder), paths)]


def changes(photos: Sequence[Path], count: int, place: Path) -> list[dict[str, Any]]:
    """What indexing does after each change to a folder of so many files."""
    home, library = place / "home", place / "library"
    folder = home / "photos"
    folder.mkdir(parents=True)
    for number in range(count):
        drawn(photos[number % len(photos)], number).save(folder / f"{number:05}.jpg", quality=85)
    time.sleep(2.1)  # beyond the time in which a file may still be written
    rows = []

    def run(what: str, expected: int) -> None:
        done = subprocess.run([*COMMAND, str(home), "--library", str(library), "--json"], capture_output=True)
        report = json.loads(done.stdout)
        told = {name: report[name] for name in ("encoded", "unchanged", "renamed", "removed", "items", "seconds")}
        rows.append({"what": what, "new": expected, **told, "skipped": len(report["skipped"])})
        print(rows[-1], flush=True)

    kept = killed(home, library, count // 2)
    run(f"killed at {kept:,}, run again", count - kept)
    run("run again", 0)
    folder = folder.rename(home / "moved")
    run("folder moved", 0)
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"IMG_{path.name}")
    run("every file renamed", 0)
    for number, path in enumerate(sorted(folder.iterdir())):
        if number % 2:
            drawn(path, count + number).save(path, quality=85)
    time.sleep(2.1)
    run("half of them changed", count // 2)
    return rows


def killed(folder: Path, library: Path, half: int) -> int:
    """Index a folder, kill that when so many files are in the library, and tell how many are."""
    process = subprocess.Popen(
        [*COMMAND, str(folder), "--library", str(library), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    done = 0
    while done < half and process.poll() is None:
        time.sleep(0.2)
        if (library / "catalogue.sqlite").exists():
            with Library(library, create=True) as opened:
                done = int(opened.catalogue.value("SELECT count(*) FROM item") or 0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Library(library) as opened:
        return int(opened.catalogue.value("SELECT count(*) FROM item") or 0)


def drawn(path: Path, seed: int) -> Image.Image:
    """A photograph, a little smaller and of another brightness, so that no two files are equal."""
    rng = np.random.default_rng(seed)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), np.float32)
    cut = pixels[: pixels.shape[0] - int(rng.integers(20)), : pixels.shape[1] - int(rng.integers(20))]
    noise = rng.normal(0, 2, cut.shape)
    return Image.fromarray(np.clip(cut * rng.uniform(0.8, 1.1) + noise, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
