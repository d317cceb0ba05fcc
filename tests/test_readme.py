"""The README says what is there: its file tree, its commands, its results."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = "src/glotclip/"


def _tree() -> list[str]:
    """The paths in the README's file tree, relative to the root."""
    block = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert block
    paths = []
    for line in block[1].splitlines():
        name = line.split()[0]
        paths.append(PACKAGE + name if line.startswith("  ") else name)
    return paths


def test_everything_in_the_tree_exists() -> None:
    assert [path for path in _tree() if not (ROOT / path).exists()] == []


def test_every_module_and_folder_of_the_package_is_in_the_tree() -> None:
    found = {
        PACKAGE + entry.name + ("/" if entry.is_dir() else "")
        for entry in (ROOT / PACKAGE).iterdir()
        if entry.suffix == ".py" or (entry.is_dir() and entry.name != "__pycache__")
    }
    assert found == {path for path in _tree() if path.startswith(PACKAGE) and path != PACKAGE}


def test_every_line_of_the_tree_has_a_purpose() -> None:
    block = re.search(r"```text\n(.*?)```", README, re.DOTALL)
    assert block
    bare = [line for line in block[1].splitlines() if len(line.split()) < 2]
    assert bare == ["src/glotclip/"]


def test_the_make_targets_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README.split("## Results")[0])) <= targets | {"it"}


def test_the_results_are_the_committed_ones() -> None:
    table = re.search(r"<!-- results -->\n(.*?)<!-- /results -->", README, re.DOTALL)
    committed = (ROOT / "benchmarks/results/ten_languages.md").read_text(encoding="utf-8")
    assert table
    assert table[1].strip() == committed.strip()


def test_tables_in_the_docs_are_the_committed_ones() -> None:
    for page, mark in (("text", "forms"), ("results", "accelerator")):
        shown = re.search(
            rf"<!-- {mark} -->\n(.*?)<!-- /{mark} -->", (ROOT / f"docs/{page}.md").read_text(), re.DOTALL
        )
        name = {"forms": "text_forms"}.get(mark, mark)
        assert shown and shown[1] in (ROOT / f"benchmarks/results/{name}.md").read_text(encoding="utf-8"), mark


def test_the_tables_of_pect_are_the_committed_results() -> None:
    script = runpy.run_path(str(ROOT / "benchmarks" / "pect_tables.py"))
    assert script["filled"](script["DOCS"].read_text(encoding="utf-8")) == script["DOCS"].read_text(encoding="utf-8")


def test_the_python_example_runs() -> None:
    """The first lines of the README's example, as they stand there; the rest needs a run of minutes."""
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block
    head = block[1].split("made = ")[0]
    scope: dict[str, object] = {}
    exec(head, scope)
    assert "model" in scope


def test_the_first_command_prints_the_first_numbers(tmp_path: Path) -> None:
    """Precision and processor move a score a little; seconds are left out."""
    command = next(line for line in README.splitlines() if line.startswith("glotclip extend")).split("#")[0]
    arguments = [str(tmp_path / "out") if word == "my-clip" else word for word in shlex.split(command)[1:]]
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
sys.modules.update(dict.fromkeys({NOT_INSTALLED!r}))
from glotclip.cli.main import run
for command in sys.argv[1].split(chr(10)):
    code = run(command.split(chr(9)))
    print("CODE", code)
"""


def test_the_readmes_commands_need_no_more_than_the_readme_installs(
    drawn: Path, base: object, tmp_path: Path
) -> None:
    """`extend` and `search` as they stand there, on a small base and few pictures; and nothing else is imported."""
    from glotclip.models.checkpoints import save_base

    save_base(base, tmp_path / "base")  # type: ignore[arg-type]
    shown = [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("glotclip ")]
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
