"""The loop and everything that touches MLX.

Start reading at `loop.run`.  OpenBLAS is loaded here, because it only takes effect
before the first import of `mlx.core`, and every module below imports that.
"""

from onlinedpo.engine.blas import preload as _preload

_preload()
