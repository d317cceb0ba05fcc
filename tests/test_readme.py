"""The README says what is there: its file tree, its commands, its results; and so do the pages in docs/."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import glotclip
from glotclip import threads

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = "src/glotclip/"


def _tree() -> dict[str, str]:
    """Purposes by path, relative to the root, in the README's file tree."""
    block = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert block
    entries: dict[str, str] = {}
    for line in block[1].splitlines():
        name, _, purpose = line.strip().partition(" ")
        entries[PACKAGE + name if line.startswith("  ") else name] = purpose.strip()
    return entries


def _folders(root: Path) -> set[str]:
    return {entry.name + "/" for entry in root.iterdir() if entry.is_dir() and entry.name != "__pycache__"}


def test_everything_in_the_tree_exists_and_has_a_purpose() -> None:
    assert [path for path in _tree() if not (ROOT / path).exists()] == []
    assert [path for path, purpose in _tree().items() if not purpose] == []


def test_every_folder_is_in_the_tree() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    own = {
        name
        for name in _folders(ROOT)
        if not name.startswith(".") and not any(fnmatch(name, line.removeprefix("/")) for line in ignored)
    }
    assert own - {"src/"} <= set(_tree())
    assert {PACKAGE + name for name in _folders(ROOT / PACKAGE)} == {
        path for path in _tree() if path.startswith(PACKAGE) and path != PACKAGE
    }


def test_the_readme_is_short_and_shows_its_picture() -> None:
    assert len(README.splitlines()) < 120
    shown = re.search(r"!\[.*?\]\((.*?)\)", README)
    assert shown
    assert (ROOT / shown[1]).stat().st_size <= 150_000


def test_no_page_is_wider_than_120_columns() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    wide = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in pages
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
        if len(line) > 120 and "http" not in line
    ]
    assert wide == []


def test_the_links_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_make_targets_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"(?:`|^    )make ([a-z -]+?)(?:`|  |$)", README, re.MULTILINE)
    assert {"demo", "docs", "check test"} <= set(named)
    assert {target for words in named for target in words.split()} <= targets


def test_every_environment_variable_is_documented() -> None:
    """Those that the source reads, by name or by the names of `threads`."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    read = re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", source) + re.findall(r"\bGLOTCLIP_[A-Z_]+", source)
    page = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    assert "GLOTCLIP_CACHE" in read
    assert {name for name in (*read, *threads.NUMBERS, *threads.WAITING) if f"`{name}" not in page} == set()


def test_tables_in_the_docs_are_the_committed_results() -> None:
    script = runpy.run_path(str(ROOT / "benchmarks" / "docs_tables.py"))
    for page in script["PAGES"]:
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert script["filled"](page, text) == text, page


def test_the_accelerators_table_is_the_committed_one() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- accelerator -->\n(.*?)<!-- /accelerator -->", page, re.DOTALL)
    assert shown
    assert shown[1] in (ROOT / "benchmarks" / "results" / "accelerator.md").read_text(encoding="utf-8")


def test_the_figures_of_the_readme_are_committed() -> None:
    """Every score in its paragraph on results is in the table of ten languages."""
    told = README.partition("## Results")[2].partition("\n## ")[0]
    table = (ROOT / "benchmarks" / "results" / "ten_languages.md").read_text(encoding="utf-8")
    assert [figure for figure in re.findall(r"\d+\.\d", told) if figure not in table] == []


def test_the_python_example_runs() -> None:
    """The first lines of the README's example, as they stand there; the rest needs a run of minutes."""
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block
    head = block[1].split("model = glotclip.extend")[0]
    scope: dict[str, object] = {}
    exec(head, scope)
    assert "model" in scope


@pytest.mark.slow
def test_the_first_command_prints_the_first_numbers(tmp_path: Path) -> None:
    """Precision and processor move a score a little; seconds are left out."""
    line = next(line for line in README.splitlines() if line.startswith("glotclip extend emoji-clip"))
    words = shlex.split(line, comments=True)[1:]
    arguments = [str(tmp_path / "out") if word == "my-clip" else word for word in words]
    done = subprocess.run(
        [sys.executable, "-c", "from glotclip.cli.main import main; main()", *arguments], timeout=280, check=True,
        capture_output=True, text=True, env={**os.environ, "GLOTCLIP_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    told = re.search(r"<!-- first -->\n```console\n(.*?)```", README, re.DOTALL)
    assert told
    number = r"\d+\.\d"
    for line in told[1].splitlines():
        said = line.partition("; ")[2] or line
        pattern = number.join(re.escape(words) for words in re.split(number, said))
        found = re.search(pattern, done.stdout)
        assert found, f"{said!r} is not in\n{done.stdout}"
        for old, new in zip(re.findall(number, said), re.findall(number, found[0]), strict=True):
            assert abs(float(old) - float(new)) <= 1.0, line


#: what `pip install -e '.[demo,report]'` does not bring
NOT_INSTALLED = (
    "py3langid",
    "transformers",
    "peft",
    "ctranslate2",
    "sentencepiece",
    "pi_heif",
    "pytest",
    "hypothesis",
)
WITHOUT = f"""
import sys
import tomllib
sys.modules.update(dict.fromkeys({NOT_INSTALLED!r}))
from glotclip.cli.main import run
for command in sys.argv[1].split(chr(10)):
    code = run(command.split(chr(9)))
    print("CODE", code)
"""


@pytest.mark.slow
def test_the_readmes_commands_need_no_more_than_the_readme_installs(
    drawn: Path, base: object, tmp_path: Path
) -> None:
    """`extend` and `search` as they stand there, on a small base and few pictures; and nothing else is imported."""
    from glotclip.models.checkpoints import save_base

    save_base(base, tmp_path / "base")  # type: ignore[arg-type]
    shown = [line.split("#")[0].strip() for line in README.splitlines() if re.match(r"glotclip .*\bmy-clip\b", line)]
    assert len(shown) == 2
    stand_in = {
        "emoji-clip": str(tmp_path / "base"), "emoji": str(drawn), "my-clip": str(tmp_path / "my-clip"),
        "de,zh": "de,fr", "~/Pictures": str(drawn.parent / "pictures"),
    }  # fmt: skip
    commands = [[stand_in.get(word, word) for word in shlex.split(line)[1:]] for line in shown]
    commands[0] += ["--set", "steps=2", "--set", "batch_size=4", "--set", "vocabulary=150"]
    asked = "\n".join("\t".join(command) for command in commands)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, asked], capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "GLOTCLIP_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert re.findall(r"CODE (\d+)", done.stdout) == ["0", "0"], done.stderr


def test_the_glossary_is_short_and_its_classes_exist() -> None:
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    glossary = page.partition("## Glossary")[2].partition("\n## ")[0]
    assert 10 <= len(re.findall(r"^\d+\. \*\*", glossary, re.MULTILINE)) <= 15
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / PACKAGE).rglob("*.py"))
    assert [name for name in re.findall(r"`([A-Z]\w+)`", glossary) if f"class {name}" not in source] == []


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## \[(\d\S*)\] - (\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    assert released
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {released[1]}\ndate-released: {released[2]}\n" in citation
    assert version == glotclip.__version__ == released[1]
