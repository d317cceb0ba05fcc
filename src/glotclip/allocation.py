"""Keeping freed memory: a process that computes the same shapes again and again pays for each page only once."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's numbers of mallopt's parameters
_LARGEST, _KEPT = 32 << 20, 1 << 30  # bytes: the largest threshold that glibc takes; what may lie free


def keep_memory() -> bool:
    """Tell glibc to keep up to a gigabyte of freed memory, and return whether it does.

    By default it gives blocks of more than 128 kB back to the system at once and gets them again, page by page: half
    the time of encoding pictures in small batches. Only for processes that are there to compute; elsewhere than on
    glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(adjust(_MMAP_THRESHOLD, _LARGEST)) and bool(adjust(_TRIM_THRESHOLD, _KEPT))
