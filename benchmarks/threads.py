"""How fast a lesson trains with so many threads and such a wait policy, alone and beside busy processes.

    python benchmarks/threads.py [--steps 10] [--rounds 5] [--busy 0 1 3] [--tower emoji-clip|b32]

In each situation every setting trains the same lesson in a process of its own, started while the others of the
situation are busy, as a user's command would be. The processes take turns of a few steps each, so that what else
happens on the machine meets all of them; one that is not at its turn sleeps. Reported are medians over the turns, and
how much longer than the fastest setting of the same situation each takes. "rule" is what the command line does
(``glotclip.threads``). Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: By name, what is set in the environment; "rule" leaves it to glotclip, "default" to torch and its OpenMP.
SETTINGS: dict[str, dict[str, str]] = {
    "rule": {},
    "default": {},
    "one thread": {"OMP_NUM_THREADS": "1"},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
    **{f"spin {count}": {"GOMP_SPINCOUNT": str(count)} for count in (0, 100, 1000, 3000, 10_000, 30_000, 100_000)},
}
OURS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "MKL_NUM_THREADS", "OMP_DYNAMIC")
WARM_UP = 1  # turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 3])
    parser.add_argument("--tower", choices=["emoji-clip", "b32"], default="emoji-clip")
    parser.add_argument("--settings", nargs="+", default=["rule", "default", "one thread", "passive"])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--child", choices=list(SETTINGS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        train(arguments.child, arguments.tower, arguments.steps, arguments.precision, Path(arguments.folder))
        return
    with tempfile.TemporaryDirectory() as arguments.folder:
        found = {busy: measure(busy, arguments) for busy in arguments.busy}
    report(found, arguments)


def measure(busy: int, arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Seconds a step of every setting beside so many busy processes, with what each chose."""
    with busy_processes(busy):
        children = {name: Child(name, arguments) for name in arguments.settings}  # each prepares alone
        times: dict[str, list[float]] = {name: [] for name in children}
        for round_ in range(arguments.rounds + WARM_UP):
            for name, child in children.items():
                seconds = child.turn()
                if round_ >= WARM_UP:
                    times[name].append(seconds / arguments.steps)
        for child in children.values():
            child.end()
    medians = {name: statistics.median(values) for name, values in times.items()}
    best = min(medians.values())
    found = {
        name: {**child.facts, "seconds a step": medians[name], "over the best": medians[name] / best,
               "turns": [round(value, 5) for value in times[name]]}
        for name, child in children.items()
    }  # fmt: skip
    for name, row in found.items():
        print(f"{busy} busy, {name}: {row['seconds a step']:.4f} s a step, {row['over the best']:.2f}", flush=True)
    return found


class Child:
    """A process that trains when it is told to."""

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in OURS}
        options = ["--child", name, "--tower", arguments.tower, "--steps", str(arguments.steps)]
        options += ["--folder", arguments.folder]
        self._process = subprocess.Popen(
            [sys.executable, __file__, *options, "--precision", arguments.precision],
            env={**environment, **SETTINGS[name]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.facts: dict[str, Any] = json.loads(self._answer())

    def turn(self) -> float:
        """Let it train for one turn; the seconds it took."""
        self._say("go")
        return float(self._answer())

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        print(word, file=self._process.stdin, flush=True)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("> "):
                return line[2:]
        raise RuntimeError(f"a child ended with {self._process.wait()}")


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that compute without a pause."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    time.sleep(1.0)
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def train(name: str, tower: str, steps: int, precision: str, folder: Path) -> None:
    """In a child: one long lesson, that waits for its turn every few steps."""
    if name == "rule":
        from glotclip import threads

        threads.choose()
    import torch

    from glotclip import api
    from glotclip.data import emoji
    from glotclip.data.dataset import open_dataset
    from glotclip.packs.polyglot import Polyglot
    from glotclip.training.callbacks import Callbacks

    facts = {"threads": torch.get_num_threads(), **{key: os.environ[key] for key in OURS if key in os.environ}}
    began = 0.0

    def wait(answer: str) -> None:
        nonlocal began
        print(f"> {answer}", flush=True)
        if not sys.stdin.readline():
            sys.exit(0)
        began = time.perf_counter()

    def stepped(numbers: Any) -> None:
        if numbers["step"] % steps == 0:
            wait(str(time.perf_counter() - began))

    data = write_captions(folder, emoji.texts("de"), emoji.texts("en"))
    model = api.load("emoji-clip") if tower == "emoji-clip" else Polyglot(random_b32())
    callbacks = Callbacks(log=stepped, task_started=lambda name, task, steps: wait(json.dumps(facts)))
    api.extend(
        model, ["de"], data=open_dataset(data), out=folder / f"out-{os.getpid()}", benchmark=False,
        callbacks=callbacks,
        settings={"steps": 100_000, "precision": precision, "checkpoint_seconds": 3600.0}, cache=folder / "cache",
    )  # fmt: skip


def write_captions(folder: Path, german: dict[str, Any], english: dict[str, Any]) -> Path:
    """A caption file of emoji names with a handful of pictures, which count for nothing here."""
    from PIL import Image

    lines = ["image,lang,text,english,split"]
    if (folder / "captions.csv").exists():
        return folder / "captions.csv"
    for place in range(4):
        Image.new("RGB", (64, 64), (60 * place, 0, 0)).save(folder / f"{place}.png")
    for place, concept in enumerate(sorted(german.keys() & english.keys())):
        names = [each[concept].name.replace('"', "") for each in (german, english)]
        lines.append(f'{place % 4}.png,de,"{names[0]}","{names[1]}",train')
    (folder / "captions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "captions.csv"


def random_b32() -> Any:
    """A base of CLIP ViT-B/32's text geometry with random weights; emoji-clip's tokenizer and image tower's size."""
    import torch

    from glotclip import api
    from glotclip.models.dual_encoder import DualEncoder
    from glotclip.models.text_tower import TextConfig, TextTower
    from glotclip.models.vision_tower import VisionConfig, VisionTransformer

    small = api.load("emoji-clip").base
    torch.manual_seed(0)
    text = TextConfig(context_length=max(77, small.tokenizer.context_length))
    vision = VisionTransformer(VisionConfig(width=64, layers=1, heads=1, mlp_width=64, embed_dim=text.embed_dim))
    return DualEncoder("random-b32", TextTower(text), vision, small.tokenizer, small.preprocess, 100.0)


def report(found: dict[int, dict[str, dict[str, Any]]], arguments: argparse.Namespace) -> None:
    """Write the table and the numbers behind it."""
    from glotclip.evaluation.retrieval import environment
    from glotclip.evaluation.tables import Cell, Table, markdown
    from glotclip.storage import write_json, write_text

    rows: list[dict[str, Cell]] = []
    for name in arguments.settings:
        row: dict[str, Cell] = {"setting": name}
        for busy, of_busy in found.items():
            facts = of_busy[name]
            row[f"{busy} busy: ms a step"] = round(1000 * facts["seconds a step"])
            row[f"{busy} busy: over the best"] = f"{facts['over the best']:.2f}"
        rows.append(row)
    note = (
        f"{arguments.tower}, a lexicon lesson; medians of {arguments.rounds} turns of {arguments.steps} steps, the "
        f"settings taking turns; {usable_cores()} cores. busy: processes that compute without a pause."
    )
    table = markdown(Table.of(rows, note=note))
    stem = "threads" if arguments.tower == "emoji-clip" else f"threads_{arguments.tower}"
    facts = {"command": "python benchmarks/threads.py " + " ".join(sys.argv[1:]), "cores": usable_cores()}
    write_json(arguments.out / f"{stem}.json", {**facts, "found": found, "environment": environment()})
    write_text(arguments.out / f"{stem}.md", table)
    print(table)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


if __name__ == "__main__":
    main()
