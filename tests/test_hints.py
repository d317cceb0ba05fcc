"""Every hint of every error names something that exists: options, commands, settings, functions, extras, files.

The hints are read from the source, where placeholders stand for what is known only when the error is raised.
"""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import glotclip
from glotclip import api
from glotclip.api.config import ExtendConfig
from glotclip.cli.main import app
from glotclip.compare.recipe import Recipe, RunEntry
from glotclip.config import Settings
from glotclip.data.reading import Reading
from glotclip.data.tables import SYNONYMS
from glotclip.methods.method import methods
from glotclip.training.base import BaseSettings
from glotclip.training.finetune import FinetuneSettings
from glotclip.training.settings import TrainSettings

ROOT = Path(__file__).parents[1]
GAP = "…"  # stands for a placeholder

#: Options of other programs, and the program in whose command line they may stand.
FOREIGN_OPTIONS = {"--force-reinstall": "pip install", "--no-deps": "pip install", "--copy_files": "converter"}
#: Environment variables that other software reads.
FOREIGN_VARIABLES = {"HF_HUB_OFFLINE", "LC_ALL"}
#: Options of an engine's address (:mod:`glotclip.library.stores.address`).
OF_ADDRESSES = {"index"}
#: Where errors are about calls from other code, not about data, settings or models that a user brings.
INSIDE = tuple(f"glotclip/{name}" for name in ("models/", "evaluation/", "methods/", "data/features.py"))


def hints() -> list[tuple[str, str]]:
    """Every hint in the source: where it is, and its text."""
    found = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        where = str(path.relative_to(ROOT / "src"))
        for scope in ast.walk(tree):
            if isinstance(scope, ast.FunctionDef | ast.Module):
                found += [(f"{where}:{line}", text) for line, text in _of_scope(scope)]
    return sorted(set(found))


def _of_scope(scope: ast.FunctionDef | ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(scope):
        if isinstance(node, ast.Call):
            given = [keyword.value for keyword in node.keywords if keyword.arg == "hint"]
            if isinstance(node.func, ast.Name) and node.func.id == "complain" and len(node.args) == 2:
                given.append(node.args[1])
            for value in given:
                for text in _texts(value, scope):
                    yield node.lineno, text


def _texts(value: ast.expr, scope: ast.AST) -> Iterator[str]:
    """The texts a value may be; names are looked up among the assignments around."""
    if isinstance(value, ast.Constant):
        yield str(value.value)
    elif isinstance(value, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else GAP for part in value.values)  # type: ignore[misc]
        for part in value.values:  # an optional part of a sentence may be a text of its own
            if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp | ast.Name):
                yield from _texts(part.value, scope)
    elif isinstance(value, ast.IfExp):
        yield from _texts(value.body, scope)
        yield from _texts(value.orelse, scope)
    elif isinstance(value, ast.BinOp | ast.BoolOp):
        for part in [value.left, value.right] if isinstance(value, ast.BinOp) else value.values:
            yield from _texts(part, scope)
    elif isinstance(value, ast.Call):
        yield from (text for part in value.args for text in _texts(part, scope))
    elif isinstance(value, ast.Name):
        for node in ast.walk(scope):
            targets = (
                [node.target] if isinstance(node, ast.AugAssign | ast.AnnAssign) else getattr(node, "targets", [])
            )
            if any(isinstance(each, ast.Name) and each.id == value.id for each in targets):
                assigned = getattr(node, "value", None)
                if isinstance(assigned, ast.expr) and not (
                    isinstance(assigned, ast.Name) and assigned.id == value.id
                ):
                    yield from _texts(assigned, scope)


# --- what there is -----------------------------------------------------------------------------------------------


@cache
def commands() -> dict[tuple[str, ...], set[str]]:
    """The options of every command, by the words that call it."""
    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: Any, words: tuple[str, ...]) -> None:
        found[words] = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {
            "--help"
        }
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


@cache
def settings() -> set[str]:
    """Names that a recipe, ``--set``, or a stage may hold."""
    kinds: list[type[Settings]] = [TrainSettings, FinetuneSettings, BaseSettings, Recipe, RunEntry, ExtendConfig]
    names = {name for kind in kinds for name in kind.model_fields}
    return names | {name for method in methods().values() for name in method.setting_names()}


@cache
def arguments() -> set[str]:
    """Names of arguments of public functions and of everything that is defined in the source."""
    found = set(Reading.__optional_keys__)
    for each in (
        *(getattr(api, name) for name in api.__all__),
        *(getattr(glotclip, name) for name in glotclip.__all__),
    ):
        if inspect.isclass(each) or inspect.isroutine(each):
            found |= set(inspect.signature(each).parameters)
    return found


@cache
def defined() -> set[str]:
    """Names of all functions, classes, their arguments and fields in the source.

    A hint may name one if it is about a call that a programmer made; to whoever brings data and settings, what only
    some function inside takes is no help.
    """
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            if isinstance(node, ast.FunctionDef):
                found |= {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
    return found


@cache
def columns() -> set[str]:
    """Headers that are read."""
    return {name for names in SYNONYMS.values() for name in names}


@cache
def extras() -> set[str]:
    """What `pip install 'glotclip[…]'` takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


# --- what is wrong with a hint -----------------------------------------------------------------------------------


def faults(text: str, where: str = "") -> list[str]:
    """What a hint in the source file ``where`` names that does not exist."""
    known = commands()
    every = set().union(*known.values())
    wrong = [
        f"option {option}"
        for option in re.findall(r"(?<![\w-])--[a-z][a-z_-]*", text)
        if option not in every and FOREIGN_OPTIONS.get(option, "\0") not in text
    ]
    for line in re.findall(r"`glotclip ([^`]*)`", text):
        wrong += _faults_of_command(line, known)
    for name in re.findall(r"--set ([a-z_]+)=", text):
        wrong += [f"setting {name}"] if name not in settings() else []
    for name in re.findall(r"--method ([a-z-]+)", text):
        wrong += [f"method {name}"] if name not in methods() else []
    assigned = (
        settings() | OF_ADDRESSES | arguments() | columns() | (defined() if where.startswith(INSIDE) else set())
    )
    for name in re.findall(r"(?<![\w.])([a-z_]+)=(?=[\w'…{(])", text):
        wrong += [f"{name}="] if name not in assigned | _torch(text) else []
    named = assigned | _literals(where.partition(":")[0])
    plain = re.sub(r"`[^`]*`|--[\w-]+|https?://\S+|[\w./@-]+\.(?:pt|json|py|co/\S*)|<[^>]*>", " ", text)
    for name in re.findall(r"(?<![\w./$@-])[a-z]+(?:_[a-z0-9]+)+\b", plain):
        wrong += [f"name {name}"] if name not in named and name not in _torch(text) else []
    for module, name in re.findall(r"\b(glotclip|torch)\.([\w.]+)", text):
        wrong += [f"{module}.{name}"] if not _has(module, name) else []
    for name in re.findall(r"(?<![\w.])([a-z_]{3,})\(", text):
        wrong += [f"function {name}"] if name not in defined() and name not in _torch(text) else []
    for extra in (*re.findall(r"glotclip\[(\w+)\]", text), *re.findall(r"extra `(\w+)`", text)):
        wrong += [f"extra {extra}"] if extra not in extras() else []
    for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b(?!\.)", text):
        wrong += [f"variable {name}"] if name not in FOREIGN_VARIABLES and not _read_somewhere(name) else []
    for place in re.findall(r"\b((?:recipes|docs|benchmarks)/[\w./-]*)", text):
        wrong += [f"file {place}"] if not (ROOT / place.rstrip(".")).exists() else []
    return wrong


def _faults_of_command(line: str, known: dict[tuple[str, ...], set[str]]) -> list[str]:
    words = line.split()
    path = next((tuple(words[:n]) for n in range(len(words), 0, -1) if tuple(words[:n]) in known), ())
    if not path:
        return [f"command glotclip {line}"]
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [f"{' '.join(path)} {option}" for option in given if option not in known[path]]


def _torch(text: str) -> set[str]:
    """Names of torch, where a hint speaks of it."""
    import torch

    return (
        set(dir(torch)) | set(dir(torch.nn.Module)) | {"map_location"}
        if re.search("torch|state_dict", text)
        else set()
    )


def _has(module: str, name: str) -> bool:
    import torch

    found: Any = {"glotclip": glotclip, "torch": torch}[module]
    for part in name.rstrip(".").split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


@cache
def _literals(file: str) -> set[str]:
    """Texts that stand in a source file as they are, such as names of files that it reads."""
    path = ROOT / "src" / file
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if path.is_file() else ()
    return {str(node.value).partition(".")[0] for node in nodes if isinstance(node, ast.Constant)}


@cache
def _source() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))


def _read_somewhere(name: str) -> bool:
    """Whether the source reads an environment variable of this name."""
    return f'"{name}"' in _source()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("fill in the lang column, or set default_language", "name default_language"),
        ("use --no-such-option", "option --no-such-option"),
        ("`glotclip extand DIR`", "command glotclip extand DIR"),
        ("`glotclip pack list DIR --lang de`", "pack list --lang"),
        ("--set stepps=3", "setting stepps"),
        ("pip install 'glotclip[everything]'", "extra everything"),
        ("set GLOTCLIP_HOUSE to a folder", "variable GLOTCLIP_HOUSE"),
        ("see recipes/none.yaml", "file recipes/none.yaml"),
        ("call glotclip.learn()", "glotclip.learn"),
    ],
)
def test_what_does_not_exist_is_found(text: str, wrong: str) -> None:
    assert wrong in faults(text)


@pytest.mark.parametrize(("where", "text"), hints())
def test_a_hint_names_what_exists(where: str, text: str) -> None:
    assert faults(text, where) == [], f"{where}: {text}"
