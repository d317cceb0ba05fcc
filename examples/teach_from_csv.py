"""Teach emoji-clip German from a table of one's own: python examples/teach_from_csv.py

The table has a row for each of 600 emoji: an image (twemoji, CC BY 4.0; OpenMoji, CC BY-SA 4.0), its German and its
English name (CLDR). For photographs take a CLIP that knows the world. The held-out tenth has names never taught.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import glotclip
from glotclip.data.dataset import open_dataset


def main(folder: Path) -> None:
    """Write the table, teach, and evaluate on the tenth that was held out."""
    table = folder / "captions.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "text", "lang", "english"])
        for row in open_dataset("emoji").corpus(["de"]).rows[:600]:
            writer.writerow([row.image, row.text, "de", row.english])
    made = glotclip.extend("emoji-clip", "de", data=table, out=folder / "german", settings={"steps": 40})
    result = glotclip.evaluate(made.load(), table, "de", intervals=0)
    print(f"R@5 among {result['gallery_images']} held-out images:", result["languages"]["de"]["text_to_image"]["r@5"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
