"""An audit of files that are damaged, gone meanwhile, or no longer what they were."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from onlinedpo.journal import manifest
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.journal.audit.checkpoints import Checkpoints
from onlinedpo.journal.audit.files import KeptFiles
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import AuditFailed, JournalDamaged
from tests.journal import damage
from tests.journal.checkpoints import checkpoint
from tests.states import facts


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> Path:
    """A copy of a run that a model judged."""
    return Path(shutil.copytree(judged, tmp_path / "run"))


@pytest.mark.parametrize("which", ["first", "last of a segment"])
def test_a_frame_with_wrong_bytes_is_damage_and_no_lie(run: Path, which: str) -> None:
    """Its place is named, also where nothing could be read before it."""
    folder = run / "journal"
    places = [(p.name, f.number) for p, f in Reader(folder).whole_frames()]
    number = 1 if which == "first" else sum(n == "000001.odj" for n, _ in places)
    damage.flipped(folder, number)
    told = rf"000001.odj: byte \d+: frame {number} is damaged"
    with pytest.raises(JournalDamaged, match=told):
        audit(run)


def test_a_torn_tail_is_told_and_the_rest_is_proved(run: Path) -> None:
    """It is what a crash leaves; nothing had acted on it."""
    path = max((run / "journal").glob("*.odj"))
    path.write_bytes(path.read_bytes() + b"\x4f\x44")
    audited = audit(run)
    assert audited.tail and audited.tail.data == b"\x4f\x44"
    assert audited.ledger.steps == 4


def test_a_checkpoint_whose_files_are_none_is_named(run: Path) -> None:
    """Sealed anew with the digests of files that are not in the format at all."""
    frames = {f.number: f.chain for _, f in Reader(run / "journal").whole_frames()}
    number = max(frames)
    made = checkpoint(run, 7, number, frames[number])
    with pytest.raises(AuditFailed, match=f"{made.name}/a file in it: this is not"):
        audit(run)
    (made / manifest.OPTIMIZER).unlink()
    with pytest.raises(AuditFailed, match=f"{made.name}/{manifest.OPTIMIZER}: "):
        audit(run)


def test_a_checkpoint_that_goes_meanwhile_is_passed_over(run: Path) -> None:
    """A run at work prunes: what was there when the audit began may be gone."""
    ledger = Reader(run / "journal").fold()
    (run / "checkpoints" / "step-000009").mkdir()
    begun = Checkpoints.of(run)
    assert len(begun.sound) == 2 and len(begun.damaged) == 1
    shutil.rmtree(run / "checkpoints")
    begun.check(ledger, run / "adapters")
    assert begun.verified == [] and begun.adapter == 4


@pytest.mark.parametrize(
    "said",
    [b"", b"{", b"[]", b'{"step": [4]}', b'{"step": {"a": 1}}', b"[" * 100_000, None],
    ids=lambda said: repr(said)[:20],
)
def test_an_adapter_that_says_nothing_of_its_step_is_no_error(
    run: Path, said: bytes | None
) -> None:
    """People edit what stands beside it; only its bytes can be checked then."""
    config = run / "adapters" / manifest.CONFIG
    config.unlink()
    if said is not None:
        config.write_bytes(said)
    adapter = run / "adapters" / manifest.ADAPTER
    data = adapter.read_bytes()
    adapter.unlink()
    adapter.write_bytes(data[:-1] + b"\x7f")
    assert audit(run).checkpoints.adapter is None


def test_what_was_dropped_is_read_again_only_as_it_was(tmp_path: Path) -> None:
    """By its digest; what could not be read then has no rows now."""
    (tmp_path / "done").mkdir()
    files = KeptFiles(tmp_path)
    row = json.dumps({"id": "000001-9c1f0a77", "choice": "first"})
    for data, numbers in (
        (f"{row}\nno answer\n{row}\n".encode(), [1, 3]),
        (b"\x00\x01\x02", []),
        (b"", []),
    ):
        digest = hashlib.sha256(data).hexdigest()
        bundle = replace(facts.bundle(), sha256=digest)
        (tmp_path / bundle.kept_as).write_bytes(data)
        rows = files.rows(bundle)
        assert rows is not None and [row.number for row in rows] == numbers
        (tmp_path / bundle.kept_as).write_bytes(data + b" ")
        assert files.rows(bundle) is None


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"id": "1"}', {"id": "1"}),
        ('{"id": "1"}'.encode("utf-16-le"), {"id": "1"}),
        ('{"id": "1"}'.encode("utf-16-be"), {"id": "1"}),
        (b'["1", "first"]', None),
        (b"000001,first,ann", None),
        (b"[" * 100_000, None),
        (b"\xff", None),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_line_by_itself_is_read_if_it_names_its_fields(
    tmp_path: Path, raw: bytes, said: object
) -> None:
    """A row of CSV has no names without the header of its file."""
    assert KeptFiles(tmp_path).fields(raw) == said
