"""`replay`: the story of a run, in order, filtered, and as it grows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from onlinedpo.cli.main import cli
from onlinedpo.journal import codec
from onlinedpo.journal.frames import encode_frame
from onlinedpo.journal.reader import Reader, path_of
from onlinedpo.journal.writer import Journal
from onlinedpo.states.errors import IllegalMove, JournalDamaged, UsageError
from onlinedpo.states.lifecycle import by_table
from onlinedpo.states.records import Record, Sampled, Step, Verdict
from tests.cli.histories import asked, judged_run, rewound_run
from tests.engine.runs import records
from tests.journal import kit
from tests.people.runs import pairs, those
from tests.processes import LINKS, killed, onlinedpo, start
from tests.states import facts
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a model as judge."""
    return judged_run(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with people that was rewound."""
    return rewound_run(tmp_path_factory.mktemp("history"))


def rows(*arguments: str | Path) -> list[dict[str, Any]]:
    """The events that --json has."""
    return [
        json.loads(row) for row in asked("replay", *arguments, "--json").splitlines()
    ]


def written(folder: Path, *batches: list[Record]) -> Path:
    """A run of these facts."""
    kit.write(folder / "journal", [list(batches)])
    return folder


EVERY_KIND: list[list[Record]] = [
    [facts.run_opened(), facts.derived(), facts.process_started(iters=7)],
    [facts.held_out(), facts.evaluated(0, "win", "loss", "failed"), facts.tail_cut()],
    [facts.sampled(0), facts.ranked(0), facts.sampled(1), facts.sampled(2)],
    [facts.submitted(0, 1, 2), facts.verdict(0)],
    [facts.verdict(0, "second-first", None, failure="no answer"), facts.escalated(0)],
    [facts.vote(0, "second", strong=True), facts.people_say(0, "second")],
    [facts.vote(0, "undo"), facts.withdrawn(0), facts.kept(), facts.bundle()],
    [facts.vote(0, "tie", source="file"), facts.people_say(0, None, "tie")],
    [facts.label(1), facts.dropped(2), facts.dropped(0), facts.step(1, 1, state="ab")],
    [
        facts.restored(facts.sampled(1), facts.label(1, "second")),
        facts.rewound(0, (1,)),
    ],
    [facts.step(1, 1)],
]


def test_every_kind_of_event_is_told_in_one_line(tmp_path: Path) -> None:
    """In words, with its time, frame and pair."""
    told = asked("replay", written(tmp_path, *EVERY_KIND))
    found = told.splitlines()

    assert len(found) == sum(map(len, EVERY_KIND))
    assert {type(r) for batch in EVERY_KIND for r in batch} == {*codec.KINDS.values()}
    stamps = {row[:15] for row in found}
    assert len(stamps) == 1 and [int(row[15:21]) for row in found] == [
        n for n, batch in enumerate(EVERY_KIND, start=1) for _ in batch
    ]
    for words in (
        "  process started on cpu; changed {'iters': 7}",
        f"  {facts.sampled(0).pair}  sampled (3 + 2 tokens, second cut)",
        "  3 pairs to be judged: 0-2",
        f"  {facts.sampled(0).pair}  verdict first-second: first (P(first) 0.91), by"
        " toy",
        "  verdict second-first: none (no answer), by toy",
        "  people asked for 1 answer: people judge",
        "  anna: strongly 2, which is second",
        "  anna (file): tie",
        "  label by human: neither (tie)",
        "  label first by judge 0.90",
        "  dropped: tie",
        "  step 1: 1 pair, loss 0.6900, margin +0.000, checkpoint ab",
        "  put back, label second by judge 0.90",
        "  rewound to step 0: 1 pair again, in 1 step",
        "  inbox/a.jsonl was read (jsonl): 2 answers, 1 known already, 2 refused",
    ):
        assert words in told


def test_as_json_every_event_has_all_that_the_journal_has(history: Path) -> None:
    """Its frame, its number, the pair's name, its kind, and every field."""
    found = rows(history)

    assert [row["event"] for row in found] == [*range(1, len(found) + 1)]
    for row, record in zip(found, records(history), strict=True):
        plain = json.loads(json.dumps(codec.as_map(record)))
        assert plain.items() <= row.items()
        if isinstance(record, Sampled):
            assert row["pair"] == record.pair
    frames = [
        place.number
        for place, batch in Reader(history / "journal").batches()
        for _ in batch
    ]
    assert [row["frame"] for row in found] == frames


def test_json_has_no_number_that_json_does_not_have(tmp_path: Path) -> None:
    """A judge whose answer was not a number is there as null."""
    nan = float("nan")
    strange = facts.verdict(0, winner=None, failure="?", logprobs=(nan, -1.0))
    begun: list[Record] = [facts.run_opened(), facts.sampled(0), facts.submitted(0)]
    found = asked(
        "replay", written(tmp_path, [*begun, strange]), "--kind", "verdict", "--json"
    )

    assert json.loads(found, parse_constant=pytest.fail)["logprobs"] == [None, -1.0]


def test_what_people_and_models_wrote_cannot_drive_the_terminal(history: Path) -> None:
    """A name is shown with what is strange in it spelled out."""
    told = asked("replay", history)

    assert "ann\\x1b[31m: " in told
    assert not [c for c in told if c < " " and c != "\n"]


def test_filters_are_combined(history: Path) -> None:
    """Of a pair, a prompt, a step, a state, a source, a kind: all have to hold."""
    pair = pairs(history)[1]
    every = rows(history)

    one = rows(history, "--pair", pair.pair)
    assert (
        one
        == rows(history, "--pair", "1")
        == rows(history, "--prompt", str(pair.prompt))
    )
    assert [row["kind"] for row in one] == [
        *("sampled", "submitted", "escalated", "vote", "label", "step"),
        *("vote", "restored", "rewound", "step"),
    ]
    assert rows(history, "--state", "applied") == rows(history, "--kind", "step")
    assert {row["kind"] for row in rows(history, "--source", "human")} == {
        "vote",
        "label",
    }
    of_step = rows(history, "--step", "1")
    assert of_step == [row for row in every if {0, 1, 2} & tickets(row)]
    assert rows(history, "--step", "1", "--pair", "4") == []
    both = rows(history, "--step", "1", "--kind", "vote", "--kind", "label")
    assert [row["ticket"] for row in both] == [0, 1, 2, 0, 1, 2, 1]


def tickets(row: dict[str, Any]) -> set[int]:
    """The pairs of an event."""
    row = row.get("sampled", row)
    return {*row.get("tickets", ()), *([row["ticket"]] if "ticket" in row else [])}


def test_to_a_step_ends_with_its_last_commit_and_where_all_stood(history: Path) -> None:
    """Also where a rewind had it taken again."""
    found = rows(history, "--to", "2")
    *_, last, standing = asked("replay", history, "--to", "2").splitlines()

    *_, commit, end = found
    assert (commit["kind"], commit["index"]) == ("step", 2)
    assert commit["time"] == those(history, Step)[4].time
    assert end["step"] == 2
    assert (end["standing"]["applied"], end["standing"]["labelled"]) == (6, 3)
    assert "  step 2: 3 pairs" in last
    assert standing.startswith("after step 2: sampled 0") and "applied 6" in standing


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (["--step", "9"], "step 9 was not taken: the run stands after step 2"),
        (["--to", "0"], "step 0 was not taken"),
        (["--pair", "77"], "no pair '77'"),
        (["--pair", "000000-00000000"], "no pair '000000-00000000'"),
        (["--pair", "x"], "does not name a pair"),
        (["--follow", "--to", "1"], "--follow for what comes"),
    ],
)
def test_what_is_not_there_is_refused(
    wish: list[str], words: str, judged: Path
) -> None:
    """Before anything of another pair is told."""
    ended = CliRunner().invoke(cli, ["replay", str(judged), *wish])

    assert isinstance(ended.exception, UsageError)
    assert words in str(ended.exception)
    assert ended.stdout == ""


def test_a_run_without_an_event_has_no_story(tmp_path: Path) -> None:
    """As a crash may leave it, right after the journal was made."""
    Journal.create(tmp_path / "journal", kit.RUN, by_table).close()
    for how in ([], ["--follow"], ["--kind", "step"]):
        with pytest.raises(UsageError, match="has not begun"):
            asked("replay", tmp_path, *how)
    with pytest.raises(UsageError, match="is not a run"):
        asked("replay", tmp_path / "nowhere", "--follow")


def flip(folder: Path) -> None:
    """Damage the last but one frame of a journal."""
    path = max(folder.glob("*.odj"))
    frames = kit.spans(path).frames
    data = bytearray(path.read_bytes())
    data[-len(frames[-1]) - len(frames[-2]) + 40] ^= 1
    path.write_bytes(data)


def lie(folder: Path) -> None:
    """Append a fact that cannot be: a step on a pair that has ended long ago."""
    reader = Reader(folder)
    reader.fold()
    at = reader.position
    assert at is not None
    payload = codec.encode([facts.step(9, 0)])
    data, _ = encode_frame(at.run, at.chain, at.number + 1, payload)
    with path_of(folder, at.segment).open("ab") as file:
        file.write(data)


@pytest.mark.parametrize(
    ("harm", "error", "left"), [(flip, JournalDamaged, 2), (lie, IllegalMove, 0)]
)
def test_of_a_damaged_journal_the_story_is_told_up_to_there(
    harm: Callable[[Path], None],
    error: type[Exception],
    left: int,
    tmp_path: Path,
) -> None:
    """Then comes the error, with file, byte and frame, and exit code 5."""
    run = written(tmp_path, *EVERY_KIND)
    whole = asked("replay", run).splitlines()
    harm(run / "journal")
    ended = onlinedpo("replay", run)
    told = [row for row in ended.output.splitlines() if row in whole]

    assert ended.code == 5
    assert told == [row for row in whole if int(row[15:21]) <= len(EVERY_KIND) - left]
    assert "frame" in ended.output and "Traceback" not in ended.output
    of_step = CliRunner().invoke(cli, ["replay", str(run), "--step", "1"])
    assert isinstance(of_step.exception, error)
    about = (" 000001-", " pairs to be judged", "  step 1: ", "  rewound ")
    assert of_step.stdout.splitlines() == [
        row for row in told if any(words in row for words in about)
    ]


def first_line_of(*arguments: str | Path) -> tuple[str, str]:
    """The beginning of what a command prints, and its errors, if one reads no more."""
    with subprocess.Popen(
        [sys.executable, "-m", "onlinedpo.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(LINKS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdout and process.stderr
        begins = process.stdout.readline()[:9]
        process.stdout.close()
        return begins, process.stderr.read()


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    """As `replay | head` does: more is told than a pipe holds, and nobody reads it."""
    drops: list[Record] = [facts.dropped(n) for n in range(9000)]
    run = written(tmp_path, [facts.run_opened()], drops)

    assert first_line_of("replay", run, "--json") == ('{"frame":', "")


class Follower:
    """A process that follows a run."""

    def __init__(self, run: Path, *more: str) -> None:
        self.process = start("replay", run, "--follow", *more)
        # So that a test which waits for a line that never comes does not hang.
        self._timer = threading.Timer(120, self.process.kill)
        self._timer.start()

    def lines(self, count: int) -> list[str]:
        """The next lines, except what is said of who works on the run."""
        assert self.process.stdout
        found: list[str] = []
        while len(found) < count:
            line = self.process.stdout.readline()
            assert line, f"it ended after {found[-3:]}"
            if not line.startswith("nobody works on"):
                found.append(line.rstrip("\n"))
        return found

    def told_that_nobody_works(self) -> bool:
        """Wait for that to be the next line."""
        assert self.process.stdout
        return self.process.stdout.readline().startswith("nobody works on")

    def leave(self) -> tuple[int, str]:
        """Press Ctrl-C: exit code, and what is printed then."""
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=60)
        self._timer.cancel()
        return self.process.returncode, rest.strip()


SHORT = ("--max-completion-length", "8")


def test_a_live_run_is_followed_through_a_kill_and_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line by line the same story as is told in the end; Ctrl-C ends it."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    model = toy_model(tmp_path / "model", opinionated=True)
    data = prompts_file(tmp_path / "data", 12)
    run, flags = tmp_path / "run", ("--model", model, "--judge", model, "--data", data)
    size = ("--iters", "4", "--batch-size", "2", "--judge-orders", "1")
    died = onlinedpo("run", run, *flags, *size, *SHORT, crash="journal.append@6")
    assert killed(died), died.output
    tear(run / "journal")
    before = asked("replay", run).splitlines()

    follower = Follower(run)
    assert follower.lines(len(before)) == before
    assert follower.told_that_nobody_works()
    ended = onlinedpo("run", run)
    assert ended.code == 0, ended.output
    whole = asked("replay", run).splitlines()
    assert before == whole[: len(before)] and len(whole) > len(before) + 10
    assert follower.lines(len(whole) - len(before)) == whole[len(before) :]
    assert any("torn tail of" in row for row in whole)
    code, rest = follower.leave()
    assert code == 130
    assert "Traceback" not in rest and "stopped" not in rest


def tear(folder: Path) -> None:
    """Take a byte of the last frame away, as if its write had not come to an end."""
    path = max(folder.glob("*.odj"))
    path.write_bytes(path.read_bytes()[:-1])


def test_what_is_followed_may_be_filtered(judged: Path) -> None:
    """As JSON, too."""
    follower = Follower(judged, "--kind", "verdict", "--json")
    found = [json.loads(row) for row in follower.lines(len(those(judged, Verdict)))]
    follower.leave()

    assert found == rows(judged, "--kind", "verdict")


def test_half_a_frame_that_nobody_writes_is_told(tmp_path: Path) -> None:
    """It is no event; the next run cuts it off."""
    run = written(tmp_path, *EVERY_KIND)
    whole = asked("replay", run).splitlines()
    tear(run / "journal")
    ended = onlinedpo("replay", run)

    assert ended.code == 0
    *told, note = ended.output.splitlines()
    assert told == whole[:-1]
    assert "half a frame that a killed process left" in note
