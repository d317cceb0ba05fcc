from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from PIL import Image
from tests.library.conftest import CountingEncoder, picture

from glotclip.library.facets import facets
from glotclip.library.library import Library


def test_counts_of_what_is_shown(library: Library, encoder: CountingEncoder, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Box 100"
    exif.get_ifd(0x8769)[0x9003] = "2021:07:04 10:00:00"
    for number in range(3):
        picture(tmp_path / "a" / f"{number}.jpg", number, "JPEG", exif=exif)
    picture(tmp_path / "a" / "b" / "4.png", 4)
    library.index([tmp_path / "a"], encoder=encoder)
    found = facets(library.catalogue)
    assert found.folders == {str(tmp_path / "a"): 3, str(tmp_path / "a" / "b"): 1}
    assert found.cameras == {"Box 100": 3} and found.kinds == {"image": 4} and found.placed == 0
    assert found.months["2021-07"] == 3 and list(found.months) == sorted(found.months)
    assert set(found.months) == {"2021-07", datetime.now(UTC).strftime("%Y-%m")}
    library.hide([1])
    assert facets(library.catalogue).months["2021-07"] == 2
