"""Rows of one code that serve a language asked for under another: ``zh-CN`` for ``zh``, ``de`` for ``de-AT``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from glotclip.data.schema import Corpus
from glotclip.errors import LanguageError
from glotclip.languages import resolve


def servers(langs: Iterable[str], have: Sequence[str]) -> dict[str, str]:
    """Return, for each of ``langs`` that has one, the code among ``have`` that serves it; see :func:`resolve`."""
    found = ((code, resolve(code, have, near=True)) for code in langs)
    return {code: server for code, server in found if server is not None}


def serve(corpus: Corpus, langs: Iterable[str]) -> Corpus:
    """Return a corpus in which rows that serve a language asked for under another code bear that code.

    Rows are copied where their own code is asked for as well. What serves what is told in the corpus's notes.
    """
    wanted = list(langs)
    aliases = {code: server for code, server in servers(wanted, corpus.languages).items() if code != server}
    if not aliases:
        return corpus
    kept = {*wanted, *(code for code in corpus.languages if code not in aliases.values())}
    rows = [row for row in corpus.rows if row.lang in kept]
    for code, server in aliases.items():
        rows += [replace(row, lang=code) for row in corpus.rows if row.lang == server]
    return replace(corpus, rows=tuple(rows), notes=(*corpus.notes, *(said(*pair) for pair in aliases.items())))


def said(code: str, server: str) -> str:
    """Say once which rows serve which language."""
    return f"rows in {server} serve {code}"


def served(corpus: Corpus, langs: Sequence[str], where: object) -> Corpus:
    """Return a corpus that has captions in all of ``langs``.

    Raises:
        LanguageError: if there is one that no rows serve.
    """
    have = corpus.languages
    known = servers(langs, have)
    if missing := [code for code in langs if code not in known]:
        raise no_captions(where, missing, have)
    return serve(corpus, langs)


def no_captions(where: object, missing: Iterable[str], have: Sequence[str]) -> LanguageError:
    """Return the error that names what is missing and what is there."""
    return LanguageError(
        f"{where} has no captions in {', '.join(missing)}", hint=f"it has: {', '.join(have) or 'none'}"
    )
