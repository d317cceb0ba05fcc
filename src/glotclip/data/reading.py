"""How data of one's own is read: the options that every function and command takes that opens data by its name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypedDict

from glotclip.errors import ConfigError, DataError

#: The share of rows that may be left out before data is refused.
MAX_SKIPPED = 0.05
#: The share of the images that is held out for testing where no row says its split.
HOLD_OUT = 0.1


class Reading(TypedDict, total=False):
    """The options, see :class:`ReadingOptions`."""

    images: str | Path | None
    default_lang: str | None
    encoding: str | None
    max_skipped: float
    hold_out: float


@dataclass(frozen=True)
class ReadingOptions:
    """The same with defaults.

    Attributes:
        images: the folder of the images or videos, where they do not lie beside the captions.
        default_lang: the language of captions that do not say theirs.
        encoding: of caption files; by default as their byte-order mark says, else UTF-8.
        max_skipped: the share of rows that may be unusable before the data is refused.
        hold_out: the share of images held out for testing where no row says its split; 0 trains on all.
    """

    images: str | Path | None = None
    default_lang: str | None = None
    encoding: str | None = None
    max_skipped: float = MAX_SKIPPED
    hold_out: float = HOLD_OUT

    def __post_init__(self) -> None:
        check_hold_out(self.hold_out)

    @property
    def folder(self) -> Path | None:
        """The folder of images; that it must be there is checked here, for all who read from it."""
        folder = None if self.images is None else Path(self.images)
        if folder is not None and not folder.is_dir():
            raise DataError(f"{folder} is not a folder", hint="name the folder of the images with --images")
        return folder

    def refuse(self, what: str, names: tuple[str, ...]) -> None:
        """Raise :class:`ConfigError` for the first of ``names`` that is given though ``what`` has no use for it."""
        for each in fields(self):
            if each.name in names and getattr(self, each.name) != each.default:
                option = f"--{each.name.replace('_', '-')}"
                raise ConfigError(
                    f"{option} has no meaning for {what}", hint=f"leave {option} out; it is for data of one's own"
                )


def check_hold_out(share: float) -> float:
    """Return a share to hold out, or raise :class:`ConfigError` if it is none."""
    if not 0 <= share <= 1:
        raise ConfigError(
            f"the share to hold out is between 0 and 1, not {share}", hint="e.g. --hold-out 0.1; 0 holds nothing out"
        )
    return share
