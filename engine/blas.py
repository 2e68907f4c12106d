"""Gives MLX's CPU build a fast BLAS, where the system has one.

MLX's Linux wheel carries the reference BLAS.  A shared object that is already loaded
with global visibility wins over it, so OpenBLAS must be loaded before `mlx.core`.
On macOS MLX uses Accelerate and nothing is done.
"""

from __future__ import annotations

import _ctypes
import ctypes
import ctypes.util
import os
import sys
from pathlib import Path

_LIBRARIES = ("libopenblas.so.0", "libopenblas.so", "libopenblasp.so.0")
_KERNELS = (
    ("avx512_bf16", "Cooperlake"),
    ("avx512f", "SkylakeX"),
    ("avx2", "Haswell"),
)
"""What a CPU can do, and OpenBLAS's name for the kernels that use it, best first."""

_loaded: ctypes.CDLL | None = None


def preload() -> None:
    """Load OpenBLAS for all later imports, if it can be found and `mlx.core` is new."""
    global _loaded
    if _loaded or not sys.platform.startswith("linux") or "mlx.core" in sys.modules:
        return
    found = ctypes.util.find_library("openblas")
    for name in (*_LIBRARIES, *([found] if found else [])):
        try:
            _loaded = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        if hasattr(_loaded, "cblas_sgemm"):
            _loaded = _with_kernels_of_this_cpu(name, _loaded)
            return
        _loaded = None


def _with_kernels_of_this_cpu(name: str, library: ctypes.CDLL) -> ctypes.CDLL:
    """The same library, loaded again if it took this CPU for one of twenty years ago.

    It does so with any that is newer than itself: products are then six times slower.
    """
    if _core(library) != "Prescott" or "OPENBLAS_CORETYPE" in os.environ:
        return library
    kernels = next((core for flag, core in _KERNELS if flag in _cpu_flags()), None)
    if kernels is None:
        return library
    # It chooses when it is loaded, and looks at the environment then.
    _ctypes.dlclose(library._handle)
    os.environ["OPENBLAS_CORETYPE"] = kernels
    return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)


def _cpu_flags() -> set[str]:
    """What the CPU and the system can do, on x86; elsewhere nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def _core(library: ctypes.CDLL) -> str:
    """The CPU that a loaded OpenBLAS has its kernels for."""
    core = library.openblas_get_corename
    core.restype = ctypes.c_char_p
    return str(core().decode())


def describe() -> str:
    """The BLAS that float32 products on the CPU go through, with its thread count.

    Part of the environment record: both decide the last bits of a product.
    """
    if sys.platform == "darwin":
        return "Accelerate"
    if _loaded is None:
        return "reference BLAS"
    config = _loaded.openblas_get_config
    config.restype = ctypes.c_char_p
    version = config().decode().split()[1]
    threads = _loaded.openblas_get_num_threads()
    return f"OpenBLAS {version} ({_core(_loaded)}, {threads} threads)"


def is_slow() -> bool:
    """Whether float32 products on this CPU run on the reference BLAS."""
    return sys.platform.startswith("linux") and _loaded is None
