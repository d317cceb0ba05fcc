"""The elements of an XML file of any size, one at a time."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing

from glotclip.data.streaming import TextFile
from glotclip.errors import DataError

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def elements(file: TextFile, *names: str, starts: tuple[str, ...] = ()) -> Iterator[ET.Element]:
    """Yield the elements of these names as they end; what was read is forgotten, so memory does not grow.

    Args:
        file: the file.
        names: without namespaces.
        starts: those of the names that are yielded as they begin, still empty, for their attributes.

    Raises:
        DataError: if the file is not whole XML, or cannot be read.
    """
    parents: list[ET.Element] = []
    try:
        with closing(file.open()) as stream:
            for event, element in ET.iterparse(stream, events=("start", "end")):
                name = local(element)
                if event == "start":
                    parents.append(element)
                    if name in starts:
                        yield element
                    continue
                parents.pop()
                if name in names and name not in starts:
                    yield element
                # Only below an element that is wanted whole must children stay.
                if parents and not any(local(each) in names and local(each) not in starts for each in parents):
                    parents[-1].remove(element)
    except ET.ParseError as error:
        raise DataError(f"{file} is not whole XML ({error})", hint="fetch it anew") from error
    except (OSError, EOFError) as error:
        raise DataError(f"{file} cannot be read ({error})", hint="fetch it anew") from error


def local(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def below(element: ET.Element, name: str) -> Iterator[ET.Element]:
    """The elements of a name in and below one."""
    return (each for each in element.iter() if local(each) == name)


def text_of(element: ET.Element) -> str:
    """All text in an element."""
    return "".join(element.itertext())
