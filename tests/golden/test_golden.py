"""Journals that earlier versions wrote are read, and mean what they meant then."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgpack
import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.journal import codec
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.lifecycle import LiveMachine
from onlinedpo.states.records import Verdict
from onlinedpo.states.verdicts import parsing, penalties
from tests.golden.folded import folded
from tests.golden.make import VERSION
from tests.journal import kit

HERE = Path(__file__).parent
JOURNALS = sorted(path.with_suffix("") for path in HERE.glob("*/*.json"))

every_journal = pytest.mark.parametrize(
    "journal", JOURNALS, ids=lambda path: f"{path.parent.name}-{path.name}"
)


def test_every_kind_of_record_is_in_one() -> None:
    """Of this version's journals; none can be changed without a test that sees it."""
    kinds: Counter[str] = Counter()
    for path in (HERE / VERSION).glob("*.json"):
        kinds.update(json.loads(path.read_text())["kinds"])
    assert set(kinds) == set(codec.KINDS)


@every_journal
def test_an_old_journal_is_sound_and_folds_into_what_it_did(journal: Path) -> None:
    """Head of the chain, labels, what was trained on, where each prompt stands."""
    expected = json.loads(journal.with_suffix(".json").read_text())
    # As JSON has it: lists for tuples.
    assert json.loads(json.dumps(folded(journal))) == expected


@every_journal
def test_an_old_record_is_written_again_as_it_was(journal: Path) -> None:
    """Byte for byte, where this version writes the version that it has."""
    for _, frame in Reader(journal).whole_frames():
        batch = codec.decode(frame.payload)
        versions = {row["v"] for row in msgpack.unpackb(frame.payload)}
        assert max(versions, default=0) <= codec.VERSION
        if versions == {codec.VERSION}:
            assert codec.encode(batch) == frame.payload
        assert codec.decode(codec.encode(batch)) == batch


@every_journal
def test_an_old_verdict_is_read_as_it_was(journal: Path) -> None:
    """By the parser that it names, from what the judge put out."""
    verdicts = [r for r in kit.recorded(journal) if isinstance(r, Verdict)]
    for verdict in verdicts:
        winner, failure = parsing.read_again(verdict)
        assert penalties.winner(verdict, winner) == verdict.winner
        assert failure == verdict.failure
        fits = parsing.FITS.get(verdict.judge["parser"])
        assert fits is None or fits(verdict.logprobs, verdict.raw)
    assert bool(verdicts) == (journal.name not in ("people", "offline"))


@every_journal
def test_an_old_run_passes_the_audit(journal: Path, tmp_path: Path) -> None:
    """Every label follows from its verdicts or answers, and every step from labels."""
    kit.put(tmp_path / "run" / "journal", kit.files(journal))
    told = CliRunner().invoke(cli, ["audit", str(tmp_path / "run")])
    assert told.exit_code == 0, told.output


@every_journal
def test_an_old_run_is_taken_up(journal: Path, tmp_path: Path) -> None:
    """Also by the live machine, and the next fact goes behind the old ones."""
    folder = tmp_path / "run" / "journal"
    kit.put(folder, kit.files(journal))
    head = json.loads(journal.with_suffix(".json").read_text())["head"]
    with Journal.open(folder, {}, LiveMachine()) as taken_up:
        assert taken_up.position[1] != bytes.fromhex(head)
        taken_up.append([])
    frames = [frame for _, frame in Reader(folder).whole_frames()]
    assert frames[-2].chain == bytes.fromhex(head)
