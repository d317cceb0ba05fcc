"""Every example runs as its first line says, offline, and finds what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[1] / "examples"
#: what each prints, as a pattern
PRINTED = {
    "compare_methods": r"\| rows +\| +\d\d\.\d.*\n\| acquirers +\| +\d\d\.\d",
    "search_photographs": r"^0\.\d+  1f418\.png\n(.*\n){4}64 images searched in 'en', 0 could not be read",
    "teach_from_csv": r"R@5 among [4-8]\d held-out images: [2-9]\d\.",  # a tenth, by the names of files
    "use_a_pack": r"de: \d\.\d MB\nlanguages: en, de; the same features: True",
}


def test_every_example_is_known_here_and_short() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(PRINTED)
    long = [path.name for path in EXAMPLES.glob("*.py") if len(path.read_text(encoding="utf-8").splitlines()) > 40]
    assert long == []


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One feature cache for all examples, as a user has."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", PRINTED)
def test_an_example_runs_and_prints_what_it_found(name: str, cache: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")], capture_output=True, text=True, check=False, timeout=280,
        env={**os.environ, "GLOTCLIP_CACHE": str(cache), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(PRINTED[name], done.stdout), done.stdout
