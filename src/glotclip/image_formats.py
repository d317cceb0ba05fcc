"""Which image files can be read: the formats that Pillow decodes by itself; HEIC, JPEG XL and cameras' raw files
where the packages of the extra ``photos`` are installed.

Files come from anywhere, so a format is on the list only if Pillow (or libheif) decodes its pixels in this process.
Left out are those that Pillow knows by name alone and those it hands to another program: EPS goes to Ghostscript.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import lru_cache
from typing import Any

from glotclip.errors import require

HEIF_SUFFIXES = frozenset({".heic", ".heics", ".heif", ".heifs", ".hif"})
#: Raw files of cameras, which LibRaw reads.
RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw"}
    | {".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)
JXL_SUFFIX = ".jxl"
HEIF_HINT = "pip install 'glotclip[photos]' to read HEIC images, or convert them to JPEG"

# EPS runs Ghostscript; WMF, BUFR, GRIB and HDF5 are stubs for handlers that an application would bring; of MPEG only
# the head is read.
_NOT_DECODED = frozenset({"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_STARTS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",  # TIFF, little-endian
    b"MM\0*",  # TIFF, big-endian
    b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000
)
HEAD = 32  # bytes of a file that tell its format


@lru_cache(maxsize=1)
def has_heif() -> bool:
    """Whether pi-heif is installed; nothing is imported."""
    return importlib.util.find_spec("pi_heif") is not None


@lru_cache(maxsize=1)
def has_raw() -> bool:
    """Whether rawpy is installed; nothing is imported."""
    return importlib.util.find_spec("rawpy") is not None


def raw_module() -> Any:
    """LibRaw's Python module."""
    return require("rawpy", extra="photos", purpose="reading raw files of cameras")


@lru_cache(maxsize=1)
def has_jxl() -> bool:
    """Whether pillow-jxl-plugin is installed; nothing is imported."""
    return importlib.util.find_spec("pillow_jxl") is not None


@lru_cache(maxsize=1)
def decodable() -> tuple[str, ...]:
    """Return Pillow's names of the formats that may be opened, those met most often first."""
    from PIL import Image

    Image.preinit()  # the usual formats come first
    Image.init()
    if has_heif():
        import pi_heif

        pi_heif.register_heif_opener()
    if has_jxl():
        importlib.import_module("pillow_jxl")  # which registers itself
    return tuple(name for name in Image.ID if name in Image.OPEN and name not in _NOT_DECODED)


@lru_cache(maxsize=1)
def suffixes() -> frozenset[str]:
    """Return the file name suffixes of the formats that can be decoded here, in lower case, each with its dot."""
    from PIL import Image

    names = {*decodable(), "MPO"}  # Pillow opens MPO files (two JPEG images in one) as JPEG
    found = {suffix for suffix, name in Image.registered_extensions().items() if name in names}
    return frozenset(found | RAW_SUFFIXES if has_raw() else found)


def looks_like_an_image(head: bytes) -> bool:
    """Whether the first ``HEAD`` bytes of a file are those of a common image format."""
    riff = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    bitmap = head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and len(head) > 18  # two reserved fields are zero
    avif = head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis")
    return head.startswith(_STARTS) or riff or bitmap or avif or is_heif(head)


def is_heif(head: bytes) -> bool:
    """Whether the first bytes of a file are those of HEIF (HEIC): photos of phones, at times named ``.jpg``."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS
