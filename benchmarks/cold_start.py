"""Start to the first hit, with torch and without: both installations from nothing, the same photographs, one query.

    python benchmarks/cold_start.py --images ../photographs [--count 500] [--work DIR]

makes two virtual environments, one of ``glotclip[onnx]`` and one of ``glotclip[photo]``, and exports ``photo-clip``
with the environment that runs this script (which needs the extras ``photo`` and ``export``). Each figure is of a
process of its own, the median of several; processor time counts all threads. Writes
``benchmarks/results/cold_start.{json,md}``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
QUERY = "a dog on a beach"
MODEL, RUNS = "photo-clip", 5
EXTRAS = {"without torch": "onnx", "with torch": "photo"}


def install(folder: Path, extra: str) -> Path:
    """Make a virtual environment with the package and an extra; its folder of commands."""
    if not (folder / "bin" / "glotclip").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[{extra}]"], check=True)
    return folder / "bin"


def megabytes(folder: Path) -> float:
    """What all files of a folder take, links not followed."""
    return round(sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)


def timed(command: list[str | Path], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command once: seconds, processor seconds, most memory, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 3), "processor_seconds": round(spent, 3), "output": done.stdout}


def median(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: statistics.median(run[name] for run in runs) for name in ("seconds", "processor_seconds")}


def measure(commands: Path, model: str | Path, images: Path, cache: Path, threads: int) -> dict[str, Any]:
    """The figures of one installation."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GLOTCLIP", "PYTHON"))}
    environment = {**kept, "GLOTCLIP_CACHE": str(cache), "OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    search: list[str | Path] = [commands / "glotclip", "search", model, "--images", images, QUERY, "--json"]
    timed([commands / "glotclip", "--help"], environment)  # Python compiles what it reads for the first time
    one: list[str | Path] = [*search]
    few = cache.parent / f"{cache.name}-few"
    few.mkdir()
    shutil.copy(sorted(images.iterdir())[0], few)
    one[4] = few
    timed(one, environment)  # a base is put together once
    new = timed(search, environment)
    again = [timed(search, environment) for _ in range(RUNS)]
    packages = next(commands.parent.glob("lib/python*/site-packages"))
    return {
        "site_packages_mb": megabytes(packages),
        "help": median([timed([commands / "glotclip", "--help"], environment) for _ in range(RUNS)]),
        "new_folder": {name: new[name] for name in ("seconds", "processor_seconds")},
        "first_hit": median(again),
        "hits": [Path(hit["path"]).name for hit in json.loads(again[0]["output"])["hits"]],
        "scores": [hit["score"] for hit in json.loads(again[0]["output"])["hits"]],
    }


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows = [
        "| installation | packages, MB | model, MB | `--help`, s | first hit, s (processor s) | "
        f"{found['images']} new photographs, s |",
        "|---|---|---|---|---|---|",
    ]
    for name, each in found["installations"].items():
        hit = each["first_hit"]
        rows.append(
            f"| {name}: `glotclip[{EXTRAS[name]}]` | {each['site_packages_mb']:.0f} | {each['model_mb']:.0f} | "
            f"{each['help']['seconds']:.2f} | {hit['seconds']:.2f} ({hit['processor_seconds']:.2f}) | "
            f"{each['new_folder']['seconds']:.1f} |"
        )
    return "\n".join([*rows, "", f"{found['machine']}, {found['threads']} threads, {found['date']}.", ""])


def main() -> None:
    """Measure both installations and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--images", type=Path, required=True, help="a folder of photographs")
    parser.add_argument("--count", type=int, default=500, help="how many of them to search")
    parser.add_argument("--work", type=Path, help="where environments are kept for another run")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    import glotclip

    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        work = arguments.work or scratch / "environments"
        images = scratch / "photographs"
        images.mkdir()
        chosen = sorted(path for path in arguments.images.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        for path in chosen[: arguments.count]:
            shutil.copy(path, images)
        made = glotclip.export(MODEL, scratch / "exported")
        models: dict[str, str | Path] = {"without torch": scratch / "exported", "with torch": MODEL}
        found: dict[str, Any] = {
            "date": time.strftime("%Y-%m-%d"),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "load": round(os.getloadavg()[0], 1),  # before anything is measured: above the cores, seconds mean little
            "threads": arguments.threads, "images": len(list(images.iterdir())), "query": QUERY, "runs": RUNS,
            "precision": {name: graph.precision for name, graph in made.graphs().items()},
            "parity": {
                name: {kind: each.model_dump() for kind, each in graph.parity.items()}
                for name, graph in made.graphs().items()
            },
            "installations": {},
        }  # fmt: skip
        for name, extra in EXTRAS.items():
            commands = install(work / extra, extra)
            cache = scratch / f"cache-{extra}"
            figures = measure(commands, models[name], images, cache, arguments.threads)
            place = models[name] if isinstance(models[name], Path) else cache / "bases"
            found["installations"][name] = {**figures, "model_mb": megabytes(Path(place))}
    first, second = (each["hits"] for each in found["installations"].values())
    assert first == second, "the two installations answer alike"
    (RESULTS / "cold_start.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "cold_start.md").write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
