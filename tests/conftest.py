"""Loads OpenBLAS before any test module imports MLX, and sums up what tests count."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import pytest

# As the processes have it that tests start: other threads, other last bits.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import onlinedpo.engine  # noqa: F401

Count = Callable[[str, int], None]
_COUNTED = "counted"


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """Tell how many cases a test went through: `count("crash states", 1234)`.

    The sums over all tests are printed when they have ended.
    """

    def add(what: str, number: int) -> None:
        record_property(_COUNTED, (what, number))

    return add


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: begun last, it would leave other cores idle."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was counted, over all processes."""
    sums: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, counted in report.user_properties:
            if name == _COUNTED:
                what, number = counted
                sums[what] += number
    if sums:
        terminalreporter.section("counted in tests that passed")
        for what in sorted(sums):
            terminalreporter.write_line(f"{sums[what]:>9,} {what}")
