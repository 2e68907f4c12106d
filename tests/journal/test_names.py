"""Names that are free, and that a file system can hold."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest

from onlinedpo.journal import names


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("a.md", "a-2.md"),
        ("a", "a-2"),
        (".a", ".a-2"),
        ("a.tar.gz", "a.tar-2.gz"),
        # That is no suffix any more, but a sentence.
        ("Dr. who is not a suffix", "Dr. who is not a suffix-2"),
        ("x" * 255, "x" * 253 + "-2"),
        ("x" * 252 + ".md", "x" * 250 + "-2.md"),
        # No half of a character, which has four bytes here.
        ("\U0001f600" * 63, "\U0001f600" * 63 + "-2"),
        ("\U0001f600" * 63 + "abc", "\U0001f600" * 63 + "a-2"),
    ],
)
def test_a_name_that_is_taken_gets_a_number(name: str, second: str) -> None:
    """Before its suffix, and within the 255 bytes that a name may have."""
    first, next_one = islice(names.names(Path(name)), 2)
    assert (first, next_one) == (name, second)
    assert len(os.fsencode(next_one)) <= names.LONGEST


def test_the_first_name_that_is_free_is_taken(tmp_path: Path) -> None:
    """A link to nowhere takes a name too, and so does what will be there."""
    assert names.free_name(Path("a.md"), tmp_path) == "a.md"
    (tmp_path / "a.md").write_bytes(b"")
    (tmp_path / "a-2.md").symlink_to("nowhere")
    assert names.free_name(Path("a.md"), tmp_path) == "a-3.md"
    assert names.free_name(Path("a.md"), tmp_path, taken={"a-3.md"}) == "a-4.md"
