"""What is sent of a library's files: what it shows, from where it was indexed, and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from glotclip.library.library import Library
from glotclip.server.media import Media, NotThereError


@pytest.fixture
def media(library: Library) -> Media:
    return Media(library)


def item_of(library: Library, name: str) -> int:
    return next(number for number in range(1, 41) if library.items([number])[number].paths[0].name == name)


def test_small_pictures(media: Media, library: Library) -> None:
    content, tag = media.picture(1, 24)
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == "WEBP" and image.size == (24, 12)
    assert media.picture(1, 24) == (content, tag)
    assert media.picture(1, 320)[1] != tag


def test_memory_holds_no_more_than_it_may(library: Library) -> None:
    media = Media(library, kept=2000)
    sizes = [len(media.picture(number, 320)[0]) for number in range(1, 20)]
    assert sum(sizes) > 2000
    assert media._bytes == sum(map(len, media._pictures.values())) <= 2000


@pytest.mark.parametrize("number", [-1, 0, 41, 10**30])
def test_items_that_there_are_not(media: Media, number: int) -> None:
    for ask in (media.item, media.file, lambda number: media.picture(number, 320)):
        with pytest.raises(NotThereError):
            ask(number)


def test_what_is_hidden_or_forgotten_is_nowhere(media: Media, library: Library) -> None:
    media.picture(1, 320), media.picture(2, 320)  # they are in memory now
    library.hide([1])
    library.forget([2])
    for number in (1, 2):
        with pytest.raises(NotThereError):
            media.picture(number, 320)
    library.hide([1], hidden=False)
    assert media.picture(1, 320)


def test_a_link_put_in_a_files_place_leads_nowhere(media: Media, library: Library, photos: Path) -> None:
    number = item_of(library, "05.png")
    (photos / "05.png").unlink()
    with pytest.raises(NotThereError, match="not where it was"):
        media.file(number)
    (photos / "05.png").symlink_to(photos.parent / "secret.png")
    with pytest.raises(NotThereError):
        media.picture(number, 320)
    (photos / "05.png").unlink()
    hidden = item_of(library, "06.png")
    library.hide([hidden])
    for make in ("symlink_to", "hardlink_to"):  # inside, too: it may lead to what is hidden
        getattr(photos / "05.png", make)(photos / "06.png")
        with pytest.raises(NotThereError):
            media.file(number)
        (photos / "05.png").unlink()


def test_a_folder_that_became_a_link_leads_nowhere(media: Media, library: Library, photos: Path) -> None:
    number = item_of(library, "35.png")
    elsewhere = photos.parent / "elsewhere"
    (photos / "trip").rename(elsewhere)
    (photos / "trip").symlink_to(elsewhere)
    with pytest.raises(NotThereError):
        media.file(number)


def test_a_file_that_was_changed_since(media: Media, library: Library, photos: Path) -> None:
    number = item_of(library, "07.png")
    (photos / "07.png").write_bytes((photos / "08.png").read_bytes())
    with pytest.raises(NotThereError, match="not where it was"):
        media.picture(number, 320)
