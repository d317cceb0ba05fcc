from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

from glotclip.data.dictionaries.xml_stream import below, elements, local, text_of
from glotclip.data.streaming import TextFile

if TYPE_CHECKING:
    from tests.data.conftest import Desk


def peak(file: TextFile) -> int:
    tracemalloc.start()
    assert sum(1 for unit in elements(file, "tu") if text_of(next(below(unit, "seg")))) > 1
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_does_not_grow_with_the_file(desk: Desk) -> None:
    unit = b"<tu><tuv><seg>" + b"word " * 20 + b"</seg></tuv></tu>"
    files = [TextFile(desk.bytes(f"{n}.tmx", b"<tmx><body>" + unit * n + b"</body></tmx>")) for n in (2_000, 10_000)]
    small, large = map(peak, files)
    assert large < 1.5 * small + 100_000


def test_an_element_may_be_seen_as_it_begins(desk: Desk) -> None:
    file = TextFile(desk.bytes("a.xml", b'<a xmlns="x"><body lang="de"><e>1</e></body></a>'))
    found = [(local(each), each.get("lang")) for each in elements(file, "body", "e", starts=("body",))]
    assert found == [("body", "de"), ("e", None)]
