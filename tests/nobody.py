"""What a user may do who is not root: where root runs the tests, all is allowed."""

from __future__ import annotations

import codecs
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A folder of its own, and a user who is not root."""
    user = os.geteuid()
    # Python loads it when it is wanted first, perhaps from where nobody may read.
    codecs.lookup("utf-8-sig")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        if user == 0:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(user)
