"""The doctor says what is wrong, and whether the run can go on; it changes nothing."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from onlinedpo.journal import codec, frames, manifest
from onlinedpo.journal.lock import Lock
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.repair.doctor import Diagnosis, examine
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import JournalError
from onlinedpo.states.lifecycle import by_table
from tests.journal import damage, kit
from tests.journal.checkpoints import checkpoint
from tests.states import facts


@pytest.fixture
def run(quick: Path) -> Path:
    """A run of two segments, two steps and sixteen frames, with both checkpoints."""
    return make(quick / "run")


def make(run: Path, run_id: bytes = kit.RUN) -> Path:
    """Make such a run."""
    kit.two_segments(run / "journal", drops=3, run=run_id)
    chains = {f.number: f.chain for _, f in Reader(run / "journal").whole_frames()}
    for step, frame in ((1, 4), (2, 12)):
        checkpoint(run, step, frame, chains[frame])
    return run


def told(diagnosis: Diagnosis) -> str:
    """All that was found, in one text."""
    return "\n".join(
        " ".join([f.what, f.means, *(text for do in f.do for text in do)])
        for f in diagnosis.findings
    )


def can_go_on(diagnosis: Diagnosis) -> bool:
    """Whether nothing was found that stops the run."""
    return not any(finding.stops for finding in diagnosis.findings)


def diagnosed(run: Path, *says: str, stops: bool) -> Diagnosis:
    """What the doctor finds, who must say this, and leave all as it is."""
    before = kit.contents(run)
    diagnosis = examine(run)
    assert kit.contents(run) == before
    for words in says:
        assert words in told(diagnosis), told(diagnosis)
    assert can_go_on(diagnosis) != stops
    return diagnosis


def test_nothing_is_found_in_a_sound_run(run: Path) -> None:
    """And what its journal holds is said."""
    diagnosis = diagnosed(run, stops=False)
    assert not diagnosis.findings
    assert diagnosis.holds.startswith("16 frames with 2 steps, 2 pairs, 4 verdicts")
    assert diagnosis.settings


def test_a_torn_tail_is_harmless(run: Path) -> None:
    """Nothing is to be done."""
    path = run / "journal" / "000002.odj"
    path.write_bytes(path.read_bytes()[:-5])
    (finding,) = diagnosed(run, "000002.odj: byte", "torn tail", stops=False).findings
    assert "frame 16" in finding.what
    assert not finding.do


def test_a_damaged_frame_is_named_with_what_stands_before_and_after(run: Path) -> None:
    """And which file to put back, how to check that, and what else can be done."""
    damage.flipped(run / "journal", 9)
    diagnosis = diagnosed(
        run,
        "000002.odj: byte 88: frame 9 is damaged",
        "Sound before the damage: 8 frames with 1 step, 1 pair",
        "After it 7 frames with 1 step",
        f"cp COPY/journal/000002.odj {run}/journal/",
        f"onlinedpo journal verify {run}",
        f"onlinedpo journal salvage {run} {run}-salvaged",
        stops=True,
    )
    assert diagnosis.settings is None


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (damage.gone, "000001.odj: this segment is missing"),
        (damage.unheaded, "000001.odj: the segment header (byte 0) is not as it was"),
        (damage.dropped, "frame 2 stands where 1 belongs"),
        (damage.blanked, "frame 1 is damaged"),
    ],
    ids=["missing", "header", "frame cut out", "zeros"],
)
def test_other_damage_is_named(harm: damage.Harm, says: str, run: Path) -> None:
    """A file that is missing, a header, frames."""
    harm(run / "journal", 1)
    diagnosed(run, says, "COPY/journal/000001.odj", stops=True)


def test_where_the_first_frame_is_lost_no_salvage_is_proposed(run: Path) -> None:
    """What can be read is still there as data."""
    damage.flipped(run / "journal", 1)
    diagnosis = diagnosed(run, "there is no run to go on with", stops=True)
    assert f"journal cat {run} --past-damage" in told(diagnosis)
    assert "journal salvage" not in told(diagnosis)


@pytest.mark.parametrize(
    ("other", "says"),
    [("run", "of another run, 01020304"), ("name", "segment 1 under another name")],
)
def test_a_segment_from_elsewhere_is_told(
    other: str, says: str, run: Path, quick: Path
) -> None:
    """Another run's, or one under another name."""
    theirs = make(quick / "other", kit.OTHER_RUN) if other == "run" else run
    number = "2" if other == "run" else "1"
    source = theirs / "journal" / f"00000{number}.odj"
    shutil.copyfile(source, run / "journal" / "000002.odj")
    diagnosed(
        run,
        f"000002.odj: this {'segment is' if number == '2' else 'is'}",
        says,
        stops=True,
    )


def test_an_illegal_fact_is_told_with_what_stands_before_it(run: Path) -> None:
    """Its bytes are sound: so it is another kind of trouble."""
    shutil.rmtree(run / "checkpoints")
    damage.forged(run / "journal", 6, codec.encode([facts.step(9, 1)]))
    diagnosed(
        run,
        "frame 6: step 9 after step 1",
        "another program changed the journal",
        "Before that frame: 5 frames with 1 step",
        stops=True,
    )


def test_a_journal_of_a_newer_version_is_told(run: Path) -> None:
    """It is not called damaged."""
    payload = codec.encode([facts.withdrawn(0)]).replace(b"withdrawn", b"astounded")
    damage.forged(run / "journal", 5, payload)
    found = diagnosed(run, "'astounded'", "A newer onlinedpo wrote it", stops=True)
    assert "damage" not in told(found)


def test_a_lost_end_is_told_by_the_checkpoints(run: Path) -> None:
    """Cut between two frames, the journal looks whole."""
    path = run / "journal" / "000002.odj"
    segment = kit.spans(path)
    path.write_bytes(segment.header + b"".join(segment.frames[:2]))
    diagnosed(run, "ends before frame 12", "the journal lost its end", stops=True)


def test_checkpoints_of_another_history_are_told(run: Path) -> None:
    """The journal is sound, but not the one that they were made with."""
    shutil.rmtree(run / "checkpoints")
    checkpoint(run, 2, 12, bytes(32))
    diagnosed(run, "frame 12: this is not the frame", "different copies", stops=True)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda c: (c / "manifest.json").write_text("{"), "the manifest is damaged"),
        (lambda c: (c / "manifest.json").unlink(), "the manifest is damaged"),
        (lambda c: damage.flip(c / "adapters.safetensors", 3), "adapters.safetensors"),
        (lambda c: (c / "optimizer.safetensors").unlink(), "optimizer.safetensors"),
    ],
    ids=["manifest", "no manifest", "adapter", "no optimizer"],
)
def test_a_damaged_checkpoint_stops_nothing(
    spoil: Callable[[Path], object], says: str, run: Path
) -> None:
    """It is a cache of the journal."""
    spoil(run / "checkpoints" / "step-000002")
    diagnosed(run, f"step-000002: {says}"[:30], says, "is a cache", stops=False)


def test_a_checkpoint_that_was_never_committed_is_told(run: Path) -> None:
    """The process died before the step was in the journal."""
    chain = next(f.chain for _, f in Reader(run / "journal").whole_frames())
    checkpoint(run, 3, 1, chain)
    diagnosed(run, "step-000003: the journal does not have step 3", stops=False)


def test_a_live_run_is_told_by_its_process(run: Path) -> None:
    """And that it is to be stopped before anything is mended."""
    lock = Lock(run / "journal")
    diagnosed(run, "works on this run", "Stop it", stops=False)
    lock.release()
    assert not diagnosed(run, stops=False).findings


def test_leftovers_of_crashes_are_told(run: Path) -> None:
    """Half-written files, and what was set aside."""
    (run / "quarantine").mkdir()
    (run / "quarantine" / "000001-88-00000000.tail").write_bytes(b"half")
    (run / "journal" / ".tmp-000003.odj-1").write_bytes(b"")
    diagnosed(run, "1 half-written files", "quarantine keeps 1 things", stops=False)


def test_a_journal_that_is_gone_is_told(run: Path) -> None:
    """With checkpoints it is lost; without them no run has begun."""
    shutil.rmtree(run / "journal")
    (run / "journal").mkdir()
    diagnosed(run, "there are checkpoints", "Do not start the run", stops=True)
    shutil.rmtree(run / "checkpoints")
    diagnosed(run, "No run has begun here", stops=False)


# -- any damage at all -------------------------------------------------------------


@pytest.mark.parametrize("part", range(4))
def test_whatever_the_damage_the_doctor_is_right(quick: Path, part: int) -> None:
    """Never an error; and the run can go on if, and only if, the writer opens it."""
    clean, foreign = make(quick / "clean"), make(quick / "other", kit.OTHER_RUN)
    # Another history of the same run.
    parts: list[kit.Batches] = [
        [[facts.run_opened(seed=1)], [facts.dropped(0)]],
        [[facts.dropped(1)]],
    ]
    kit.write(quick / "elsewise" / "journal", parts)
    others = [kit.contents(f) for f in (clean, foreign, quick / "elsewise")]
    for seed in range(part * 30, part * 30 + 30):
        chance = random.Random(seed)
        run = shutil.copytree(clean, quick / "run")
        for _ in range(chance.choice([1, 1, 2, 4])):
            damage.spoil(run, others, chance)
        before = kit.contents(run)
        diagnosis = examine(run)
        assert kit.contents(run) == before
        if any((run / "journal").glob("*.odj")):
            assert can_go_on(diagnosis) == opens(run), (seed, told(diagnosis))
        shutil.rmtree(run)


def opens(run: Path) -> bool:
    """Whether the writer takes the run up."""
    sound, _ = manifest.find(run / "checkpoints")
    try:
        Journal.open(
            run / "journal", {found.frame: found.chain for found in sound}, by_table
        ).close()
    except (JournalError, OSError):
        return False
    return True


def test_frames_are_counted_however_many_bytes_are_damaged(run: Path) -> None:
    """A journal of nothing but noise is told as such."""
    for path in (run / "journal").glob("*.odj"):
        path.write_bytes(random.Random(1).randbytes(frames.SEGMENT_SIZE + 4000))
    diagnosed(run, "Nothing tells which run this is", "After it 0 frames", stops=True)
