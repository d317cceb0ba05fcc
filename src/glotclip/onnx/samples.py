"""What an export is compared on: texts of each language, and images.

Shapes: N images, H and W their sides.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from glotclip.data import emoji
from glotclip.data.listing import list_folder
from glotclip.errors import DataError, LanguageError
from glotclip.storage import shown

TEXTS, LONGER, IMAGES = 48, 8, 32
DRAWN = "drawn"


def texts(lang: str) -> list[str]:
    """Names of things in a language, or in English where none are known, and longer texts made of several names."""
    try:
        names = emoji.texts(lang)
    except LanguageError:
        names = emoji.texts("en")
    known = [each.name for each in names.values()]
    spread = known[:: max(1, len(known) // TEXTS)][:TEXTS]
    return [*spread, *(", ".join(spread[: 2 * (step + 2)]) for step in range(LONGER))]


def images(folder: Path | None) -> tuple[Sequence[Path | Image.Image], str]:
    """Images to compare on, and a word on which they are.

    Args:
        folder: of the user's photographs; None: images are drawn.

    Raises:
        DataError: if there is no image in the folder.
    """
    if folder is None:
        return [drawn(number) for number in range(IMAGES)], DRAWN
    found = list_folder(folder).images
    if not found:
        raise DataError(f"there is no image in {shown(folder)}", hint="name a folder of photographs")
    step = max(1, len(found) // IMAGES)
    return found[::step][:IMAGES], f"{len(found[::step][:IMAGES])} of {len(found)} in {shown(folder.name)}"


def drawn(number: int, side: int = 256) -> Image.Image:
    """A picture (H = W = ``side``) of a sky, a ground and some shapes; the same for the same number."""
    chance = random.Random(number)

    def colour() -> tuple[int, int, int]:
        return chance.randrange(256), chance.randrange(256), chance.randrange(256)

    sky = Image.linear_gradient("L").resize((side, side)).rotate(chance.choice((0, 90, 180, 270)))
    image = Image.composite(Image.new("RGB", (side, side), colour()), Image.new("RGB", (side, side), colour()), sky)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, chance.randrange(side // 2, side), side, side), fill=colour())
    for _ in range(chance.randrange(2, 12)):
        left, top = chance.randrange(side), chance.randrange(side)
        box = (left, top, left + chance.randrange(8, side // 2), top + chance.randrange(8, side // 2))
        shape = chance.choice((draw.ellipse, draw.rectangle))
        shape(box, fill=colour(), outline=colour(), width=chance.randrange(1, 6))
    return image
