"""Keeping freed memory: a process that computes the same shapes again and again pays for each page only once."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # glibc's numbers of mallopt's parameters
_LARGEST, _KEPT = 32 << 20, 1 << 30  # bytes: the largest threshold that glibc takes; what may lie free
_ARENAS = 4


def keep_memory() -> bool:
    """Tell glibc to keep up to a gigabyte of freed memory, and return whether it does.

    By default it gives blocks of more than 128 kB back to the system at once and gets them again, page by page: half
    the time of encoding pictures in small batches. And threads share four pools of memory in place of eight a core,
    in each of which some lies free; with two, one client's queries took a fifth longer. Only for processes that are
    there to compute, and before they start threads; elsewhere than on glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        adjust = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    settings = ((_MMAP_THRESHOLD, _LARGEST), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, _ARENAS))
    return all(adjust(*each) for each in settings)
