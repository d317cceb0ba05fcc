"""Engines that are lines of text: translations made before, and any program that reads and writes lines."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from glotclip.data.digests import DigestIndex
from glotclip.data.encodings import read_text, split_lines
from glotclip.errors import ConfigError, DataError
from glotclip.storage import file_sha256
from glotclip.translate.engine import BatchEngine, digest


class FileEngine(BatchEngine):
    """Translations that lie in two files, line by line; a text is looked up in the one, its answer is in the other.

    Where a text stands in the file several times, the k-th time it is asked for in one call takes its k-th answer,
    starting over when they run out: a file asked for as it is comes back as the other one is. Which languages the
    files are in is the caller's to know.

    Args:
        source: the texts, one a line, plain or ``.gz``.
        target: their translations.

    Raises:
        DataError: if a file cannot be read or they differ in their numbers of lines.
    """

    name = "files"
    cacheable = False

    def __init__(self, source: Path, target: Path) -> None:
        self.source, self.target = source, target
        texts, answers = read_lines(source), read_lines(target)
        if len(texts) != len(answers):
            raise DataError(
                f"{source} has {len(texts)} lines, {target} has {len(answers)}",
                hint="the files must be translations of each other, line by line",
            )
        self._answers: dict[str, list[str]] = {}
        for text, answer in zip(texts, answers, strict=True):
            self._answers.setdefault(text, []).append(answer)

    @classmethod
    def named(cls, paths: str) -> FileEngine:
        """Open the files of ``SOURCE:TARGET``; anything else is a :class:`ConfigError`."""
        parts = paths.split(":")
        if len(parts) != 2 or not all(parts):
            raise ConfigError(f"cannot read the engine 'files:{paths}'", hint="write files:SOURCE:TARGET")
        return cls(Path(parts[0]), Path(parts[1]))

    @property
    def files(self) -> tuple[Path, Path]:
        """Both files, which nothing may be written over."""
        return self.source, self.target

    @cached_property
    def version(self) -> str:
        """Stands for the content of both files."""
        return digest(file_sha256(self.source), file_sha256(self.target))

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Look the texts up; one that the file lacks is a :class:`DataError`."""
        missing = [text for text in texts if text not in self._answers]
        if missing:
            raise DataError(
                f"{self.source} does not hold {len(missing)} of {len(texts)} texts, first: {missing[0]!r}",
                hint="give the file these texts come from, or an engine that can translate them",
            )
        times: dict[str, int] = {}
        found = []
        for text in texts:
            known = self._answers[text]
            found.append(known[times.setdefault(text, 0) % len(known)])
            times[text] += 1
        return found


class CommandEngine(BatchEngine):
    """Any program that reads one text a line and writes one translation a line.

    The program is started once for every few thousand texts, without a shell.

    Args:
        command: program and arguments as one would type them; ``{source}`` and ``{target}`` in them become the codes.

    Raises:
        ConfigError: if the command cannot be parsed or there is no such program.
    """

    name = "command"
    chunk = 2000

    def __init__(self, command: str) -> None:
        try:
            self.arguments = shlex.split(command)
        except ValueError as error:
            raise ConfigError(f"cannot read the command {command!r}: {error}", hint="close the quotation") from error
        program = shutil.which(self.arguments[0]) if self.arguments else None
        if program is None:
            raise ConfigError(
                f"there is no program {(self.arguments or [command])[0]!r}",
                hint="give a program on the PATH or by its full path, e.g. command:./translate.sh",
            )
        self.program = program

    @cached_property
    def version(self) -> str:
        """Stands for the command, and for the content of the files it names; what those load is not seen."""
        return digest(*self.arguments, *(content for argument in self.arguments for content in _content(argument)))

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Send the texts through the program."""
        filled = [each.replace("{source}", source).replace("{target}", target) for each in self.arguments[1:]]
        return split_lines(run_program([self.program, *filled], "".join(f"{text}\n" for text in texts)))


def run_program(command: Sequence[str], text: str = "", *, environment: dict[str, str] | None = None) -> str:
    """Return what a program writes when it reads ``text``.

    Raises:
        DataError: if it cannot be started, fails, or writes something else than UTF-8.
    """
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False, env=environment)
    except OSError as error:
        raise DataError(
            f"{command[0]} cannot be run ({error.strerror})", hint="check that it is executable"
        ) from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise DataError(
            f"{command[0]} ended with exit code {done.returncode}" + (f": {said[-1]}" if said else ""),
            hint=f"try it by hand: {shlex.join(command)}",
        )
    try:
        return done.stdout.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{command[0]} did not write UTF-8", hint="set its encoding, e.g. LC_ALL=C.UTF-8") from error


def read_lines(path: Path, encoding: str | None = None) -> list[str]:
    """Return the lines of a text file, plain or ``.gz``, white space as single spaces; some may be empty."""
    return [" ".join(line.split()) for line in split_lines(read_text(path, encoding))]


def _content(argument: str) -> Iterator[str]:
    try:
        yield DigestIndex().of(Path(shutil.which(argument) or argument)).hex()
    except (OSError, ValueError):  # an argument that is no file
        return
