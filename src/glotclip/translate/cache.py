"""What was translated once is not translated again: the disk cache, and the translator that uses it.

One SQLite file for all engines. An answer is found by engine, version, pair and a hash of the text. Answers are
written chunk by chunk, each chunk in one transaction, so a kill loses one chunk at most, and several processes may
share the file.
"""

from __future__ import annotations

import hashlib
import sqlite3
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from glotclip.errors import ConfigError, DataError, LanguageError, StorageError
from glotclip.storage import cache_root, cannot_keep
from glotclip.translate.engine import (
    BatchEngine,
    Engine,
    UnansweredWarning,
    ask,
    digest,
    language_pair,
    one_line_each,
)
from glotclip.translate.routes import available

FILE = "translations.sqlite"
FORMAT = 1
_WAIT_SECONDS = 60.0
_AT_ONCE = 500  # SQLite's oldest limit of variables in one statement is 999
_CHUNK = 512
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  id INTEGER PRIMARY KEY, engine TEXT, version TEXT, source TEXT, target TEXT,
  UNIQUE (engine, version, source, target));
CREATE TABLE IF NOT EXISTS answers (
  run INTEGER REFERENCES runs (id), text BLOB, answer TEXT NOT NULL, PRIMARY KEY (run, text)) WITHOUT ROWID;
"""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Translation:
    """What became of a list of texts.

    Attributes:
        texts: one translation a text, in order, none empty.
        cached: how many of them came out of the cache.
        unanswered: places of the texts that the engine has no answer to; they stand untranslated in ``texts``.
    """

    texts: list[str]
    cached: int
    unanswered: tuple[int, ...]


class Translator:
    """An engine behind the disk cache; itself an :class:`~glotclip.translate.engine.Engine`.

    Args:
        engine: who translates.
        cache: the folder of the cache's file; by default glotclip's own. Two texts that differ in white space only
            are one text.
        limit: the share of texts (0 to 1) that may stay without an answer; more is an error.
    """

    def __init__(self, engine: Engine, cache: Path | None = None, *, limit: float = 0.05) -> None:
        self.engine, self.limit = engine, limit
        self.cache = cache or cache_root()
        self._unkept: dict[tuple[str, str], dict[str, str]] = {}  # what the disk would not take

    @property
    def name(self) -> str:
        """The engine's."""
        return self.engine.name

    @property
    def version(self) -> str:
        """The engine's."""
        return self.engine.version

    @property
    def files(self) -> tuple[Path, ...]:
        """The files the engine reads translations from."""
        return tuple(getattr(self.engine, "files", ()))

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """Translate; see :class:`~glotclip.translate.engine.Engine`. Unanswered texts are counted in a warning."""
        result = self.run(texts, source, target)
        if result.unanswered:
            warnings.warn(
                f"{self.name} had no answer to {len(result.unanswered)} of {len(texts)} texts; they stay as they are",
                UnansweredWarning,
                stacklevel=2,
            )
        return result.texts

    def run(self, texts: Sequence[str], source: str, target: str, *, progress: Progress | None = None) -> Translation:
        """Translate, going on where an earlier run was ended.

        Args:
            texts: any number of texts.
            source: BCP-47 code of their language.
            target: BCP-47 code of the language to translate into.
            progress: called with (done, total) after every chunk, counting distinct texts.

        Raises:
            DataError: if a text is empty, the engine gave another number of answers, or too few; what was answered
                is in the cache all the same.
            LanguageError: if a code is malformed or the engine does not translate between the two.
            StorageError: if the cache is damaged. One that cannot be written is warned of, and done without.
        """
        lines = one_line_each(texts)
        pair = language_pair(source, target)
        if not lines:
            return Translation([], 0, ())
        if isinstance(self.engine, BatchEngine) and not self.engine.cacheable:
            return self._finished(lines, ask(self.engine, lines, *pair), cached=0)
        distinct = list(dict.fromkeys(lines))
        with _opened(self.cache / FILE) as store:
            key = store.run(self.engine, *pair)
            unkept = self._unkept.setdefault(pair, {})
            answers = store.get(key, distinct) | {text: unkept[text] for text in distinct if text in unkept}
            cached = sum(line in answers for line in lines)
            missing = [text for text in distinct if text not in answers]
            for chunk in _parts(missing, getattr(self.engine, "chunk", _CHUNK)):
                new = dict(zip(chunk, ask(self.engine, chunk, *pair), strict=True))
                if not store.put(key, new):
                    unkept.update(new)
                answers.update(new)
                if progress is not None:
                    progress(len(answers), len(distinct))
        return self._finished(lines, [answers[line] for line in lines], cached=cached)

    def _finished(self, lines: Sequence[str], answers: Sequence[str], *, cached: int) -> Translation:
        unanswered = tuple(place for place, answer in enumerate(answers) if not answer)
        if len(unanswered) > max(1, self.limit * len(lines)):
            raise DataError(
                f"{self.name} had no answer to {len(unanswered)} of {len(lines)} texts, first: "
                f"{lines[unanswered[0]]!r} (at most {self.limit:.0%} may be without)",
                hint="check that the engine fits the languages; or leave such texts out",
            )
        return Translation([answer or line for answer, line in zip(answers, lines, strict=True)], cached, unanswered)


class FirstFit(Translator):
    """Several translators in the order of trust: a pair of languages is the first one's that is meant for it.

    Which one that is depends on the languages alone, never on a text: no language is translated by two hands. One
    that is meant for a pair but does not know it passes it on.

    Args:
        choices: translators, each with the languages it is meant for (one side of the pair must be among them; none
            named: every pair). At least one; each keeps its own answers in the cache.
    """

    def __init__(self, choices: Sequence[tuple[Collection[str], Translator]]) -> None:
        self.choices = tuple(choices)

    @property
    def name(self) -> str:
        """Those of all."""
        return " or ".join(translator.name for _, translator in self.choices)

    @property
    def version(self) -> str:
        """Stands for the versions of all."""
        return digest(*(translator.version for _, translator in self.choices))

    @property
    def files(self) -> tuple[Path, ...]:
        """Those of all."""
        return tuple(file for _, translator in self.choices for file in translator.files)

    def run(self, texts: Sequence[str], source: str, target: str, *, progress: Progress | None = None) -> Translation:
        """Translate; see :meth:`Translator.run`.

        Raises:
            LanguageError: if a code is malformed, or none is meant for the pair and knows it.
        """
        pair = language_pair(source, target)
        refusals = []
        for languages, translator in self.choices:
            if languages and not any(available(code, list(languages)) for code in pair):
                continue
            try:
                return translator.run(texts, source, target, progress=progress)
            except LanguageError as error:
                refusals.append(error)
        raise LanguageError(
            "; ".join(error.message for error in refusals) or f"no engine is meant for {pair[0]!r} into {pair[1]!r}",
            hint=refusals[0].hint if refusals else "name one for it: … or CODE=ENGINE",
        )


class _Store:
    """The cache's file. An empty answer is one too: the engine was asked and had none."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, *, writable: bool) -> None:
        self._connection, self._folder = connection, folder
        self._refused = not writable

    def run(self, engine: Engine, source: str, target: str) -> int:
        """Return the number under which answers of this engine, version and pair are kept; −1 where none can be."""
        facts = (engine.name, engine.version, source, target)
        find = "SELECT id FROM runs WHERE engine = ? AND version = ? AND source = ? AND target = ?"
        found = self._connection.execute(find, facts).fetchone()
        if found is None:  # looked for first, since a write locks the file even where it changes nothing
            self._write("INSERT OR IGNORE INTO runs (engine, version, source, target) VALUES (?, ?, ?, ?)", [facts])
            found = self._connection.execute(find, facts).fetchone()
        return -1 if found is None else int(found[0])

    def get(self, run: int, texts: Sequence[str]) -> dict[str, str]:
        """Return the answers that are there."""
        answers: dict[str, str] = {}
        for some in _parts(texts, _AT_ONCE):
            by_key = {_key(text): text for text in some}
            marks = ",".join("?" * len(by_key))
            rows = self._connection.execute(
                f"SELECT text, answer FROM answers WHERE run = ? AND text IN ({marks})", (run, *by_key)
            )
            answers.update((by_key[key], answer) for key, answer in rows)
        return answers

    def put(self, run: int, answers: Mapping[str, str]) -> bool:
        """Keep answers, all or none of them; say whether they were taken."""
        rows = [(run, _key(text), answer) for text, answer in answers.items()]
        return self._write("INSERT OR REPLACE INTO answers (run, text, answer) VALUES (?, ?, ?)", rows)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> bool:
        """Write in one transaction, unless the disk refuses (full, read-only, locked for long), now or before."""
        if not self._refused:
            try:
                with self._connection:
                    self._connection.executemany(statement, rows)
            except sqlite3.OperationalError as error:
                self._refused = True
                cannot_keep(self._folder, error)
        return not self._refused


def _parts(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


@contextmanager
def _opened(path: Path) -> Iterator[_Store]:
    """Open the cache's file, made if need be, or one in memory where the system refuses."""
    try:
        connection, writable = _connect(path)
        with closing(connection):
            yield _Store(connection, path.parent, writable=writable)
    except sqlite3.OperationalError as error:  # reading met a lock that was held for long, or a bad disk
        raise StorageError(
            f"the cache {path} cannot be read ({error})",
            hint="wait for the other process, or choose another --cache; what was done is kept",
        ) from error
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"the cache {path} is damaged ({error})",
            hint="remove the file; it only holds what can be translated again",
        ) from error


def _connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Return a connection and whether it can be written to."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _prepared(sqlite3.connect(path, timeout=_WAIT_SECONDS), path), True
    except (OSError, sqlite3.OperationalError) as error:  # locked, full, read-only, a file in a folder's place
        try:  # what others wrote may be read
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            if connection.execute("PRAGMA user_version").fetchone()[0] == FORMAT:
                cannot_keep(path.parent, error)
                return connection, False
            connection.close()
        except sqlite3.OperationalError:
            pass
        cannot_keep(path.parent, error)
        return _prepared(sqlite3.connect(":memory:"), path), False


def _prepared(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT:
        connection.close()
        raise ConfigError(
            f"the cache {path} is of a newer format ({version}, known: {FORMAT})",
            hint="update glotclip, or choose another --cache",
        )
    if version == 0 and connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        connection.close()
        raise StorageError(f"{path} is not glotclip's cache", hint="choose another --cache")
    if version < FORMAT:
        with connection:
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
    return connection
