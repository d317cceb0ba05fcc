"""What a library can be narrowed down by: its folders, months, cameras and kinds, with how many items each has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from glotclip.library.catalogue import Catalogue
from glotclip.library.records import SHOWN


@dataclass(frozen=True, slots=True)
class Facets:
    """Counts of the items that a library shows.

    Attributes:
        folders: by folder that holds files itself, by path.
        months: by the month in which it was taken, as 2021-07, ascending; items without a date are not among them.
        cameras: by camera, the most used one first.
        kinds: of images and of videos.
        placed: items with a place.
    """

    folders: dict[str, int]
    months: dict[str, int]
    cameras: dict[str, int]
    kinds: dict[str, int]
    placed: int


def facets(catalogue: Catalogue) -> Facets:
    """Count."""
    shown = (SHOWN,)
    folders = catalogue.rows(
        "SELECT folder.path, count(DISTINCT item) FROM file JOIN folder ON folder.id = file.folder "
        "JOIN item ON item.id = file.item WHERE state = ? AND motion = 0 GROUP BY folder.id ORDER BY folder.path",
        shown,
    )
    days = catalogue.rows(
        "SELECT taken / 86400, count(*) FROM item WHERE state = ? AND taken IS NOT NULL GROUP BY 1 ORDER BY 1", shown
    )
    months: dict[str, int] = {}
    for day, count in days:
        month = _month(int(day))
        months[month] = months.get(month, 0) + int(count)
    cameras = catalogue.rows(
        "SELECT camera, count(*) FROM item WHERE state = ? AND camera IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1",
        shown,
    )
    kinds = catalogue.rows("SELECT kind, count(*) FROM item WHERE state = ? GROUP BY 1 ORDER BY 1", shown)
    placed = catalogue.value("SELECT count(*) FROM item WHERE state = ? AND lat IS NOT NULL", shown)
    return Facets(
        {os.fsdecode(path): int(count) for path, count in folders}, months,
        {str(name): int(count) for name, count in cameras}, {str(name): int(count) for name, count in kinds},
        int(placed),
    )  # fmt: skip


def _month(day: int) -> str:
    return datetime.fromtimestamp(day * 86400, UTC).strftime("%Y-%m")
