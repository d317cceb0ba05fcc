from __future__ import annotations

from pathlib import Path

import pytest

from glotclip.data.reading import HOLD_OUT, MAX_SKIPPED, ReadingOptions
from glotclip.errors import ConfigError, DataError


def test_defaults_and_the_folder_of_images(tmp_path: Path) -> None:
    assert (ReadingOptions().max_skipped, ReadingOptions().hold_out) == (MAX_SKIPPED, HOLD_OUT)
    assert ReadingOptions().folder is None
    assert ReadingOptions(images=str(tmp_path)).folder == tmp_path
    with pytest.raises(DataError, match="is not a folder") as caught:
        _ = ReadingOptions(images=tmp_path / "none").folder
    assert "--images" in caught.value.hint


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_to_hold_out_is_one(share: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        ReadingOptions(hold_out=share)


def test_what_is_given_without_a_use_is_refused() -> None:
    options = ReadingOptions(default_lang="de", max_skipped=MAX_SKIPPED)
    options.refuse("a list", ("encoding", "max_skipped"))
    with pytest.raises(ConfigError, match="--default-lang has no meaning for a list"):
        options.refuse("a list", ("encoding", "default_lang"))
