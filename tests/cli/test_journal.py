"""`onlinedpo journal`: verify, cat, doctor and salvage as people type them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
import yaml
from click.testing import CliRunner, Result

from onlinedpo.cli.main import cli
from onlinedpo.journal.lock import Lock
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import JournalError, UsageError
from tests.golden import make
from tests.journal import damage, kit
from tests.journal.checkpoints import checkpoint
from tests.processes import LINKS, onlinedpo

GOLDEN = Path(make.__file__).parent / make.VERSION


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with three segments; of its folder only the journal is there."""
    kit.put(tmp_path / "run" / "journal", kit.files(GOLDEN / "judged"))
    return tmp_path / "run"


def typed(*arguments: str | Path) -> Result:
    """A command of the group, in this process; an error is left in the result."""
    words = ["journal", *map(str, arguments)]
    return CliRunner().invoke(cli, words, standalone_mode=False)


def frames(run: Path) -> int:
    """The number of frames of a sound run."""
    return damage.count(run / "journal")


# -- verify ------------------------------------------------------------------------


def test_verify_prints_each_segment_and_the_head(run: Path) -> None:
    """Frames, bytes, the first and the last, and the chain after the last."""
    told = typed("verify", run)
    assert told.exit_code == 0
    paths = sorted((run / "journal").glob("*.odj"))
    lines = told.output.splitlines()
    assert [line.split()[0] for line in lines[: len(paths)]] == [p.name for p in paths]
    assert f"{paths[0].stat().st_size:,} bytes" in lines[0]
    assert "frames: 1 to " in lines[0]
    reader = Reader(run / "journal")
    reader.fold()
    assert reader.position
    assert lines[-2:] == [
        f"sound; head of the chain after frame {frames(run)}:",
        reader.position.chain.hex(),
    ]


def test_verify_reads_a_copy_that_nobody_may_write(run: Path) -> None:
    """It leaves nothing behind, also no lock."""
    before = kit.files(run / "journal")
    for path in (run / "journal").iterdir():
        path.chmod(0o444)
    (run / "journal").chmod(0o555)
    assert typed("verify", run).exit_code == 0
    assert kit.files(run / "journal") == before
    assert not (run / "journal" / "lock").exists()
    (run / "journal").chmod(0o755)


def test_verify_tells_of_a_torn_tail_which_is_no_damage(run: Path) -> None:
    """As a live run may have one at any instant."""
    lock = Lock(run / "journal")
    path = sorted((run / "journal").glob("*.odj"))[-1]
    path.write_bytes(path.read_bytes()[:-3])
    told = typed("verify", run)
    assert told.exit_code == 0
    assert f"{path.name}: the last" in told.output
    assert "harmless" in told.output
    assert f"after frame {frames(run)}:" in told.output
    lock.release()


def test_verify_names_file_byte_and_frame_of_damage(run: Path) -> None:
    """After the segments that it came through; the exit code is 5."""
    number = frames(run) - 1
    path, start, _ = damage.place(run / "journal", number)
    damage.flipped(run / "journal", number)
    told = onlinedpo("journal", "verify", run)
    assert told.code == JournalError.exit_code
    assert f"{path.name}: byte {start}: frame {number} is damaged" in told.output
    assert told.output.startswith("000001.odj")
    assert "sound" not in told.output and "Traceback" not in told.output


def test_verify_holds_the_journal_to_its_checkpoints(run: Path) -> None:
    """What they were made after must be there."""
    chains = {f.number: f.chain for _, f in Reader(run / "journal").whole_frames()}
    last = max(chains)
    checkpoint(run, 4, last - 1, chains[last - 1])
    assert f"step-000004 was made after frame {last - 1}" in typed("verify", run).output
    checkpoint(run, 5, last + 1, bytes(32))
    told = typed("verify", run)
    assert isinstance(told.exception, JournalError)
    assert f"ends before frame {last + 1}" in str(told.exception)


# -- cat ---------------------------------------------------------------------------


def test_cat_prints_a_json_object_for_each_frame(run: Path) -> None:
    """Where it stands, and its records, in order."""
    rows = [json.loads(line) for line in typed("cat", run).output.splitlines()]
    assert [row["frame"] for row in rows] == [*range(1, frames(run) + 1)]
    path, start, end = damage.place(run / "journal", 7)
    assert rows[6] | {"records": []} == {
        "frame": 7,
        "segment": path.name,
        "offset": start,
        "length": end - start,
        "records": [],
    }
    kinds = [record["kind"] for row in rows for record in row["records"]]
    assert kinds[:2] == ["run-opened", "process-started"]
    assert len(kinds) == len(kit.recorded(run / "journal"))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("--frame", "3"), [3]),
        (("--frames", "3-5"), [3, 4, 5]),
        (("--frames", "-2"), [1, 2]),
        (("--frames", "24-"), [24, 25, 26]),
        (("--frames", "90-99"), []),
    ],
)
def test_cat_prints_the_frames_asked_for(
    asked: tuple[str, ...], expected: list[int], run: Path
) -> None:
    """One, or a range with one end or two."""
    assert frames(run) == 26
    rows = [json.loads(line) for line in typed("cat", run, *asked).output.splitlines()]
    assert [row["frame"] for row in rows] == expected


@pytest.mark.parametrize(
    "asked",
    [
        ("--frame", "27"),
        ("--frames", "5"),
        ("--frames", "-"),
        ("--frames", "a-b"),
        ("--frame", "1", "--frames", "1-2"),
    ],
)
def test_cat_refuses_what_is_no_frame(asked: tuple[str, ...], run: Path) -> None:
    """One clear line."""
    assert isinstance(typed("cat", run, *asked).exception, UsageError)


def test_cat_gives_the_payloads_as_they_stand(run: Path) -> None:
    """One msgpack array after the other."""
    raw = typed("cat", run, "--raw").stdout_bytes
    payloads = [f.payload for _, f in Reader(run / "journal").whole_frames()]
    assert raw == b"".join(payloads)
    unpacker = msgpack.Unpacker(strict_map_key=False, unicode_errors="surrogatepass")
    unpacker.feed(raw)
    assert sum(1 for _ in unpacker) == len(payloads)


def test_cat_stops_at_damage_or_goes_on_past_it(run: Path) -> None:
    """What can be read is printed first; the exit code is 5 either way."""
    damage.flipped(run / "journal", 9)
    for more, expected in (
        ((), [*range(1, 9)]),
        (("--past-damage",), [*range(1, 9), *range(10, 27)]),
    ):
        told = onlinedpo("journal", "cat", run, *more)
        assert told.code == JournalError.exit_code
        lines = told.output.splitlines()
        rows = [json.loads(line) for line in lines if line.startswith("{")]
        assert [row["frame"] for row in rows] == expected
        assert "frame 9 is damaged" in lines[-2]


def test_cat_ends_quietly_where_nobody_reads_on(run: Path) -> None:
    """As `head` does, once it has enough."""
    process = subprocess.Popen(
        [sys.executable, "-m", "onlinedpo.cli", "journal", "cat", str(run)],
        env={**os.environ, "PYTHONPATH": str(LINKS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout and process.stderr
    # Long before it has begun to write.
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(timeout=60)


# -- doctor ------------------------------------------------------------------------


def test_the_doctor_says_that_nothing_is_wrong(run: Path) -> None:
    """In one line, with exit code 0."""
    told = typed("doctor", run)
    assert told.return_value == 0
    assert told.output.count("\n") == 1
    assert "nothing is wrong: it can go on as it is" in told.output


def test_the_doctor_gives_commands_that_can_be_copied(
    tmp_path: Path, run: Path
) -> None:
    """Each on a line of its own, with names quoted for the shell; exit code 5."""
    odd = tmp_path / "my run"
    run.rename(odd)
    damage.flipped(odd / "journal", 9)
    told = onlinedpo("journal", "doctor", odd)
    assert told.code == JournalError.exit_code
    lines = [line.strip() for line in told.output.splitlines()]
    assert f"onlinedpo journal salvage '{odd}' '{odd}-salvaged'" in lines
    assert lines[0] == f"{odd} cannot go on as it is."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("batch_size: [", "is not YAML"),
        ("batchsize: 3", "unknown setting 'batchsize'"),
        ("batch_size: 5", "would change a run that has begun"),
        ("\x00\x01", "is not YAML"),
    ],
)
def test_the_doctor_reads_the_settings_as_a_run_does(
    text: str, says: str, run: Path
) -> None:
    """What stops a run there is told, and that the journal has them too."""
    settings = Reader(run / "journal").fold().settings
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    assert typed("doctor", run).return_value == 0
    (run / "config.yaml").write_text(text)
    told = typed("doctor", run)
    assert told.return_value == JournalError.exit_code
    assert says in told.output.replace("\n   ", " ")
    assert "mv " in told.output


@pytest.mark.parametrize("command", ["verify", "cat", "doctor", "salvage"])
def test_what_is_no_run_is_refused(command: str, tmp_path: Path) -> None:
    """Nothing is made."""
    new = (tmp_path / "new",) if command == "salvage" else ()
    for folder in (tmp_path / "nowhere", tmp_path):
        told = typed(command, folder, *new)
        assert isinstance(told.exception, UsageError), told.output
        assert not (tmp_path / "new").exists()


# -- salvage -----------------------------------------------------------------------


def test_salvage_says_what_it_kept_and_how_to_go_on(run: Path, tmp_path: Path) -> None:
    """And the new run is one for every other command."""
    damage.flipped(run / "journal", 20)
    new = tmp_path / "new"
    told = onlinedpo("journal", "salvage", run, new)
    assert told.code == 0
    for words in (
        "first damage:",
        "frame 20 is damaged",
        "holds what stands before: 19 frames with",
        "left out, since it may go back to what is lost: 6 frames with",
        "quarantine/left-out.jsonl",
        "no checkpoint was copied",
        f"go on with: onlinedpo run {new}",
    ):
        assert words in told.output
    assert typed("verify", new).exit_code == 0
    assert typed("doctor", new).return_value == 0
    assert CliRunner().invoke(cli, ["status", str(new)]).exit_code == 0
    assert "salvage of run" in CliRunner().invoke(cli, ["replay", str(new)]).output


def test_salvage_tells_where_peoples_answers_are(tmp_path: Path) -> None:
    """Those that are taken in, and those that come later."""
    run, new = tmp_path / "run", tmp_path / "new"
    kit.put(run / "journal", kit.files(GOLDEN / "people"))
    damage.flipped(run / "journal", 5)
    told = typed("salvage", run, new).output
    (now,) = (new / "labels" / "inbox").iterdir()
    (later,) = (new / "labels").glob("salvaged-later-*.jsonl")
    for path in (now, later):
        count = len(path.read_text().splitlines())
        assert f"{count} answers in {path}" in told
        assert count > 3
    shutil.rmtree(new)


def test_what_is_no_run_to_be_trained_is_not_called_one(tmp_path: Path) -> None:
    """Another judge's verdicts are salvaged as such."""
    kit.put(tmp_path / "run" / "journal", kit.files(GOLDEN / "rejudged"))
    told = typed("salvage", tmp_path / "run", tmp_path / "new").output
    assert f"go on with: onlinedpo rejudge ... --into {tmp_path / 'new'}" in told


def test_only_with_its_command_does_the_group_do_anything() -> None:
    """Its help shows how to begin."""
    told = typed("--help").output
    assert "onlinedpo journal doctor runs/mine" in told
    for command in ("verify", "cat", "doctor", "salvage"):
        assert "Example" in typed(command, "--help").output
