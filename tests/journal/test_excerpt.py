"""A journal as it was read once is known again, or it is said that it is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.journal.excerpt import up_to
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import JournalDamaged
from tests.journal import kit


def test_a_journal_is_read_as_it_was_then(tmp_path: Path) -> None:
    """Up to the frame that was the last one, whatever came after it."""
    batches = kit.two_segments(tmp_path, drops=1)
    chains = [frame.chain for _, frame in Reader(tmp_path).whole_frames()]
    for number, chain in enumerate(chains, start=1):
        expected = [record for batch in batches[:number] for record in batch]
        assert list(up_to(tmp_path, number, chain)) == expected


@pytest.mark.parametrize("number", [1, 6, 7, 12])
def test_another_journal_is_told(tmp_path: Path, number: int) -> None:
    """Another frame stands there, or the journal ends before it."""
    kit.two_segments(tmp_path, drops=1)
    chains = [frame.chain for _, frame in Reader(tmp_path).whole_frames()]
    told = f"not the journal as it was read before: frame {number} "
    with pytest.raises(JournalDamaged, match=told) as caught:
        list(up_to(tmp_path, number, bytes(32)))
    assert caught.value.hint
    path = tmp_path / "000002.odj"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(JournalDamaged, match="frame 12 "):
        list(up_to(tmp_path, 12, chains[11]))
