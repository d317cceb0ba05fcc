"""Changes are told; that a library follows them is tested with the command, tests/cli/test_index.py."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from glotclip.errors import DataError
from glotclip.library.watching import changes


@pytest.mark.slow
def test_a_change_below_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)

    def change() -> None:
        time.sleep(0.5)
        (tmp_path / "deep" / "er" / "a.png").write_bytes(b"x")

    thread = threading.Thread(target=change)
    thread.start()
    assert next(changes([tmp_path, tmp_path / "absent"])) is None
    thread.join()


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the library's folders"):
        next(changes([tmp_path / "absent"]))
