import pytest

from glotclip.data.licences import in_debian_copyright, spdx_in

GNU = "the GNU General Public License"


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        (f"Available under the terms of {GNU} ver. 2.0 and any later version.", "GPL-2.0-or-later"),
        (
            f"{GNU}\n  as published by the Free Software Foundation; either version 3 of the License, or (at your "
            "option) any later version",
            "GPL-3.0-or-later",
        ),
        (
            f"both {GNU}, version 3\n(GPLv3) and the GNU Affero General Public License, version 3 (AGPLv3)",
            "GPL-3.0-only AND AGPL-3.0-only",
        ),
        ("the Creative Commons Attribution-Share\n  Alike Licence (V3.0).", "CC-BY-SA-3.0"),
        ("Creative Commons Attribution-ShareAlike 3.0 Unported", "CC-BY-SA-3.0"),
        ("CC-BY-NC-SA 4.0", "CC-BY-NC-SA-4.0"),
        ("released into the public domain", "CC0-1.0"),
        ("ask the author", None),
    ],
)
def test_licences_are_read_from_what_a_work_says(text: str, spdx: str | None) -> None:
    assert spdx_in(text) == spdx


def test_a_debian_copyright_file_is_asked_for_one_folder() -> None:
    text = "Files: afr-eng/*\nCopyright: x\nLicense: GPL-2+\n\nFiles: deu-eng/* eng-deu/*\nLicense: AGPL-3\n"
    assert in_debian_copyright(text, "afr-eng") == "GPL-2.0-or-later"
    assert in_debian_copyright(text, "eng-deu") == "AGPL-3.0-only"
    assert in_debian_copyright(text, "fra-eng") is None
