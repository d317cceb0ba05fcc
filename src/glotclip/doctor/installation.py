"""Versions, devices, threads: what is installed, and whether it can be imported."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any, NamedTuple

from glotclip import __version__
from glotclip.doctor.check import Case, Finding, check
from glotclip.threads import NUMBERS, WAITING, usable_cores

NEEDED = ("numpy", "PIL", "safetensors", "tokenizers", "pydantic", "regex", "langcodes", "huggingface_hub")


class Package(NamedTuple):
    """An optional package: its module, its name among distributions, our extra, and what it is for."""

    module: str
    distribution: str
    extra: str
    purpose: str


OPTIONAL = (
    Package("torch", "torch", "torch", "training, and models that were not exported"),
    Package("onnxruntime", "onnxruntime", "onnx", "exported models"),
    Package("onnxscript", "onnxscript", "export", "exporting"),
    Package("onnx", "onnx", "export", "exporting"),
    Package("py3langid", "py3langid", "search", "guessing languages that no pack has a profile of"),
    Package("pi_heif", "pi-heif", "photos", "HEIC"),
    Package("av", "av", "video", "videos"),
    Package("transformers", "transformers", "hf", "LoRA in peft's format, translation"),
    Package("ctranslate2", "ctranslate2", "mt", "translation"),
    Package("fastapi", "fastapi", "serve", "glotclip serve"),
    Package("psycopg", "psycopg", "postgres", "vectors in PostgreSQL"),
    Package("pymilvus", "pymilvus", "milvus", "vectors in Milvus"),
    Package("matplotlib", "matplotlib", "report", "plots in reports"),
)


@check("versions")
def versions(case: Case) -> Iterator[Finding]:
    """glotclip, Python, and the packages that it needs."""
    yield Finding("glotclip", __version__)
    yield Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for module in NEEDED:
        name = {"PIL": "pillow"}.get(module, module)
        if (error := _import_error(module)) is not None:
            yield Finding(name, error, "broken", f"pip install --force-reinstall {name}")
        else:
            yield Finding(name, _version(name))


@check("optional packages")
def optional(case: Case) -> Iterator[Finding]:
    """What extras bring: missing ones are named with their extra, and one that cannot be imported is broken."""
    there = {package.module: find_spec(package.module) is not None for package in OPTIONAL}
    for package in OPTIONAL:
        name = package.distribution
        if not there[package.module]:
            install = f"pip install 'glotclip[{package.extra}]'"
            yield Finding(name, f"not installed; for {package.purpose}", "missing", install)
        elif (error := _import_error(package.module)) is not None:
            yield Finding(name, error, "broken", f"pip install --force-reinstall {name}")
        else:
            yield Finding(name, _version(name))
    if not there["torch"] and not there["onnxruntime"]:
        yield Finding(
            "models", "neither torch nor onnxruntime is installed, so no model can be run", "broken",
            "pip install 'glotclip[torch]', or 'glotclip[onnx]' for exported models alone",
        )  # fmt: skip


@check("devices")
def devices(case: Case) -> Iterator[Finding]:
    """Where models can compute."""
    yield Finding("processor", f"{usable_cores()} of {os.cpu_count()} cores")
    if find_spec("torch") is None or _import_error("torch") is not None:
        return
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(number)
            yield Finding(f"cuda:{number}", f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB")
    elif torch.version.cuda:
        yield Finding(
            "cuda", f"torch was built for CUDA {torch.version.cuda}, and finds no device it can use", "missing",
            "nvidia-smi tells whether the driver works; --device cpu needs none",
        )  # fmt: skip
    if torch.backends.mps.is_available():
        yield Finding("mps", "usable")


@check("threads")
def threads(case: Case) -> Iterator[Finding]:
    """How many threads compute, and who says so."""
    set_here = [f"{name}={os.environ[name]}" for name in (*NUMBERS, *WAITING) if os.environ.get(name)]
    yield Finding("environment", ", ".join(set_here) or "nothing is set")
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given and not (given.split(",")[0].isdecimal() and int(given.split(",")[0])):
        yield Finding("OMP_NUM_THREADS", f"{given!r} is no number of threads", "broken", "unset OMP_NUM_THREADS")
    elif given and int(given.split(",")[0]) > 2 * usable_cores():
        yield Finding(
            "OMP_NUM_THREADS", f"{given} threads on {usable_cores()} cores wait for one another", "broken",
            "unset OMP_NUM_THREADS",
        )  # fmt: skip


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "installed"


def _import_error(module: str) -> str | None:
    """Why a module that is installed cannot be imported; None where it can."""
    if module == "onnxruntime":
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        found: Any = sys.modules.get(module) or import_module(module)
    except Exception as error:  # noqa: BLE001 -- a broken package may raise anything
        first = next(iter(str(error).splitlines()), "")
        return f"cannot be imported: {type(error).__name__}: {first}"
    return None if found else "cannot be imported"
