"""Loads OpenBLAS before any test module imports MLX, as the program itself does."""

import os

# As the processes have it that tests start: other threads, other last bits.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import onlinedpo.engine  # noqa: F401
