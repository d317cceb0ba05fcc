"""Who may import whom (docs/design.md, "Layers"), read from the sources; and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "glotclip"
GROUND = (
    "allocation", "errors", "languages", "config", "fingerprint", "image_formats", "ownership", "scores", "storage",
    "textforms", "threads",
)  # fmt: skip
SIBLINGS = ("training", "evaluation", "gallery", "onnx")
JOINING = ("api", "compare", "demo", "doctor")
HEAVY = (
    "torch", "numpy", "onnxruntime", "safetensors", "tokenizers", "transformers", "matplotlib", "PIL",
    "huggingface_hub",
)  # fmt: skip

#: room → rooms it may import besides itself and the ground floor
MAY = {
    "models": (),
    "data": (),
    "translate": ("data",),
    "methods": ("models", "data"),
    "packs": ("methods", "models", "data"),
    **dict.fromkeys(SIBLINGS, ("packs", "methods", "models", "data")),
    "library": ("gallery", "packs", "methods", "models", "data"),
    "server": ("library", "models", "data"),
    **dict.fromkeys(JOINING, (*JOINING, "library", *SIBLINGS, "packs", "methods", "models", "data", "translate")),
    "cli": (*JOINING, "server", "library", *SIBLINGS, "packs", "methods", "models", "data", "translate"),
    **dict.fromkeys(GROUND, ()),
}


def sources() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0].removesuffix(".py")


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported(tree: ast.AST, *, inside_functions: bool = True) -> Iterator[str]:
    """Dotted names of everything a module imports; names from a package count as its modules."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not inside_functions and (isinstance(node, FUNCTIONS) or is_type_checking(node)):
            continue
        else:
            yield from imported(node, inside_functions=inside_functions)


def violations(place: str, tree: ast.AST) -> list[str]:
    """The rooms that a module of room ``place`` imports and must not."""
    allowed = {place, *GROUND, *MAY[place], "__version__"}
    rooms = [name.split(".")[1] for name in imported(tree) if name.startswith("glotclip.")]
    return sorted({target for target in rooms if target not in allowed})


def test_every_room_is_known() -> None:
    assert {room(path) for path in sources()} - {"__init__", "__main__"} <= set(MAY)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    if room(path) not in MAY:
        return  # the package's own names, imported lazily
    assert violations(room(path), ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("place", "line", "found"),
    [
        ("training", "from glotclip.evaluation.metrics import ranks", ["evaluation"]),
        ("gallery", "def f():\n    from glotclip.training import loop", ["training"]),
        ("onnx", "from glotclip.gallery.rank import rank", ["gallery"]),
        ("models", "import glotclip.data.features", ["data"]),
        ("translate", "from glotclip.models.device import choose_device", ["models"]),
        ("evaluation", "from glotclip.translate import queries", ["translate"]),
        ("data", "if TYPE_CHECKING:\n    from glotclip.models import tokens", ["models"]),
        ("packs", "from glotclip import api", ["api"]),
        ("storage", "from glotclip.packs import pack", ["packs"]),
        ("evaluation", "from glotclip.cli import main", ["cli"]),
        ("demo", "from glotclip import api\nfrom glotclip.gallery.rank import rank", []),
    ],
)
def test_the_check_finds_what_it_is_for(place: str, line: str, found: list[str]) -> None:
    assert violations(place, ast.parse(line)) == found


@pytest.mark.parametrize("path", [path for path in sources() if room(path) in (*GROUND, "cli")])
def test_heavy_packages_wait_inside_functions(path: Path) -> None:
    tops = {
        name.split(".")[0] for name in imported(ast.parse(path.read_text(encoding="utf-8")), inside_functions=False)
    }
    assert not tops & set(HEAVY)


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in memory after a statement, in a process of its own."""
    code = f"{statement}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "import glotclip; glotclip.__version__; dir(glotclip)",
        f"import {', '.join(f'glotclip.{name}' for name in GROUND)}",
        "import glotclip.cli.main",
    ],
)
def test_importing_is_instant(statement: str) -> None:
    assert not loaded_by(statement) & set(HEAVY)


@pytest.mark.slow
def test_searching_with_an_exported_model_needs_no_torch() -> None:
    from glotclip.doctor.check import MODULES

    checks = ", ".join(f"glotclip.doctor.{name}" for name in MODULES)
    statement = (
        f"import {checks}; from glotclip import OnnxEncoder, search; from glotclip.cli import main, completion"
    )
    assert not loaded_by(statement) & {"torch", "onnx", "onnxscript", "onnxruntime", "transformers"}


@pytest.mark.slow
def test_a_library_needs_no_torch() -> None:
    """Encoders may be others: all of the library imports without torch, its torch encoder included."""
    names = sorted(
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        for path in (ROOT / "library").rglob("*.py")
        if path.name != "__init__.py"
    )
    loaded = loaded_by(f"import {', '.join(names)}")
    assert not loaded & {"torch", "transformers"}
    code = "import sys, glotclip.models.image_files, glotclip.gallery.fusion; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
