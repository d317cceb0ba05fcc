"""What Tab offers: through the shell's own protocol, and fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glotclip.cli import completion

COMMAND = [sys.executable, "-c", "from glotclip.cli.main import main; main()"]


def offered(line: str, environment: dict[str, str], cwd: Path) -> list[str]:
    """What bash would offer at the end of a line."""
    words = line.split(" ")
    done = subprocess.run(
        COMMAND, cwd=cwd, capture_output=True, text=True, check=True, timeout=60,
        env={
            **environment, "_GLOTCLIP_COMPLETE": "complete_bash", "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        },
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("glotclip se", {"search"}),
        ("glotclip search photo", {"photo-clip", "photo-clip-lite2", "photo-e5"}),
        ("glotclip search my", {"my-model"}),
        ("glotclip search my-model --lang ", {"en", "de", "zh-Hant"}),
        ("glotclip evaluate my-model --lang de,z", {"de,zh-Hant"}),
        ("glotclip export sub/", {"sub/other"}),
        ("glotclip extend emoji-clip --method sof", {"soft-prompt"}),
        ("glotclip extend emoji-clip --lang de,sw", {"de,sw"}),
        ("glotclip extend emoji-clip --data em", {"emoji"}),
        ("glotclip data get emoji-g", {"emoji-google"}),
        ("glotclip methods lo", {"lora"}),
    ],
)
def test_the_shell_is_offered(line: str, some: set[str], tmp_path: Path) -> None:
    import os

    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "export.json").write_text(json.dumps({"languages": {"en": {}, "de": {}, "zh-Hant": {}}}))
    (tmp_path / "sub" / "other").mkdir(parents=True)
    (tmp_path / "sub" / "other" / "polyglot.json").write_text("{}")
    found = offered(line, dict(os.environ), tmp_path)
    assert some <= set(found)
    begun = line.rpartition(" ")[2]
    assert all(each.startswith(begun) for each in found)


@pytest.mark.slow
def test_nothing_heavy_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from glotclip.cli import completion as c, main; c.models('p'); c.datasets('e'); c.methods('l');"
        "c.languages_of('emoji-clip'); c.languages_to_learn('d'); print(*{n.split('.')[0] for n in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not set(done.stdout.split()) & {"torch", "numpy", "onnxruntime", "transformers", "PIL"}


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_each_shell(shell: str, tmp_path: Path) -> None:
    env = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # whichever shell runs the tests
    done = subprocess.run([*COMMAND, "--show-completion", shell], capture_output=True, text=True, check=True, env=env)
    assert "_GLOTCLIP_COMPLETE" in done.stdout and done.stderr == ""
    assert {"bash": "COMPREPLY", "zsh": "#compdef", "fish": "complete --command"}[shell] in done.stdout


def test_methods_are_those_of_the_registry() -> None:
    from glotclip.methods.method import methods

    own = [name for name, each in methods().items() if each.registration.module.__module__.startswith("glotclip.")]
    assert completion.method_names() == sorted(own)


def test_languages_of_what_cannot_be_read(tmp_path: Path) -> None:
    assert completion.languages_of(str(tmp_path / "none")) == ["en"]
    (tmp_path / "export.json").write_text("[")
    assert completion.languages_of(str(tmp_path)) == ["en"]
    (tmp_path / "polyglot.json").write_text(json.dumps({"packs": {"de": "packs/de-1"}}))
    (tmp_path / "packs" / "de-1").mkdir(parents=True)
    (tmp_path / "packs" / "de-1" / "manifest.json").write_text(json.dumps({"languages": ["de"]}))
    assert completion.languages_of(str(tmp_path)) == ["en", "de"]
