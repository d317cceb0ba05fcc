"""Every error glotclip raises on purpose: what happened, and what to do next.

The library raises these and prints nothing; the command line turns them into one plain message and an
exit code. Each class is one family of causes, so that a caller can tell a wrong file from a wrong setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

TORCH_HINT = (
    "pip install 'glotclip[torch]'; or run `glotclip export` where torch is, and search with the folder it writes"
)


class GlotclipError(Exception):
    """Base of all errors raised by this library.

    ``message`` says what happened; ``hint`` says what to do about it and is never empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.hint}"


class ConfigError(GlotclipError):
    """A setting, recipe or argument is unknown, contradictory or out of range."""

    exit_code = 2


class LanguageError(GlotclipError):
    """A language code is malformed, unknown, or not installed."""

    exit_code = 2


class DataError(GlotclipError):
    """A caption file, folder or dataset cannot be used as it is."""


class ImageError(GlotclipError):
    """One image cannot be read. Bulk readers count and skip these; single loads raise them."""


class VideoError(GlotclipError):
    """One video cannot be read. Bulk readers count and skip these; single loads raise them."""


class CheckpointError(GlotclipError):
    """A model file is missing, damaged, of an unknown layout, or unsafe to open."""

    def __init__(self, message: str, *, hint: str = "fetch the file again") -> None:
        super().__init__(message, hint=hint)


class PackError(GlotclipError):
    """A language pack is damaged, of another format, or inconsistent with its manifest."""

    def __init__(self, message: str, *, hint: str = "get the pack again") -> None:
        super().__init__(message, hint=hint)


class FingerprintError(PackError):
    """A language pack belongs to another base model."""


class StorageError(GlotclipError):
    """The disk refused: no space, no permission, or another process holds the folder."""


class MissingExtraError(GlotclipError, ImportError):
    """An optional package is needed for what was asked."""


class InterruptedRunError(GlotclipError):
    """A folder holds an unfinished run that does not match what is asked now."""


class GlotclipWarning(UserWarning):
    """Base of what this library warns about: what was asked is done, though not just as it was said."""


class DuplicateWarning(GlotclipWarning):
    """A gallery holds identical images, which count against each other."""


class CacheWarning(GlotclipWarning):
    """What is computed cannot be kept on the disk: it is used all the same, and computed again the next time."""


class TruncationWarning(GlotclipWarning):
    """Texts were longer than the model's context, and what does not fit was not read.

    Attributes:
        count: how many.
        total: of how many texts.
        limit: the context: most tokens of a text, special ones included.
    """

    def __init__(self, count: int, total: int, limit: int, *, what: str = "texts", hint: str = "") -> None:
        super().__init__(count, total, limit, what, hint)
        self.count, self.total, self.limit = count, total, limit
        self.what, self.hint = what, hint

    def __str__(self) -> str:
        said = f"{self.count:,} of {self.total:,} {self.what} have more than {self.limit} tokens and lose their ends"
        return f"{said}; {self.hint}" if self.hint else said


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is spelt most like ``name``; None where none is close."""
    import difflib

    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to begin a hint with, "did you mean 'en'? ", or nothing where no known name is close."""
    close = nearest(name, known)
    return f"did you mean {close!r}? " if close else ""


@contextmanager
def asks_for_torch(what: str = "this") -> Iterator[None]:
    """Turn the error of a missing torch into :class:`MissingExtraError`: an installation that only searches has none.

    Args:
        what: needs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(f"{what} needs torch, which is not installed", hint=TORCH_HINT) from error


def require(module: str, *, extra: str, purpose: str) -> object:
    """Import ``module`` or raise :class:`MissingExtraError` naming the extra that brings it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the package {module.split('.')[0]!r}, which is not installed",
            hint=f"pip install 'glotclip[{extra}]'",
        ) from error
