"""Where parallel text lies: line-aligned files in a folder, or any corpus the catalogue knows.

A file says its language in its name: ``train.de``, ``train.de.gz``, ``test_1kcaptions_de.txt`` or ``de.txt``. Files
of one stem are aligned. A folder called ``from_english`` or ``translated_from_en`` holds English captions translated
by a machine, ``to_english`` or ``translated_to_en`` the machine's English; everything else is taken for human.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glotclip.data.corpora.companions import FOLDERS
from glotclip.data.corpora.layout import Layout, lines_of
from glotclip.data.parallel import HUMAN, Text
from glotclip.data.schema import Row, known_language
from glotclip.errors import DataError, LanguageError

# Endings that are not languages, though some of them (sh, so, csv) are codes of one.
_OTHER = frozenset({"images", "csv", "tsv", "json", "jsonl", "md", "py", "sh", "so", "tok", "bpe", "log", "gz"})
_DEEPEST = 4


def from_files(folder: Path) -> list[Text]:
    """Read all line-aligned files below ``folder``.

    Raises:
        DataError: if there are no two files of one stem in different languages.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", hint="name the folder that holds the line-aligned files")
    named = [(path, *parsed) for path in _files(folder) if (parsed := _parse(path, folder)) is not None]
    # English among machine translations is the human English again, as PECT's release has it.
    named = [entry for entry in named if entry[1] == HUMAN or entry[3] != "en"]
    languages: dict[str, set[str]] = {}
    for _, kind, stem, lang in named:
        languages.setdefault(stem, set()).update((lang,) if kind == HUMAN else (lang, "en"))
    named = [entry for entry in named if len(languages[entry[2]]) > 1]
    if not named:
        raise DataError(
            f"{folder} holds no line-aligned files of several languages",
            hint="name them STEM.LANG (train.de, train.fr, also .gz), STEM_LANG.txt or LANG.txt",
        )
    human = {stem for _, kind, stem, _ in named if kind == HUMAN}
    texts = []
    for path, kind, stem, lang in named:
        # de.txt in a folder of translations belongs to the only human captions there are.
        part = next(iter(human)) if kind != HUMAN and stem not in human and len(human) == 1 else stem
        texts.append(Text(str(path.relative_to(folder)), part, lang, lines_of(path), kind))
    return sorted(texts, key=lambda text: (text.part, text.kind != HUMAN, text.kind, text.lang != "en", text.lang))


def from_layout(layout: Layout, folder: Path, *, limit: int | None = None) -> Iterator[Text]:
    """Yield the captions of each language and split of a dataset, at most the first ``limit`` of each.

    One language is in memory at a time. A line that cannot be used stays as an empty one, or all that follow would
    slip out of line with the other languages.
    """
    for lang in layout.languages(folder):
        lines: dict[str, list[str]] = {}
        split = "train"
        for _, line, found in layout.captions(folder, lang):
            if isinstance(found, Row):
                split, text = found.split, found.text
            elif line is not None:
                text = ""
            else:
                continue  # a file as a whole
            texts = lines.setdefault(split, [])
            if limit is None or len(texts) < limit:
                texts.append(text)
        for split, texts in lines.items():
            yield Text(f"{layout.name} {split} {lang}", split, lang, texts)


def _files(folder: Path, depth: int = 0) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if depth < _DEEPEST and not path.is_symlink():
                yield from _files(path, depth + 1)
        else:
            yield path


def _parse(path: Path, folder: Path) -> tuple[str, str, str] | None:
    """Return (kind, stem, language) of a file, or ``None`` if its name does not say a language."""
    name = path.name.removesuffix(".gz")
    plain = name.removesuffix(".txt")
    splits = [plain.rpartition(".")[::2]]
    if plain != name:
        splits += [plain.rpartition("_")[::2]]
    for stem, code in splits:
        if code in _OTHER or (not stem and plain == name):
            continue
        try:
            lang = known_language(code)
        except LanguageError:
            continue
        folders = path.relative_to(folder.parent).parts[:-1]
        kind = next((kind for kind, names in FOLDERS.items() if set(names) & set(folders)), HUMAN)
        return kind, stem, lang
    return None
