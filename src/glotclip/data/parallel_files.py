"""Where parallel text lies: line-aligned files in a folder.

A file says its language in its name: ``train.de``, ``train.de.gz``, ``test_1kcaptions_de.txt`` or ``de.txt``. Files
of one stem are aligned. A folder called ``from_english`` or ``translated_from_en`` holds English captions translated
by a machine, ``to_english`` or ``translated_to_en`` the machine's English; everything else is taken for human.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glotclip.data.encodings import read_lines
from glotclip.data.parallel import FROM_ENGLISH, HUMAN, TO_ENGLISH, Text
from glotclip.data.schema import language_or_none
from glotclip.errors import DataError

#: What folders of machine translations are called, by the kind of text in them.
TRANSLATED_FOLDERS = {
    FROM_ENGLISH: ("from_english", "translated_from_en"),
    TO_ENGLISH: ("to_english", "translated_to_en"),
}
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
        split = next(iter(human)) if kind != HUMAN and stem not in human and len(human) == 1 else stem
        texts.append(Text(str(path.relative_to(folder)), split, lang, read_lines(path), kind))
    return sorted(texts, key=lambda text: (text.split, text.kind != HUMAN, text.kind, text.lang != "en", text.lang))


def _files(folder: Path, depth: int = 0) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if depth < _DEEPEST and not path.is_symlink() and not path.name.startswith("."):
                yield from _files(path, depth + 1)
        elif not path.name.startswith("."):
            yield path


def _parse(path: Path, folder: Path) -> tuple[str, str, str] | None:
    """Return (kind, stem, language) of a file, or ``None`` if its name does not say a language."""
    name = path.name.removesuffix(".gz")
    plain = name.removesuffix(".txt")
    splits = [plain.rpartition(".")[::2]]
    if plain != name:
        splits += [plain.rpartition("_")[::2]]
    for stem, code in splits:
        if code in _OTHER or (not stem and plain == name) or not (lang := language_or_none(code)):
            continue
        folders = {*path.relative_to(folder.parent).parts[:-1]}
        kind = next((kind for kind, names in TRANSLATED_FOLDERS.items() if folders.intersection(names)), HUMAN)
        return kind, stem, lang
    return None
