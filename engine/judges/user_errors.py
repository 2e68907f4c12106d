"""Errors of the user's own code in words: what was raised, and at which line of it."""

from __future__ import annotations

import traceback
from collections.abc import Collection
from pathlib import Path


def told(error: BaseException) -> str:
    """An error's type, and the first line of what it says."""
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def line_of_call(error: BaseException, files: Collection[str]) -> str:
    """Where in the user's files it was raised, or else where at all; perhaps empty."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return _at([f for f in frames if f.filename in files] or frames)


def line_of_import(error: BaseException) -> str:
    """The line at which a module could not be imported."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)[1:]
    return _at([f for f in frames if "importlib" not in f.filename])


def _at(frames: list[traceback.FrameSummary]) -> str:
    if not frames:
        return ""
    last = frames[-1]
    within = f", in {last.name}" if last.name != "<module>" else ""
    return f" ({Path(last.filename).name}, line {last.lineno}{within})"
