"""How well the language of short texts is guessed, and what a wrong guess costs a search.

    python benchmarks/language_guess.py [--out benchmarks/results] [--work DIR]

Needs google's images: ``glotclip data get emoji-google``. Texts are
the names of the emoji concepts. The profile of a language is learnt from the names of split train, as a pack learns
it; English has the built-in one. Names are guessed that no profile has seen: those of split test, and the taught ones
by five-fold cross-fitting, each with profiles of the other four folds' names. Weights and margins are chosen on split
validation, which ``--choose`` repeats. Some twenty minutes on one core; thirty languages are taught once, in DIR.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glotclip import api
from glotclip.api.common import gallery_features
from glotclip.data import emoji
from glotclip.data.similarity import unit_rows
from glotclip.data.sources.emoji_dataset import EmojiDataset
from glotclip.errors import LanguageError
from glotclip.evaluation import metrics
from glotclip.evaluation.retrieval import environment
from glotclip.evaluation.tables import Table, markdown
from glotclip.gallery.fusion import SCALE, mixture
from glotclip.packs.guess import Guess, Guesser, GuessSettings, scripts_of
from glotclip.packs.language_profile import Profile, built_in
from glotclip.packs.polyglot import Polyglot
from glotclip.storage import write_json, write_text

TWELVE = ("en", "de", "zh", "ru", "ar", "sw", "th", "fi", "ja", "hi", "tr", "fr")
THIRTY = (
    "zh", "de", "fr", "ja", "ru", "es", "it", "pt", "pl", "nl", "tr", "ar", "ko", "vi", "th", "hi", "id", "sv", "cs",
    "fi", "da", "hu", "el", "ro", "uk", "he", "fa", "no", "bg", "hr",
)  # fmt: skip
STEPS = 30
FOLDS = 5
LENGTHS = {"1": 1, "2": 2, "3–4": 4, "5–8": 8, "9–16": 16, "17+": 10**6}
COVERED = 0.8  # share of the concepts that a language must name
SURE = 0.97  # how often a guess that calls itself sure is to be right, on validation concepts

GRID = {"temperature": (0.1, 0.2, 0.3, 0.4, 0.5), "outside": (0.0, 1.0, 2.0, 4.0)}
SCALES = (5.0, 10.0, 20.0, 40.0, 80.0)
MARGINS = (0.7, 0.8, 0.85, 0.9, 0.95, 0.98)


@dataclass(frozen=True)
class Name:
    """A concept's name in one language, and the fold its concept is in."""

    lang: str
    concept: str
    text: str
    split: str
    fold: int


def hundred() -> list[str]:
    """CLDR's languages that name enough of the concepts; of one in several scripts or regions the usual one."""
    codes = [code for code in emoji.languages("cldr") if "-" not in code or code == "zh-Hant"]
    return [code for code in codes if len(_names(code)) >= COVERED * len(emoji.concepts())]


def names_of(codes: Iterable[str]) -> dict[str, list[Name]]:
    return {code: _names(code) for code in codes}


@cache
def _names(code: str) -> list[Name]:
    splits, fold = emoji.concepts(), {concept: place % FOLDS for place, concept in enumerate(emoji.concepts())}
    try:
        named = emoji.texts(code, "cldr")
    except LanguageError:  # a locale of CLDR without names of its own
        return []
    return [Name(code, key, each.name, splits[key], fold[key]) for key, each in named.items()]


class Guessers:
    """Guessers for names that no profile has seen, and one with whole profiles."""

    def __init__(self, names: Mapping[str, Sequence[Name]], settings: GuessSettings) -> None:
        self._names, self._settings = names, settings
        self._made: dict[int, Guesser] = {}

    def whole(self, name: Name) -> Guess:
        """Guess as packs do, which have the taught concepts' names in their profiles."""
        return self._without(-1).guess([name.text])[0]

    def unseen(self, name: Name) -> Guess:
        """Guess with profiles that do not have this concept's names."""
        return self._without(name.fold if name.split == "train" else -1).guess([name.text])[0]

    def _without(self, fold: int) -> Guesser:
        if fold not in self._made:
            known = {code: profile(code, texts, fold) for code, texts in self._names.items()}
            self._made[fold] = Guesser(known, self._settings)
        return self._made[fold]


def profile(code: str, names: Sequence[Name], without: int) -> Profile:
    taught = [name for name in names if name.split == "train" and name.fold != without]
    known = built_in(code)
    if known is None:
        return Profile.learn([name.text for name in taught])
    if without < 0:
        return known
    keywords = {concept: each.keywords for concept, each in emoji.texts(code, "cldr").items()}
    return Profile.learn([text for name in taught for text in (name.text, *keywords[name.concept])])


# --- the guess ------------------------------------------------------------------------------------------------------


def by_length(names: Sequence[Name], hits: Sequence[bool]) -> dict[str, Any]:
    """Accuracy in percent and number of names, by length in characters."""
    found: dict[str, Any] = {}
    lower = 0
    for label, upper in LENGTHS.items():
        chosen = [hit for name, hit in zip(names, hits, strict=True) if lower < len(name.text) <= upper]
        found[label] = [round(100 * float(np.mean(chosen)), 1) if chosen else None, len(chosen)]
        lower = upper
    found["all"] = [round(100 * float(np.mean(hits)), 1), len(hits)]
    return found


def before(codes: Sequence[str]) -> Callable[[str], str]:
    """The guess that glotclip made before: py3langid's first, among all that it ranks, that is installed."""
    import py3langid

    by_primary: dict[str, str] = {}
    for code in codes:
        by_primary.setdefault(code.split("-")[0], code)

    def guess(text: str) -> str:
        ranked = (by_primary[label] for label, _ in py3langid.rank(text) if label in by_primary)
        return next(ranked, codes[0])

    return guess


def own_script(codes: Sequence[str]) -> list[str]:
    """The languages none of whose scripts another one writes."""
    scripts = {code: set(scripts_of(code)) for code in codes}
    return [code for code in codes if not any(scripts[code] & scripts[other] for other in codes if other != code)]


def measure(codes: Sequence[str], settings: GuessSettings, splits: Sequence[str], every: int) -> dict[str, Any]:
    """Accuracy of the guess among some languages, by length and language, of names no profile has seen."""
    names = names_of(codes)
    guessers, old = Guessers(names, settings), before(codes)
    shared: dict[tuple[str, str], set[str]] = {}  # languages in which a concept has the same name
    for name in itertools.chain.from_iterable(names.values()):
        shared.setdefault((name.concept, name.text.lower()), set()).add(name.lang)
    flat = [name for each in names.values() for name in each[::every] if name.split in splits]
    guesses = [guessers.unseen(name) for name in flat]
    hits = [guess.lang == name.lang for name, guess in zip(flat, guesses, strict=True)]
    columns = {
        "guess": hits,
        "guess or a language with the same word": [
            guess.lang in shared[name.concept, name.text.lower()] for name, guess in zip(flat, guesses, strict=True)
        ],
        "right language among the likely": [
            name.lang in guess.likely for name, guess in zip(flat, guesses, strict=True)
        ],
        "guess, taught names in the profiles": [
            guessers.whole(name).lang == name.lang for name in flat
        ],
        "before": [old(name.text) == name.lang for name in flat],
    }  # fmt: skip
    test = [place for place, name in enumerate(flat) if name.split == "test"]
    languages = {}
    for code in codes:
        rows = [place for place, name in enumerate(flat) if name.lang == code]
        languages[code] = {
            title: by_length([flat[row] for row in rows], [columns[title][row] for row in rows])
            for title in ("guess", "before")
        }
    sure = np.array([guess.sure for guess in guesses])
    return {
        "candidates": list(codes),
        "all": {title: by_length(flat, values) for title, values in columns.items()},
        "test": {
            title: by_length([flat[row] for row in test], [values[row] for row in test])
            for title, values in columns.items()
        },
        "sure": {"share": _percent(sure), "right": _percent(np.array(hits)[sure])},
        "own script": own_script(codes),
        "languages": languages,
    }


def _percent(values: NDArray[np.bool_]) -> float:
    return round(100 * float(values.mean()), 1)


# --- choosing -------------------------------------------------------------------------------------------------------


def choose(sets: Sequence[Sequence[str]]) -> tuple[GuessSettings, list[dict[str, Any]]]:
    """Choose weights by likelihood, then the margin by what is asked of it, on names of validation concepts."""
    names = [names_of(codes) for codes in sets]
    held = [
        [name for each in one.values() for name in each if name.split == "validation"][:: len(one) // 12]
        for one in names
    ]  # as many names of either set
    guessers = [Guesser({code: profile(code, each, -1) for code, each in one.items()}) for one in names]
    tried: list[dict[str, Any]] = []
    for values in itertools.product(*GRID.values()):
        settings = replace(GuessSettings(), temperature=values[0], outside=values[1])
        losses = []
        for guesser, texts in zip(guessers, held, strict=True):
            guesser.settings = settings
            guesses = guesser.guess([name.text for name in texts])
            shares = [guess.probabilities[name.lang] for name, guess in zip(texts, guesses, strict=True)]
            losses.append(-float(np.mean(np.log(np.maximum(shares, 1e-6)))))
        tried.append({**dict(zip(GRID, values, strict=True)), "loss": [round(loss, 4) for loss in losses]})
        print(tried[-1], flush=True)
    best = min(tried, key=lambda each: sum(each["loss"]))
    settings = replace(GuessSettings(), temperature=best["temperature"], outside=best["outside"])
    pairs: list[tuple[Name, Guess]] = []
    for guesser, texts in zip(guessers, held, strict=True):
        guesser.settings = settings
        pairs += zip(texts, guesser.guess([name.text for name in texts]), strict=True)
    margin = MARGINS[-1]
    for margin in MARGINS:
        sure = [guess.lang == name.lang for name, guess in pairs if guess.probabilities[guess.lang] >= margin]
        tried.append(
            {"margin": margin, "sure": round(len(sure) / len(pairs), 4), "right": round(float(np.mean(sure)), 4)}
        )
        print(tried[-1], flush=True)
        if np.mean(sure) >= SURE:
            break
    return replace(settings, margin=margin), tried


# --- the search -----------------------------------------------------------------------------------------------------


def taught(work: Path) -> Polyglot:
    """The base with the thirty languages, taught once."""
    settings = {"steps": STEPS, "isolation": "per-language"}
    made = api.extend("emoji-clip", THIRTY, data="emoji-cldr", out=work / "model", settings=settings, benchmark=False)
    return made.load()


def search(polyglot: Polyglot, settings: GuessSettings, every: int) -> dict[str, Any]:
    """R@1 of text → image with the language given, guessed, and fused, over google's pictures of all concepts."""
    benchmark = EmojiDataset("google", "cldr").benchmark(THIRTY)
    gallery = gallery_features(polyglot, benchmark)
    assert (gallery.rows >= 0).all()
    images = unit_rows(gallery.array[gallery.rows], what="images")
    concepts = {key: place for place, key in enumerate(emoji.concepts())}
    names = names_of(polyglot.languages)
    guessers = Guessers(names, settings)
    found: dict[str, dict[str, Any]] = {}
    for code in THIRTY:
        texts = names[code][::every]
        owner = np.array([concepts[name.concept] for name in texts])
        guesses = {
            "": [guessers.unseen(name) for name in texts],
            ", taught names in the profiles": [guessers.whole(name) for name in texts],
        }
        ways = _ways(polyglot, texts, guesses)
        ranks = {way: metrics.text_to_image_ranks(value, images, owner) for way, value in ways.items()}
        for kind, some in guesses.items():
            ranks[f"fused{kind}"] = mixture_ranks(cosines_of(polyglot, texts, some, images), some, owner)
        split = np.array([name.split for name in texts])
        found[code] = {
            way: {
                "all": round(metrics.recall_at(each, 1), 2),
                "seen": round(metrics.recall_at(each[split == "train"], 1), 2),
                "unseen": round(metrics.recall_at(each[split == "test"], 1), 2),
            }
            for way, each in ranks.items()
        }
        print(code, {way: each["all"] for way, each in found[code].items()}, flush=True)
    return found


def cosines_of(
    polyglot: Polyglot, names: Sequence[Name], guesses: Sequence[Guess], images: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    """Cosines of each name, read in each of its likely languages, with the normalised images (L, N)."""
    wanted: dict[str, list[int]] = {}
    for row, guess in enumerate(guesses):
        for code in guess.plausible:
            wanted.setdefault(code, []).append(row)
    found: list[dict[str, NDArray[np.float32]]] = [{} for _ in names]
    for code, rows in wanted.items():
        features = polyglot.encode_text([names[row].text for row in rows], code).cpu().numpy()
        for row, cosines in zip(rows, features @ images.T, strict=True):
            found[row][code] = cosines
    return [np.stack([each[code] for code in guess.plausible]) for each, guess in zip(found, guesses, strict=True)]


def mixture_ranks(
    cosines: Sequence[NDArray[np.float32]],
    guesses: Sequence[Guess],
    owner: NDArray[np.int64],
    scale: float = SCALE,
) -> NDArray[np.int64]:
    """Rank of each name's image (M,) as a search fuses the likely languages; 0 is the best."""
    ranks = np.zeros(len(guesses), np.int64)
    for row, (scores, guess) in enumerate(zip(cosines, guesses, strict=True)):
        shares = mixture(scores, list(guess.plausible.values()), scale).sum(axis=0) if len(scores) > 1 else scores[0]
        ranks[row] = (shares >= shares[owner[row]]).sum() - 1  # ties count against the name, as elsewhere
    return ranks


def choose_scale(polyglot: Polyglot) -> list[dict[str, Any]]:
    """R@1 of text → image on the names of validation concepts alone, by the factor of the cosines."""
    benchmark = EmojiDataset("google", "cldr").benchmark(THIRTY)
    gallery = gallery_features(polyglot, benchmark)
    images = unit_rows(gallery.array[gallery.rows], what="images")
    concepts = {key: place for place, key in enumerate(emoji.concepts())}
    names = names_of(polyglot.languages)
    guessers = Guessers(names, GuessSettings())
    found: dict[float, list[float]] = {scale: [] for scale in SCALES}
    for code in THIRTY:
        texts = [name for name in names[code] if name.split == "validation"]
        owner = np.array([concepts[name.concept] for name in texts])
        guesses = [guessers.unseen(name) for name in texts]
        cosines = cosines_of(polyglot, texts, guesses, images)
        for scale, scores in found.items():
            scores.append(metrics.recall_at(mixture_ranks(cosines, guesses, owner, scale), 1))
    return [{"scale": scale, "R@1": round(float(np.mean(scores)), 3)} for scale, scores in found.items()]


def _ways(
    polyglot: Polyglot, names: Sequence[Name], guesses: Mapping[str, Sequence[Guess]]
) -> dict[str, NDArray[np.float32]]:
    """Features of the names: with the language given, with the likeliest, and the mean as ``encode_text`` fuses."""
    wanted: dict[str, set[int]] = {names[0].lang: set(range(len(names)))}
    for some in guesses.values():
        for row, guess in enumerate(some):
            for code in {guess.lang, *guess.likely}:
                wanted.setdefault(code, set()).add(row)
    titles = ["given", *(f"{way}{kind}" for kind in guesses for way in ("guessed", "mean feature"))]
    ways = {title: np.zeros((len(names), polyglot.embed_dim), np.float32) for title in titles}
    for code, rows in wanted.items():
        order = sorted(rows)
        features = polyglot.encode_text([names[row].text for row in order], code).cpu().numpy()
        for row, feature in zip(order, features, strict=True):
            ways["given"][row] += feature * (names[row].lang == code)
            for kind, some in guesses.items():
                ways[f"guessed{kind}"][row] += feature * (some[row].lang == code)
                ways[f"mean feature{kind}"][row] += feature * some[row].likely.get(code, 0.0)
    return ways


# --- writing --------------------------------------------------------------------------------------------------------


def tables(results: Mapping[str, Any]) -> str:
    parts = [f"`{results['command']}`; every n-th concept's names are asked for.\n"] if results["every"] > 1 else []
    for title, found in results["guess"].items():
        scripts = [code for code in found["own script"] if code in found["languages"]]
        note = (
            f"{len(found['candidates'])} candidates; accuracy in %, in brackets the number of names. The guess "
            f"is sure of {found['sure']['share']} % of the names, and right on {found['sure']['right']} % of those."
        )
        rows = [_row(way, lengths) for way, lengths in found["all"].items()]
        if found["test"]["guess"] != found["all"]["guess"]:
            rows.append(_row("guess, concepts never taught", found["test"]["guess"]))
        parts.append(markdown(Table.of(rows, title=f"Guess among {title}", note=note)))
        rows = [
            _row(f"{code} {way}", found["languages"][code][way])
            for code in (scripts if title != "twelve languages" else found["candidates"])
            for way in ("guess", "before")
        ]
        what = "by language" if title == "twelve languages" else "languages with a script of their own"
        parts.append(markdown(Table.of(rows, title=f"{title}: {what}")))
    ways = list(next(iter(results["search"].values())))
    rows = [
        {"language": way, **{part: _mean(results["search"], way, part) for part in ("all", "seen", "unseen")}}
        for way in ways
    ]
    note = (
        f"Text → image R@1 in %, mean over {len(THIRTY)} languages, among these and English; google's 1,644 pictures."
    )
    parts.append(markdown(Table.of(rows, title="What the guess costs a search", note=note)))
    return "\n".join(parts)


def _row(title: str, lengths: Mapping[str, Any]) -> dict[str, str]:
    cells = {length: f"{share} ({count})" if count else "–" for length, (share, count) in lengths.items()}
    return {"": title, **cells}


def _mean(search_results: Mapping[str, Any], way: str, part: str) -> str:
    return f"{np.mean([each[way][part] for each in search_results.values()]):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "glotclip-language-guess")
    parser.add_argument("--every", type=int, default=1, help="ask only for every n-th concept; all others stay")
    parser.add_argument("--choose", action="store_true", help="only choose the settings, and print them")
    arguments = parser.parse_args()
    everyone = hundred()
    if arguments.choose:
        settings, tried = choose((TWELVE, everyone))
        scales = choose_scale(taught(arguments.work))
        print(scales)
        choice = {"chosen": vars(settings), "tried": tried, "scales": scales}
        write_json(arguments.out / "language_guess_choice.json", choice)
        print(settings)
        return
    settings = GuessSettings()
    results = {
        "command": f"python benchmarks/language_guess.py --every {arguments.every}",
        "settings": vars(settings),
        "every": arguments.every,
        "guess": {
            "twelve languages": measure(TWELVE, settings, ("train", "test"), arguments.every),
            f"{len(everyone)} languages": measure(everyone, settings, ("test",), arguments.every),
        },
        "search": search(taught(arguments.work), settings, arguments.every),
        "environment": environment(),
    }
    write_json(arguments.out / "language_guess.json", results)
    write_text(arguments.out / "language_guess.md", tables(results))
    print(tables(results))


if __name__ == "__main__":
    main()
