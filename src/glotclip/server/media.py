"""What a server sends of the library's files: the files themselves, and small pictures of them.

A file is sent only if the library shows its item now, its real path lies in one of the library's folders, and it is
the file that was indexed, by device, inode, size and time: a link that leads elsewhere, or was put in a file's place
since, is as if there were nothing. What was edited since is there again once it is indexed.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from pathlib import Path

from PIL import Image

from glotclip.errors import ImageError, VideoError
from glotclip.library import records
from glotclip.library.decoding import VIDEO
from glotclip.library.library import Library
from glotclip.library.records import Item

KEPT = 64 * 2**20  # bytes of small pictures that are kept in memory
_QUALITY = 82


class NotThereError(Exception):
    """The library shows no such item, or its file cannot be sent."""


class Media:
    """Files and small pictures of a library; threads share one.

    Args:
        library: whose.
        kept: bytes of small pictures that are remembered.
    """

    def __init__(self, library: Library, kept: int = KEPT) -> None:
        self.library, self._most = library, kept
        self._lock = threading.Lock()
        self._pictures: OrderedDict[tuple[int, int, float, int], bytes] = OrderedDict()
        self._bytes = 0
        self._decoding = threading.Semaphore(4)  # a picture of 150 megapixels takes 450 MB

    def item(self, number: int) -> Item:
        """What is known of an item that the library shows.

        Raises:
            NotThereError: if it shows none of this number.
        """
        found = self.library.items([number]).get(number) if 0 < number < 2**63 else None
        if found is None:
            raise NotThereError(f"the library shows no item {number}")
        return found

    def file(self, number: int) -> tuple[Item, Path]:
        """An item, and the first of its files that may be sent.

        Raises:
            NotThereError: if there is none.
        """
        item = self.item(number)
        roots = [root.path.resolve() for root in self.library.roots]
        indexed = records.facts_of(self.library.catalogue, number)
        for path in item.paths:
            try:
                real = path.resolve(strict=True)
                inside = any(real.is_relative_to(root) for root in roots)
                # Inside, a link could still lead to what is hidden: it must be the very file that was indexed.
                if inside and real.is_file() and records.identity(real.stat()) in indexed:
                    return item, real
            except (OSError, RuntimeError, ValueError):  # it went away, or links lead in a circle
                continue
        raise NotThereError(f"the file of item {number} is not where it was")

    def picture(self, number: int, size: int, second: float | None = None) -> tuple[bytes, str]:
        """A small picture of an item as WebP, and what it is the same as long as.

        Args:
            number: of the item.
            size: its longer side at most, in pixels.
            second: of a video; its first frame if not given.

        Raises:
            NotThereError: if there is none.
        """
        item, path = self.file(number)
        changed = path.stat().st_mtime_ns
        key = number, size, second or 0.0, changed
        tag = f'"{number}-{size}-{second or 0:g}-{changed:x}"'
        with self._lock:
            if (known := self._pictures.get(key)) is not None:
                self._pictures.move_to_end(key)
                return known, tag
        try:
            with self._decoding:
                image = _frame(path, second or 0.0) if item.kind == VIDEO else _image(path, size)
        except (ImageError, VideoError) as error:
            raise NotThereError(f"item {number} cannot be shown: {error.message}") from error
        image.thumbnail((size, size), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.save(out, "WEBP", quality=_QUALITY, method=2)
        self._keep(key, out.getvalue())
        return out.getvalue(), tag

    def _keep(self, key: tuple[int, int, float, int], picture: bytes) -> None:
        with self._lock:
            if key not in self._pictures and len(picture) <= self._most:
                self._pictures[key] = picture
                self._bytes += len(picture)
            while self._bytes > self._most:
                _, oldest = self._pictures.popitem(last=False)
                self._bytes -= len(oldest)


def _image(path: Path, size: int) -> Image.Image:
    from glotclip.models.image_files import opened, upright

    with opened(path) as image:
        return upright(image, size)


def _frame(path: Path, second: float) -> Image.Image:
    """The frame that is on display at a second of a video."""
    from bisect import bisect_right

    from glotclip.data.frame_readers import open_frames

    reader = open_frames(path)
    place = max(0, bisect_right(reader.starts, second + 1e-3) - 1)
    for _, image in reader.pick([place]):
        return image
    raise VideoError(f"{path} has no frame at {second:g} s", hint="fetch it again")
