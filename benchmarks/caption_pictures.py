"""Multi30K without its pictures: a folder where the English caption stands for the picture it describes.

    python benchmarks/caption_pictures.py OUT [--data ../shared/data/multi30k] [--model photo-e5] [--train 2000]

Flickr30K's pictures are by request only; the captions and their machine translations are there. What can be asked of
a text tower without the pictures is whether a caption in another language finds its English one. So OUT has
Multi30K's layout, and in the place of each picture a file that holds the English caption; the base's features of
these captions are entered in the feature cache under the content of these files, where training and evaluation look
pictures up. No picture's bytes can be such a caption, so that nothing else is touched. ``--train`` takes the first
captions only.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glotclip.api.bases import load
from glotclip.data.encodings import read_lines
from glotclip.data.features import FeatureCache
from glotclip.data.sources.multi30k import SPLITS, image_names
from glotclip.data.translations import folders
from glotclip.ownership import check_new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/multi30k"))
    parser.add_argument("--model", default="photo-e5")
    parser.add_argument("--train", type=int, default=2000)
    asked = parser.parse_args()
    captions = written(asked.data, asked.out, asked.train)
    print(f"{len(captions):,} captions in the place of pictures")
    model = load(asked.model)
    texts = list(captions.values())
    places = {path: place for place, path in enumerate(captions)}

    def place_of(path: Path) -> npt.NDArray[np.float32]:
        return np.array([places[path]], np.float32)

    def encode(chosen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(model.encode_text([texts[int(place)] for place in chosen[:, 0]], lang="en"), np.float32)

    FeatureCache(model.base.fingerprint).images(list(captions), place_of, encode)


def written(data: Path, out: Path, train: int) -> dict[Path, str]:
    """Write the folder, and return the English caption of each file that stands for a picture."""
    check_new(out, [data])
    captions: dict[Path, str] = {}
    for split, (stem, *_) in SPLITS.items():
        kept = slice(train if split == "train" else None)
        for folder in (data / "human", *folders([data]).values()):
            (out / folder.name).mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.glob(f"{stem}.??.gz")):
                lines = read_lines(file)[kept]
                (out / folder.name / file.name).write_bytes(gzip.compress("\n".join(lines).encode()))
        names = (image_names(data / "human", (stem,)) or [])[kept]
        (out / "human" / f"{stem}.images.txt").write_text("\n".join(names))
        pictures = out / "flickr30k-images"
        pictures.mkdir(exist_ok=True)
        for name, text in zip(names, read_lines(data / "human" / f"{stem}.en.gz")[kept], strict=True):
            (pictures / name).write_text(text)
            captions[pictures / name] = text
    return captions


if __name__ == "__main__":
    main()
