"""Translation engines that are installed here."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from glotclip.doctor.check import Case, Finding, check

SECONDS = 10


@check("translation engines")
def engines(case: Case) -> Iterator[Finding]:
    """Apertium is a program; the others are packages, named above, with a model that the user brings."""
    program = shutil.which("apertium")
    if program is None:
        yield Finding(
            "apertium", "not installed; for translating captions and queries", "missing", "apt install apertium"
        )
        return
    try:
        done = subprocess.run([program, "-l"], capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding("apertium", f"{program} does not answer: {error}", "broken", "apt install --reinstall apertium")
        return
    pairs = done.stdout.split()
    if done.returncode:
        said = next(iter(done.stderr.splitlines()), f"exit code {done.returncode}")
        yield Finding("apertium", f"{program}: {said}", "broken", "apt install --reinstall apertium")
    elif not pairs:
        yield Finding("apertium", "has no pair of languages", "missing", "apt install apertium-spa-eng")
    else:
        yield Finding("apertium", ", ".join(pairs))
