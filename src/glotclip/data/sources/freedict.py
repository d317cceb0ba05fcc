"""FreeDict: free bilingual dictionaries, of which those with English on one side teach a language.

``freedict`` is found by itself: where ``glotclip data get freedict --lang de`` put it, and where Debian's packages
``dict-freedict-*`` do. A dictionary from English is turned round, and joins the one into English. One dictionary is
opened by the path of its ``.index`` file, or of its TEI file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Self

from glotclip.data.benchmark import Benchmark
from glotclip.data.dataset import Dataset, register
from glotclip.data.dictionaries.cleaning import Cleaner, Pair
from glotclip.data.dictionaries.codes import sides_of_name, sides_of_title
from glotclip.data.dictionaries.dictd import Dictd
from glotclip.data.dictionaries.kept import kept
from glotclip.data.dictionaries.sources import PairDataset, PairSource, check_sides, read_sources
from glotclip.data.licences import Licence, in_debian_copyright, spdx_in
from glotclip.data.reading import ReadingOptions
from glotclip.data.schema import Corpus
from glotclip.data.serving import serve, servers
from glotclip.errors import DataError, LanguageError
from glotclip.languages import normalise
from glotclip.storage import cache_root

NAME = "freedict"
#: Where Debian's packages put dictionaries.
SYSTEM = Path("/usr/share/dictd")
_URL = "https://freedict.org"


def fetched_folder() -> Path:
    """Where ``glotclip data get freedict`` puts dictionaries."""
    return cache_root() / "data" / NAME


@dataclass(frozen=True)
class Bilingual:
    """One dictionary with English on one side.

    Attributes:
        index: the path of its ``.index``.
        lang: its other language.
        turned: whether it goes from English into that.
    """

    index: Path
    lang: str
    turned: bool

    @property
    def name(self) -> str:
        """What notes and cards call it."""
        return self.index.name.removesuffix(".index")

    @cached_property
    def dictionary(self) -> Dictd:
        """The dictionary itself."""
        return Dictd(self.index)

    def pairs(self, cleaner: Cleaner) -> Iterator[Pair]:
        """Yield (text, English), whatever its direction."""
        pairs = self.dictionary.pairs(cleaner)
        return ((text, english) for english, text in pairs) if self.turned else pairs

    def licence(self) -> Licence:
        """The terms that it states itself, else those of its package's copyright file, else FreeDict's usual ones."""
        stated = spdx_in(self.dictionary.about) or self._packaged() or "GPL-2.0-or-later"
        return Licence(self.name, stated, self.dictionary.title or "FreeDict", _URL)

    def _packaged(self) -> str | None:
        place = self.index.parent.parent / "doc" / f"dict-{self.name}" / "copyright"
        for path in (self.index.with_name(f"{self.name}.copyright"), place):
            if path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                return in_debian_copyright(text, self.name.removeprefix("freedict-"))
        return None


def bilingual(index: Path) -> Bilingual | None:
    """Return a dictionary with English on one side, as its name says, or ``None``."""
    found = sides_of_name(index.name)
    if found is None or "en" not in found or found[0] == found[1]:
        return None
    return Bilingual(index, found[0] if found[1] == "en" else found[1], found[0] == "en")


def installed(folders: Sequence[Path]) -> dict[str, list[Bilingual]]:
    """Return the dictionaries in some folders by language: those into English first, each once."""
    found: dict[str, dict[str, Bilingual]] = {}
    for folder in folders:
        below = (*folder.glob("freedict-*.index"), *folder.glob("freedict-*/freedict-*.index"))
        for index in sorted(below):
            if (each := bilingual(index)) is not None:
                found.setdefault(each.lang, {}).setdefault(each.name, each)
    return {lang: sorted(each.values(), key=lambda one: one.turned) for lang, each in sorted(found.items())}


@register
class FreeDict(Dataset):
    """All dictionaries of FreeDict that are found, each language with those into and from English."""

    name = NAME
    precedence = 2
    no_use_for = ("images", "default_lang", "encoding", "max_skipped", "hold_out")
    no_use_since = "brings its texts and languages"

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether it is the name, and no file is called so."""
        return data == NAME and not Path(data).exists()

    @classmethod
    def open(cls, data: str, options: ReadingOptions) -> Self:
        """Open by name."""
        options.refuse(f"{data}, which {cls.no_use_since}", cls.no_use_for)
        return cls()

    @cached_property
    def _installed(self) -> dict[str, list[Bilingual]]:
        return installed((fetched_folder(), SYSTEM))

    def languages(self) -> list[str]:
        """Those of the dictionaries that are here."""
        return list(self._installed)

    def corpus(self, langs: Sequence[str]) -> Corpus:
        """Pairs in ``langs``, read once."""
        chosen = self._chosen(langs)
        for lang in chosen:
            if lang not in self._read:
                mine = self._installed[lang]
                files = [path for each in mine for path in (each.index, each.dictionary.body)]
                self._read[lang] = kept(lang, files, partial(read_sources, NAME, mine))
        read = [self._read[lang] for lang in chosen]
        whole = Corpus(
            NAME,
            tuple(row for each in read for row in each.rows),
            licence="; ".join(dict.fromkeys(each.licence for each in read)),
            notes=tuple(note for each in read for note in each.notes),
        )
        return serve(whole, langs)

    @cached_property
    def _read(self) -> dict[str, Corpus]:
        """What was read, by language."""
        return {}

    def _chosen(self, langs: Sequence[str]) -> tuple[str, ...]:
        found = servers(langs, self.languages())
        if missing := [code for code in langs if code not in found]:
            have = self.languages()
            raise LanguageError(
                f"there is no FreeDict dictionary of {', '.join(missing)} and English here; found: "
                f"{', '.join(have) or 'none'}",
                hint=f"fetch it: `glotclip data get freedict --lang {','.join(missing)}`",
            )
        return tuple(dict.fromkeys(found[code] for code in langs))

    def held_out(self, langs: Sequence[str]) -> Benchmark | None:
        """Nothing: a dictionary has no images."""
        del langs
        return None

    def notes(self, langs: Sequence[str]) -> tuple[str, ...]:
        """What was read, turned round and left out."""
        return self.corpus(langs).notes

    def licences(self, langs: Sequence[str]) -> tuple[Licence, ...]:
        """What each dictionary says of itself."""
        return tuple(each.licence() for lang in self._chosen(langs) for each in self._installed[lang])

    def counts(self) -> dict[str, int]:
        """Pairs by language."""
        return {f"pairs {lang}": len(self.corpus([lang])) for lang in self._installed}


@register
class DictdFile(PairDataset):
    """One dictionary in dictd's format, named by its ``.index`` file or its ``.dict.dz``."""

    precedence = 1
    no_use_for = ("images", "hold_out", "encoding", "max_skipped")
    no_use_since = "is a dictionary of dictd"

    @classmethod
    def recognises(cls, data: str) -> bool:
        """Whether an index lies there, with or without the rest."""
        return _index_of(Path(data)) is not None

    @property
    def sources(self) -> tuple[Path, ...]:
        """Both files."""
        index = _index_of(self.path) or self.path
        return index, Dictd(index).body

    @cached_property
    def _bilingual(self) -> Bilingual:
        """The dictionary with its direction: as its file's name says, else its title, else the option."""
        index = _index_of(self.path)
        assert index is not None  # recognised
        given = self.options.default_lang
        found = sides_of_name(index.name) or sides_of_title(Dictd(index).title)
        if found is None and given:
            found = (normalise(given), "en")
        if found is None:
            raise DataError(
                f"{index} does not say its languages",
                hint="call it by them, as in freedict-deu-eng.index, or name the one that is not English "
                "(--default-lang de)",
            )
        check_sides(index, found)
        return Bilingual(index, found[0] if found[1] == "en" else found[1], found[0] == "en")

    def pair_sources(self, langs: Sequence[str] | None) -> Sequence[PairSource]:
        """The dictionary."""
        del langs
        return (self._bilingual,)


def _index_of(path: Path) -> Path | None:
    """Return the index of a dictionary named by any of its files."""
    for ending in (".index", ".dict.dz", ".dict.gz", ".dict"):
        if path.name.endswith(ending):
            index = path.with_name(path.name.removesuffix(ending) + ".index")
            return index if index.is_file() else None
    return None
