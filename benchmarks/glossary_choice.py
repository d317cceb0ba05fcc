"""How a pack's glossary is best used: which texts are looked up, and what weight their English has.

    python benchmarks/glossary_choice.py [--langs sw,es,fr,tr,cs,hi,ar] > benchmarks/results/glossary_choice.txt

Packs are learnt from FreeDict as photo-clip recommends. Measured where settings may be chosen: emoji's CLDR names
in the language against their English among all 1,644, R@1 / R@5 in %, text → text. ``entries``: texts in which an
entry is are looked up; ``and loans``: so are texts of Latin letters in which none is, which stand for themselves.
The number is the weight of the English beside the language's own feature.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

import glotclip
from glotclip.api.extending import extend
from glotclip.data.dictionary import mean_of_readings
from glotclip.packs.polyglot import Polyglot
from pack_sizes import BASE, emoji_names, recalls

WEIGHTS = (0.5, 1.0, 1.5, 2.0, 3.0)
Floats = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--langs", default="sw,es,fr,tr,cs,hi,ar")
    asked = parser.parse_args()
    every: dict[str, list[tuple[float, float]]] = {}
    for lang in asked.langs.split(","):
        for way, found in measured(lang).items():
            every.setdefault(way, []).append(found)
            print(f"{lang} {way}: {found[0]:.1f} / {found[1]:.1f}", flush=True)
    for way, several in every.items():
        first, fifth = np.mean(several, axis=0)
        print(f"mean {way}: {first:.1f} / {fifth:.1f}")


def measured(lang: str) -> dict[str, tuple[float, float]]:
    """R@1 and R@5 of each way."""
    names, english, place = emoji_names(lang)
    with TemporaryDirectory() as folder:
        extend(BASE, lang, data="freedict", out=Path(folder) / "model", benchmark=False)
        model = glotclip.load(Path(folder) / "model")
    pack = model.pack_of(lang)
    assert pack is not None and pack.glossary is not None
    targets = model.encode_text(english, "en").numpy()
    alone = Polyglot(model.base, [replace(pack, glossary=None)])
    own = alone.encode_text(names, lang).numpy()
    form = pack.text_form(lang)
    texts = [form(name, lang) for name in names]
    told = pack.glossary.readings(texts, lang)
    readings = [some or [text] for some, text in zip(told, texts, strict=True)]
    encoded = model.encode_text([each for some in readings for each in some], "en").numpy()
    looked_up = unit(mean_of_readings(encoded, [len(some) for some in readings]))
    loans = np.array([bool(some) for some in told])
    entries = np.array([some not in ([], [text]) for some, text in zip(told, texts, strict=True)])
    found = {"rows alone": recalls(own, targets, place), "dictionary alone": recalls(looked_up, targets, place)}
    for title, mask in (("entries", entries), ("and loans", loans)):
        for weight in WEIGHTS:
            both = np.where(mask[:, None], unit(own + weight * looked_up), own)
            found[f"{title} {weight}"] = recalls(both, targets, place)
    return found


def unit(features: Floats) -> Floats:
    """Features at length 1."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12), np.float32)


if __name__ == "__main__":
    main()
