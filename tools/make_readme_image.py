"""Draws docs/images/search.png: one query in several languages, and the images that a taught emoji-clip finds.

python tools/make_readme_image.py [OUT]     a minute on two cores; images are twemoji's (CC BY 4.0)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from PIL import Image

import glotclip
from glotclip.data.dataset import open_dataset

OUT = Path(__file__).parents[1] / "docs" / "images" / "search.png"
LANGUAGES = ("de", "ru", "tr", "es")
QUERIES = {"en": "birthday cake", "de": "Elefant", "ru": "клубника", "tr": "karpuz", "es": "paraguas"}
TOP, FONT = 6, 13


def main(out: Path) -> None:
    """Teach the languages into a temporary folder, search, draw."""
    with tempfile.TemporaryDirectory() as name:
        model = glotclip.extend("emoji-clip", LANGUAGES, out=Path(name) / "model", benchmark=False).load()
    images = open_dataset("emoji").benchmark(["en"]).images
    figure, grid = plt.subplots(len(QUERIES), TOP + 1, figsize=(7.6, 3.9), width_ratios=[2.6, *[1] * TOP])
    for row, (lang, query) in zip(grid, QUERIES.items(), strict=True):
        hits = glotclip.search(model, images, query, lang, top=TOP).hits
        row[0].text(1, 0.5, f"{query}   ", ha="right", va="center", fontsize=FONT)
        row[0].text(0, 0.5, lang, ha="left", va="center", fontsize=FONT, color="0.5", family="monospace")
        for axes, hit in zip(row[1:], hits, strict=True):
            axes.imshow(Image.open(hit.path).convert("RGBA"), interpolation="lanczos")
            axes.set_xlabel(f"{hit.score:.2f}", fontsize=8, color="0.5", labelpad=2)
        for axes in row:
            axes.set(xticks=[], yticks=[])
            axes.set_frame_on(False)
    figure.subplots_adjust(left=0.02, right=0.98, top=0.98, bottom=0.06, hspace=0.35, wspace=0.05)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120, facecolor="white")
    Image.open(out).convert("RGB").quantize(128).save(out, optimize=True)  # a third of the size


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
