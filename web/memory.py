"""Keeps the web process small: tells glibc, where that is the C library, to hold on to less."""

import ctypes
import gc

# From malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

MOST_ARENAS = 2
# Above this, memory is mapped and given back the moment it is freed. The pieces of an upload are smaller: mapping each of
# them anew makes the kernel clear its pages, which costs more than everything else that is done with them.
LARGE_BYTES = 2 * 1024 * 1024


def keep_small() -> None:
    """Call once, when everything has been imported and before the first request."""
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        # By default every thread may get a heap of its own, and each keeps its own high-water mark.
        library.mallopt(_M_ARENA_MAX, MOST_ARENAS)
        library.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)
    gc.collect()
    # What imports have made stays until the end: looking through it at each collection would be for nothing.
    gc.freeze()
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
