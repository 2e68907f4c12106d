"""A new run of what is sound in a damaged one: nothing invented, no answer lost."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.journal import codec
from onlinedpo.journal.lock import Lock
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.repair import salvage as salvaging
from onlinedpo.journal.repair.salvage import Salvaged, salvage
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import (
    JournalDamaged,
    JournalNewer,
    OnlineDPOError,
    RunLocked,
    UsageError,
)
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Derived, Record, RunOpened, TailCut, Vote
from tests.golden import make
from tests.journal import damage, kit
from tests.journal.checkpoints import checkpoint
from tests.states import facts

GOLDEN = Path(make.__file__).parent / make.VERSION
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))

Run = Callable[[str], Path]


@pytest.fixture
def run(quick: Path) -> Iterator[Run]:
    """A folder with the journal of a golden run, which may be damaged."""

    def begun(name: str) -> Path:
        folder = quick / name
        shutil.rmtree(folder, ignore_errors=True)
        kit.put(folder / "journal", kit.files(GOLDEN / name))
        return folder

    yield begun


def read(folder: Path) -> list[Record]:
    """All records of a run."""
    return list(Reader(folder / "journal").records())


def as_there(records: list[Record], run_id: str) -> list[Record]:
    """Facts of a run as its salvage has them."""
    return [
        replace(record, run_id=run_id) if isinstance(record, RunOpened) else record
        for record in records
        if not isinstance(record, TailCut)
    ]


def answers(new: Path, made: Salvaged) -> list[dict[str, Any]]:
    """The answers that were written beside."""
    files = [new / "labels" / w.name for w in (made.answers, made.answers_later)]
    lines = [line for f in files if f.exists() for line in f.read_text().splitlines()]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("harm", damage.HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_wherever_the_damage_the_new_run_is_what_stood_before(
    name: str, harm: damage.Harm, run: Run, quick: Path
) -> None:
    """All facts before it, in frames of the same numbers, and no other.

    The new journal is sound, the old one is as it was, and whatever else can be read is
    kept beside, with every answer of a person in a form that can be taken in.
    """
    batches = [batch for _, batch in Reader(run(name) / "journal").batches()]
    step = 1 if harm is damage.flipped else 5
    for number in range(1, len(batches) + 1, step):
        folder, new = run(name), quick / "new"
        harm(folder / "journal", number)
        before = kit.files(folder / "journal")
        try:
            made = salvage(folder, new)
        except (JournalDamaged, UsageError) as error:
            assert "nothing can be" in str(error) or "no frame in" in str(error)
            assert number == 1 or harm is damage.gone
            assert not new.exists()
            continue
        finally:
            assert kit.files(folder / "journal") == before
        reader = Reader(new / "journal")
        found = [batch for _, batch in reader.batches()]
        kept = made.kept.frames
        if harm is damage.unheaded:
            assert kept == len(batches)
        else:
            assert kept == number - 1 or (harm is damage.gone and kept < number - 1)
        assert reader.tail is None and reader.position
        opened, derived = found[0][0], found[-1][0]
        assert isinstance(opened, RunOpened) and isinstance(derived, Derived)
        assert opened.run_id == reader.position.run.hex() != derived.source
        assert (derived.purpose, derived.frame) == ("salvage", kept)
        assert found[:-1] == [as_there(b, opened.run_id) for b in batches[:kept]]
        left = new / salvaging.LEFT_OUT
        rows = (
            [*map(json.loads, left.read_text().splitlines())] if left.exists() else []
        )
        beyond = [batches[row["frame"] - 1] for row in rows]
        assert [len(row["records"]) for row in rows] == [*map(len, beyond)]
        assert all(row["frame"] > number or harm is damage.gone for row in rows)
        votes = [vote for batch in beyond for vote in batch if isinstance(vote, Vote)]
        given = [(row["annotator"], row["was"]["saved"]) for row in answers(new, made)]
        assert sorted(given) == sorted((v.annotator, v.saved) for v in votes)
        shutil.rmtree(new)


def test_whatever_the_damage_nothing_is_invented(run: Run, quick: Path) -> None:
    """The new run begins as the old one did; else there is none, and no trace of one.

    Also where segments of other runs have got into the journal, or are all of it.
    """
    whole: dict[str, list[Record]] = {}
    others: list[dict[str, bytes]] = []
    for name in NAMES:
        recorded = kit.recorded(GOLDEN / name)
        assert isinstance(recorded[0], RunOpened)
        whole[recorded[0].run_id] = as_there(recorded, "")
        segments = kit.files(GOLDEN / name).items()
        others.append({f"journal/{name}": data for name, data in segments})
    made = 0
    for seed in range(80):
        chance, folder, new = random.Random(seed), run("killed"), quick / "new"
        for _ in range(chance.choice([1, 2, 3])):
            if any((folder / "journal").iterdir()):
                damage.spoil(folder, others, chance)
        try:
            salvage(folder, new)
        except OnlineDPOError:
            assert [path.name for path in quick.iterdir()] == ["killed"]
            continue
        *found, derived = as_there(read(new), "")
        assert isinstance(derived, Derived)
        assert found == whole[derived.source][: len(found)]
        shutil.rmtree(new)
        made += 1
    assert made > 40


def test_what_is_lost_is_the_damaged_frame_alone(run: Run, quick: Path) -> None:
    """Of all that came after, each frame is kept beside, as `journal cat` prints it."""
    folder = run("people")
    number = damage.count(folder / "journal")
    damage.flipped(folder / "journal", 12)
    made = salvage(folder, quick / "new")
    left = (quick / "new" / salvaging.LEFT_OUT).read_text().splitlines()
    assert [json.loads(line)["frame"] for line in left] == [*range(13, number + 1)]
    assert made.left_out.frames + made.kept.frames == number - 1


def test_a_sound_run_is_salvaged_whole(run: Run, quick: Path) -> None:
    """And what a crash tore at its end is left out, as the next run would."""
    folder = run("judged")
    last = sorted((folder / "journal").glob("*.odj"))[-1]
    last.write_bytes(last.read_bytes() + b"half a frame")
    made = salvage(folder, quick / "new")
    assert made.kept.frames == damage.count(folder / "journal")
    assert made.left_out.frames == 0
    assert [path.name for path in (quick / "new").iterdir()] == ["journal"]


def test_a_journal_that_lost_its_end_is_not_called_sound(run: Run, quick: Path) -> None:
    """That a checkpoint was made after a frame which is not there tells of it."""
    folder = run("judged")
    checkpoint(folder, 4, 99, bytes(32))
    made = salvage(folder, quick / "new")
    assert "the journal ends before frame 99" in made.refused
    assert made.kept.frames == damage.count(folder / "journal")
    assert not (quick / "new" / "checkpoints").exists()


def test_what_was_salvaged_can_be_salvaged(run: Run, quick: Path) -> None:
    """It is said each time; what the run was derived from before stays."""
    for name in ("salvaged", "rejudged"):
        folder = run(name)
        before = Reader(folder / "journal").fold().derived
        salvage(folder, quick / f"{name}-again")
        again = quick / f"{name}-again" / "journal"
        assert Reader(again).fold().derived == before
        said = [record for record in kit.recorded(again) if isinstance(record, Derived)]
        assert [record.purpose for record in said] == [
            "salvage" if name == "salvaged" else "rejudge",
            "salvage",
        ]


def test_facts_that_make_no_sense_end_the_sound_part(run: Run, quick: Path) -> None:
    """Though all sums and the chain fit: somebody made them by hand."""
    payloads = {
        "an illegal move": codec.encode([facts.step(99, 1)]),
        "no records": b"\xc1",
        "no sense": codec.encode([replace(facts.bundle(), sha256="no hex")]),
    }
    for what, payload in payloads.items():
        folder, new = run("judged"), quick / what
        damage.forged(folder / "journal", 8, payload)
        made = salvage(folder, new)
        assert made.kept.frames == 7
        assert "000001.odj" in made.refused and "frame 8" in made.refused
        assert made.left_out.frames == damage.count(folder / "journal") - 7
        assert made.left_out.undecoded == (what == "no records")


def test_what_a_newer_version_wrote_is_not_cut(run: Run, quick: Path) -> None:
    """This version cannot tell what it is: a newer one is to be used."""
    folder = run("judged")
    payload = codec.encode([facts.withdrawn(0)]).replace(b"withdrawn", b"astounded")
    damage.forged(folder / "journal", 8, payload)
    for number in (None, 3):
        if number:
            damage.flipped(folder / "journal", number)
        with pytest.raises(JournalNewer, match=r"frame 8: .*astounded"):
            salvage(folder, quick / "new")
        assert sorted(path.name for path in quick.iterdir()) == ["judged"]


def test_without_its_first_frame_nothing_is_a_run(run: Run, quick: Path) -> None:
    """It is said so, and what is there as data."""
    folder = run("judged")
    damage.flipped(folder / "journal", 1)
    with pytest.raises(JournalDamaged, match="nothing can be salvaged") as refused:
        salvage(folder, quick / "new")
    assert "4 steps" in refused.value.hint and "--past-damage" in refused.value.hint
    assert not (quick / "new").exists()


def test_the_new_folder_must_be_free_and_elsewhere(run: Run, quick: Path) -> None:
    """Nothing is overwritten, and nothing is put into the old run."""
    folder = run("judged")
    (quick / "full").mkdir()
    (quick / "full" / "mine.txt").write_text("mine")
    for new in (folder, quick / "full", quick / "full" / "mine.txt"):
        with pytest.raises(UsageError, match="exists already"):
            salvage(folder, new)
    with pytest.raises(UsageError, match="not to be touched"):
        salvage(folder, folder / "journal" / "new")
    (quick / "empty").mkdir()
    salvage(folder, quick / "empty")


def test_a_live_run_is_not_salvaged(run: Run, quick: Path) -> None:
    """Its process may be about to write; and the look at it leaves no trace."""
    folder = run("judged")
    salvage(folder, quick / "first")
    assert not (folder / "journal" / "lock").exists()
    lock = Lock(folder / "journal")
    with pytest.raises(RunLocked, match="works on this run"):
        salvage(folder, quick / "second")
    lock.release()
    salvage(folder, quick / "second")


def test_a_run_with_an_adapter_path_does_not_share_it(quick: Path) -> None:
    """Two runs must not put their adapters into the same place."""
    folder = quick / "run"
    opened = facts.run_opened(adapter_path="there")
    kit.write(folder / "journal", [[[opened]]])
    salvage(folder, quick / "new")
    assert Reader(quick / "new" / "journal").fold().settings["adapter_path"] is None


def test_a_long_run_is_salvaged_in_segments(
    quick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the writer begins a new one where one grows large."""
    monkeypatch.setattr(salvaging, "SEGMENT_LIMIT", 2000)
    folder = quick / "run"
    batches = kit.two_segments(folder / "journal")
    salvage(folder, quick / "new")
    assert len([*(quick / "new" / "journal").iterdir()]) > 2
    assert len(kit.recorded(quick / "new" / "journal")) == sum(map(len, batches)) + 1
    with Journal.open(quick / "new" / "journal", {}, by_table) as journal:
        journal.append([facts.dropped(journal.ledger.next_ticket)])


def test_the_guidelines_go_with_the_answers(run: Run, quick: Path) -> None:
    """As the people had them."""
    folder = run("people")
    (folder / "labels").mkdir()
    (folder / "labels" / "guidelines.md").write_text("Be fair.")
    salvage(folder, quick / "new")
    assert (quick / "new" / "labels" / "guidelines.md").read_text() == "Be fair."
