"""What lies in a folder: every entry is of use, or counted and named with the reason why it is not.

All of glotclip goes through folders of a user's files with this. Nothing is opened but folders, and files
without a suffix, of which the first bytes are read; pipes, sockets and devices are never opened.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from glotclip import image_formats
from glotclip.data.frame_readers import VIDEO_SUFFIXES
from glotclip.data.schema import SkippedItem
from glotclip.errors import DataError
from glotclip.ownership import LEDGER, PRIVATE
from glotclip.storage import shown

HIDDEN = "hidden (the name begins with a dot)"
EMPTY = "empty file"
BROKEN_LINK = "link that leads nowhere"
SPECIAL = "pipe, socket or device"
NOT_EXAMINED = "cannot be examined"
UNREADABLE_FOLDER = "folder that cannot be opened"
MADE = "folder that glotclip made"
LINKED_ABOVE = "linked folder that holds this one"
LINKED_TWICE = "linked folder that is listed under another name"
NO_HEIF = "HEIC image without pi-heif"
NO_PLUGIN = "JPEG XL or raw picture without its reader"
PLUGIN_HINT = "pip install 'glotclip[photos]'"
OTHER = "other file: "
TEXT_SUFFIX = ".txt"
_MARKS = (f"{PRIVATE}/{LEDGER}", "glotclip.json", "polyglot.json")  # of models and results that lie among the data
_NAMED = 3  # entries named for each reason
_SUFFIX = re.compile(r"\.[\w~+-]{1,12}")


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An entry that is of no use, and why: ``reason`` is one of the constants above, ``detail`` the system's word."""

    path: Path
    reason: str
    detail: str = ""


@dataclass(slots=True)
class Listing:
    """All that lies in a folder and the folders in it. Folders that were listed themselves are in none of the lists.

    Attributes:
        folder: where the listing began.
        images: files whose suffix is that of an image format that can be decoded, and files without a suffix that
            begin like one.
        videos: files with the suffix of a video.
        texts: files that end in ``.txt``.
        others: files of any other kind.
        passed_over: entries that nothing can be done with.
    """

    folder: Path
    images: list[Path] = field(default_factory=list)
    videos: list[Path] = field(default_factory=list)
    texts: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    passed_over: list[PassedOver] = field(default_factory=list)

    def __len__(self) -> int:
        files = len(self.images) + len(self.videos) + len(self.texts) + len(self.others)
        return files + len(self.passed_over)

    def unused(self, reasons: Mapping[str, str]) -> list[SkippedItem]:
        """List what is not used: all that was passed over, and the lists named in ``reasons``, each with its reason.

        The reason :data:`OTHER` puts a list's files among those of other kinds, which are never used.
        """
        found = [
            SkippedItem(str(each.path), None, f"{each.reason} ({each.detail})" if each.detail else each.reason)
            for each in self.passed_over
        ]
        for kind, reason in {**reasons, "others": OTHER}.items():
            paths: list[Path] = getattr(self, kind)
            found += [
                SkippedItem(
                    str(path), None, f"{OTHER}{_suffix(path) or 'without suffix'}" if reason == OTHER else reason
                )
                for path in paths
            ]
        return found


def summary(unused: Iterable[SkippedItem], folder: Path) -> list[str]:
    """Say in one line a reason how many entries were not used, and name the first of them.

    Files of other kinds share one line: ``17 other files: 12 .txt, 5 .pdf``.
    """
    reasons: dict[str, list[str]] = {}
    others: Counter[str] = Counter()
    for each in unused:
        if each.reason.startswith(OTHER):
            others[each.reason.removeprefix(OTHER)] += 1
        else:
            reasons.setdefault(each.reason, []).append(each.where)
    lines = []
    for reason, places in sorted(reasons.items()):
        names = ", ".join(shown(os.path.relpath(place, folder)) for place in places[:_NAMED])
        more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        lines.append(f"{len(places)} × {reason}: {names}{more}")
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common())
        lines.append(f"{others.total()} other files: {kinds}")
    return lines


LeaveOut = Callable[["os.DirEntry[str]"], str]
"""Says of an entry why it is to be left out; "" if it is not."""


def list_folder(folder: Path, leave_out: LeaveOut | None = None) -> Listing:
    """List all that lies below ``folder``, each list sorted by path.

    Linked folders are followed, each real folder once: after all that lies in ``folder`` itself, and not to a folder
    that holds it. Hidden folders count as one entry.

    Args:
        folder: where to begin.
        leave_out: what else is to be passed over, by the caller's reasons.

    Raises:
        DataError: if there is no such folder, or it cannot be opened.
    """
    try:
        root = os.stat(folder)  # noqa: PTH116 -- as below
        if not stat.S_ISDIR(root.st_mode):
            raise DataError(f"{shown(folder)} is not a folder", hint="give the folder that holds the files")
        os.scandir(folder).close()
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
            raise DataError(f"{shown(folder)} is not a folder", hint="check the path") from error
        raise DataError(
            f"the folder {shown(folder)} cannot be opened ({error.strerror})", hint="check its permissions"
        ) from error
    found = Listing(folder)
    above = {_identity(place) for place in folder.resolve().parents}
    visited = {(root.st_dev, root.st_ino)}
    links = _walk(folder, found, visited, leave_out)
    while links:
        link = links.pop(0)
        try:
            identity = _identity(link)
        except OSError as error:
            found.passed_over.append(PassedOver(link, NOT_EXAMINED, error.strerror or ""))
            continue
        if identity in above or identity in visited:
            reason = LINKED_ABOVE if identity in above else LINKED_TWICE
            found.passed_over.append(PassedOver(link, reason))
        else:
            visited.add(identity)
            links += _walk(link, found, visited, leave_out)
    for files in (found.images, found.videos, found.texts, found.others):
        files.sort()
    found.passed_over.sort(key=lambda each: each.path)
    return found


def _identity(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def _walk(
    folder: Path, found: Listing, visited: set[tuple[int, int]], leave_out: LeaveOut | None = None
) -> list[Path]:
    """Sort the entries below a folder into the lists, and return the linked folders met."""
    links: list[Path] = []
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.passed_over.append(PassedOver(place, UNREADABLE_FOLDER, error.strerror or ""))
            continue
        for entry in names:
            path = place / entry.name
            if entry.name.startswith("."):
                found.passed_over.append(PassedOver(path, HIDDEN))
                continue
            if leave_out is not None and (why := leave_out(entry)):
                found.passed_over.append(PassedOver(path, why))
                continue
            try:
                facts = os.stat(path)  # noqa: PTH116 -- Path.stat costs twice as much, and there are many files
            except OSError as error:
                reason = BROKEN_LINK if _is_link(entry) else NOT_EXAMINED
                found.passed_over.append(PassedOver(path, reason, error.strerror or ""))
                continue
            if not stat.S_ISDIR(facts.st_mode):
                _sort(path, facts, found)
            elif any(os.path.isfile(path / name) for name in _MARKS):  # noqa: PTH113 -- False without permission
                found.passed_over.append(PassedOver(path, MADE))
            elif _is_link(entry):
                links.append(path)
            elif (facts.st_dev, facts.st_ino) in visited:  # mounted twice, or the folder a link led to
                found.passed_over.append(PassedOver(path, LINKED_TWICE))
            else:
                visited.add((facts.st_dev, facts.st_ino))
                waiting.append(path)
    return links


def _is_link(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_symlink()
    except OSError:
        return False


def _sort(path: Path, facts: os.stat_result, found: Listing) -> None:
    """Put one file into the list it belongs to."""
    suffix = _suffix(path)
    if not stat.S_ISREG(facts.st_mode):
        found.passed_over.append(PassedOver(path, SPECIAL))
    elif facts.st_size == 0:
        found.passed_over.append(PassedOver(path, EMPTY))
    elif suffix in image_formats.suffixes() or (not suffix and _begins_like_an_image(path)):
        found.images.append(path)
    elif suffix in image_formats.HEIF_SUFFIXES:  # among the others where pi-heif is installed
        found.passed_over.append(PassedOver(path, NO_HEIF, image_formats.HEIF_HINT))
    elif suffix in image_formats.RAW_SUFFIXES or suffix == image_formats.JXL_SUFFIX:
        found.passed_over.append(PassedOver(path, NO_PLUGIN, PLUGIN_HINT))
    elif suffix in VIDEO_SUFFIXES:
        found.videos.append(path)
    elif suffix == TEXT_SUFFIX:
        found.texts.append(path)
    else:
        found.others.append(path)


def _begins_like_an_image(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return image_formats.looks_like_an_image(stream.read(image_formats.HEAD))
    except OSError:
        return False


def _suffix(path: Path) -> str:
    """Return the suffix in lower case; what only follows a full stop in a title is none."""
    suffix = path.suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""
