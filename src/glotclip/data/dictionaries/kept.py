"""Pairs that were read once are kept in glotclip's cache: a large dictionary takes half a minute to clean.

What is kept belongs to the content of the files and to the code that read them; either's change makes it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from glotclip.data.digests import DigestIndex
from glotclip.data.schema import Corpus, Row
from glotclip.errors import StorageError
from glotclip.storage import cache_folder, cache_root, cannot_keep, refused_by_system, writing

_NO_TRANSLATIONS: dict[str, str] = {}


def kept(lang: str, files: Sequence[Path], make: Callable[[], Corpus]) -> Corpus:
    """Return a corpus of pairs of one language from the cache, or make it and keep it.

    Args:
        lang: the language.
        files: all files that it is made from.
        make: makes it; its rows have a text and an English one, and nothing else.
    """
    index = DigestIndex()
    digest = hashlib.sha256(
        "\0".join([lang, _code(), *(f"{file.name} {index.of(file).hex()}" for file in files)]).encode()
    )
    path = cache_root() / "pairs" / f"{digest.hexdigest()[:32]}.tsv"
    if (found := _read(path, lang)) is not None:
        return found
    corpus = make()
    try:
        _write(cache_folder("pairs") / path.name, corpus)
    except (OSError, StorageError) as error:
        if refused_by_system(error) is None:
            raise
        cannot_keep(cache_root(), error)
    return corpus


def _write(path: Path, corpus: Corpus) -> None:
    head = {"name": corpus.name, "licence": corpus.licence, "notes": corpus.notes, "rows": len(corpus)}
    with writing(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as out:
        out.write(json.dumps(head) + "\n")
        out.writelines(f"{row.text}\t{row.english}\n" for row in corpus.rows)


def _read(path: Path, lang: str) -> Corpus | None:
    """What is kept, or ``None`` where nothing is, or not whole."""
    try:
        first, _, body = path.read_text(encoding="utf-8").partition("\n")
        head = json.loads(first)
        pairs = [line.split("\t") for line in body.split("\n")[:-1]]
        rows = tuple(Row(text, lang, None, None, english, _NO_TRANSLATIONS) for text, english in pairs)
        whole = len(rows) == head["rows"]
        return Corpus(head["name"], rows, (), head["licence"], notes=tuple(head["notes"])) if whole else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _code() -> str:
    """Hash of the code that reads and cleans dictionaries."""
    digest = hashlib.sha256()
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(__file__).parent.parent / "pairs.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()
