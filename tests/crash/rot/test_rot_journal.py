"""The journal, cut at every byte and rotten in every bit: the long form.

The quick form, and what else can stand in the wrong place, is in tests/journal:
test_damage.py, test_torn_tail.py, test_splices.py, test_segments.py, test_anchors.py.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from onlinedpo.journal import snapshot
from tests.conftest import Count
from tests.journal import kit, rot
from tests.journal.rot import Original

pytestmark = pytest.mark.slow


@pytest.fixture
def original(place: Path) -> Original:
    """A journal of two segments and 64 frames."""
    made = Original(place / "run", drops=27)
    assert len(made.payloads) == 64
    return made


def test_cut_at_every_byte(original: Original, count: Count) -> None:
    """Exactly what was acknowledged is there, or it is refused and left as it is."""
    tried = sum(1 for _ in original.cuts())
    assert tried == original.size()
    count("cuts of a journal", tried)


def test_every_byte_three_ways(original: Original, count: Count) -> None:
    """Refused where it stands, by readers and by the writer, or cut off at the end."""
    tried = sum(1 for _ in original.changes(rot.three_ways))
    assert tried > 2.5 * original.size()
    count("changed bytes of a journal", tried)


def test_every_bit(original: Original, count: Count) -> None:
    """All eight of every byte."""
    tried = sum(1 for _ in original.changes(rot.every_bit))
    assert tried == 8 * original.size()
    count("changed bytes of a journal", tried)


def test_every_bit_of_a_snapshot(
    original: Original, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is done to it, what the journal adds up to is the same."""
    folder = original.folder
    monkeypatch.setattr(snapshot, "WORTH", 0)
    with kit.reopened(folder):
        pass
    whole = (folder / snapshot.NAME).read_bytes()
    harms = chain(rot.changes(whole, rot.every_bit), rot.cuts(whole))
    tried = rot.harmed_snapshots(folder, harms, every=9)
    assert tried > 8 * len(whole)
    count("changed bytes of a snapshot", tried)
