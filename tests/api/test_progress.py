"""Progress that nobody watches."""

from glotclip.api import progress


def test_nothing_is_said(capsys: object) -> None:
    assert progress.silent("images", 1, 2) is None  # type: ignore[func-returns-value]
