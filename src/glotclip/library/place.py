"""Where libraries lie."""

from __future__ import annotations

import os
from pathlib import Path

from glotclip.errors import StorageError


def library_path(given: str | Path | None = None) -> Path:
    """Return the folder of a library: ``given``, else ``$GLOTCLIP_LIBRARY``, else in the user's data folder.

    Raises:
        StorageError: if none is named and the user has no home.
    """
    import platformdirs

    named = given or os.environ.get("GLOTCLIP_LIBRARY")
    data = platformdirs.user_data_dir("glotclip", appauthor=False)
    found = os.path.expanduser(named or os.path.join(data, "library"))  # noqa: PTH111, PTH118 -- Path raises without a home
    if found.startswith("~"):
        raise StorageError("there is no home folder for a library", hint="say where: --library or GLOTCLIP_LIBRARY")
    return Path(found).absolute()
