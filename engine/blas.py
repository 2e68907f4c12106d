"""Gives MLX's CPU build a fast BLAS, where the system has one.

MLX's Linux wheel carries the reference BLAS.  A shared object that is already loaded
with global visibility wins over it, so OpenBLAS must be loaded before `mlx.core`.
On macOS MLX uses Accelerate and nothing is done.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

_LIBRARIES = ("libopenblas.so.0", "libopenblas.so", "libopenblasp.so.0")
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
            return
        _loaded = None


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
    core = _loaded.openblas_get_corename
    core.restype = ctypes.c_char_p
    return f"OpenBLAS {version} ({core().decode()}, {threads} threads)"


def is_slow() -> bool:
    """Whether float32 products on this CPU run on the reference BLAS."""
    return sys.platform.startswith("linux") and _loaded is None
