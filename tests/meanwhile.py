"""What another process does at the worst instant."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def just_before(
    call: str, then: Callable[[], object], path: Path | None = None
) -> Iterator[None]:
    """Within the block `then` happens once, before the first call of `os.<call>`.

    With `path`, before the first that names it.
    """
    really = getattr(os, call)
    left = [then]

    def called(*args: Any, **named: Any) -> Any:
        if left and path in (None, args[0]):
            left.pop()()
        return really(*args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, called)
        yield
    assert not left, f"nobody called os.{call}"
