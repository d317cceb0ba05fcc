"""Give a language to somebody else's model, as a pack: python examples/use_a_pack.py

A pack holds what a language added to a base. It fits every model on that base, and changes no other language.
On the command line: `glotclip pack export my-clip de.tar.gz --lang de`, `glotclip pack add their-clip de.tar.gz`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import glotclip


def main(folder: Path) -> None:
    """Teach German, take it out as a pack, add it to another model, and encode with both."""
    settings = {"steps": 10}
    mine = glotclip.extend("emoji-clip", "de", out=folder / "mine", settings=settings, benchmark=False).load()
    pack = mine.packs["de"]
    print(f"{pack.name}: {sum(file.stat().st_size for file in Path(pack.folder or '.').iterdir()) / 1e6:.1f} MB")

    theirs = glotclip.load("emoji-clip")
    theirs.add_pack(pack.folder or pack)  # a folder or a pack in memory; the base stays as it is
    theirs.save(folder / "theirs")
    loaded = glotclip.load(folder / "theirs")
    same = loaded.encode_text(["Hund"], lang="de").equal(mine.encode_text(["Hund"], lang="de"))
    print(f"languages: {', '.join(loaded.languages)}; the same features: {same}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
