"""Loads OpenBLAS before any test module imports MLX, as the program itself does."""

import onlinedpo.engine  # noqa: F401
