"""A run that is copied while it works: the copy goes on, or says what is torn."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import pytest

from onlinedpo.cli.main import cli
from onlinedpo.engine.loop import train
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.saving import publish
from onlinedpo.engine.start import open_run
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import AuditFailed, JournalDamaged, OnlineDPOError
from onlinedpo.states.records import Record, RunOpened
from tests.conftest import Count
from tests.crash.calls import Call, watched
from tests.crash.disks.copying import Copying, Disk, as_it_stands, interrupted
from tests.engine import runs
from tests.journal.memory import in_memory
from tests.processes import onlinedpo
from tests.toys import prompts_file, toy_model


@dataclass(frozen=True)
class Worked:
    """A run that worked to its end, as it stood before each change that it made."""

    moments: list[Disk]
    state: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of real files that nobody waits for, with a model and data."""
    with in_memory(tmp_path_factory.mktemp("copied")) as place:
        toy_model(place / "model", opinionated=True)
        prompts_file(place / "data", 10)
        yield place


@pytest.fixture(scope="module")
def worked(place: Path) -> Worked:
    """Five steps, with two checkpoints at a time, an adapter and metrics."""
    model, data, run = str(place / "model"), str(place / "data"), place / "run"
    moments: list[Disk] = []

    def keep(call: Call) -> None:
        moments.append(as_it_stands(run))

    with watched(keep):
        wanted = {"model": model, "judge": model, "data": data}
        state = runs.trained(run, runs.Scripted(runs.by_text), iters=5, **wanted)
    moments.append(as_it_stands(run))
    return Worked(moments, state)


def answer(*arguments: str | Path) -> int:
    """The exit code of a command; whatever is no error for the user is raised."""
    return told(*arguments)[0]


def told(*arguments: str | Path) -> tuple[int, str]:
    """The same, and what it prints."""
    words, out = [*map(str, arguments)], TextIOWrapper(BytesIO())
    try:
        with redirect_stdout(out), redirect_stderr(StringIO()):
            done = cli(words, prog_name="onlinedpo", standalone_mode=False)
    except OnlineDPOError as error:
        assert str(error) and error.hint
        done = error.exit_code
    out.seek(0)
    return int(done or 0), out.read()


def look(copy: Path) -> tuple[int, int]:
    """What `journal verify` and `journal doctor` say; others say something."""
    for command in (["status"], ["audit"], ["replay"], ["journal", "cat"], ["runs"]):
        assert answer(*command, copy) in (0, 2, 5)
    return answer("journal", "verify", copy), answer("journal", "doctor", copy)


def taken_up(copy: Path) -> str:
    """Let a run go on to its end, as `onlinedpo run RUN` does; digest of its state."""
    run = open_run(RunFolder(copy), {}, runs.Listener())
    with run.journal:
        run.judge = runs.Scripted(runs.by_text)
        publish(run)
        train(run)
        return runs.state(run)


def recorded(copy: Path) -> list[Record]:
    """What a copy's journal holds before any damage."""
    facts: list[Record] = []
    with suppress(OnlineDPOError):
        facts += Reader(copy / "journal").records()
    return facts


def salvaged(worked: Worked, copy: Path) -> str:
    """What becomes of a torn copy if the doctor's advice is followed."""
    new = copy.with_name(f"{copy.name}-salvaged")
    if answer("journal", "salvage", copy, new):
        return "nothing in it is sound"
    assert taken_up(new) == worked.state
    audit(new)
    shutil.rmtree(new)
    return "what is sound of it went on to the same bytes"


def goes_on(worked: Worked, copy: Path) -> str:
    """What becomes of a copy that is taken up; it is right, or refused."""
    verified, diagnosed = look(copy)
    config = (
        (copy / "config.yaml").read_bytes() if (copy / "config.yaml").exists() else b""
    )
    whole = config in {disk.get("config.yaml", b"") for disk in worked.moments}
    begun = any(isinstance(fact, RunOpened) for fact in recorded(copy))
    try:
        state = taken_up(copy)
    except JournalDamaged as error:
        assert verified and diagnosed, f"only the run itself sees it: {error}"
        return f"refused: torn; {salvaged(worked, copy)}"
    except OnlineDPOError:
        assert not begun or not whole
        return "refused: it had not begun" if whole else "refused: its settings"
    if not begun and not whole:
        return "began, as config.yaml says"
    # Of a journal that was not copied yet, others say that there is no run.
    said = not verified and not diagnosed
    assert said or not begun, "it goes on, but others say that it cannot"
    assert state == worked.state, "it went on to something else"
    try:
        audit(copy)
    except AuditFailed as error:
        # One that was being removed while it was copied, and that nobody uses.
        assert f"{copy}/checkpoints/" in str(error)
        for older in sorted((copy / "checkpoints").glob("step-*"))[:-1]:
            shutil.rmtree(older)
        audit(copy)
    return "went on to the same bytes"


@pytest.mark.parametrize("seeds", [4, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["once", "twice", "broken off"])
def test_a_copy_of_a_run_at_work_goes_on_or_says_what_is_torn(
    way: str, seeds: int, worked: Worked, place: Path, count: Count
) -> None:
    """Copied once, again on top of the first copy, or not to its end."""
    outcomes = Counter[str]()
    for seed in range(seeds):
        chance, copy = random.Random(f"{way} {seed}"), place / "copy"
        Copying(worked.moments, copy, chance).copy()
        if way == "twice":
            Copying(worked.moments, copy, chance).copy()
        elif way == "broken off":
            interrupted(copy, chance)
        outcomes[goes_on(worked, copy)] += 1
        shutil.rmtree(copy)
    for outcome, number in outcomes.items():
        count(f"copies of a run at work, {way}: {outcome}", number)


def test_a_copy_with_a_newer_checkpoint_than_its_journal_can_be_mended(
    worked: Worked, place: Path
) -> None:
    """It is refused, and the doctor says how it goes on: from what is sound."""
    early = next(d for d in worked.moments if "checkpoints/step-000003" in d)
    copy = place / "torn"
    for disk in (early, worked.moments[-1]):
        for name, data in disk.items():
            path = copy / name
            if data is None:
                path.mkdir(parents=True, exist_ok=True)
            elif disk is early or not name.startswith("journal"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
    with pytest.raises(JournalDamaged, match="a checkpoint was made after") as refused:
        taken_up(copy)
    assert "journal doctor" in refused.value.hint
    code, said = told("journal", "doctor", copy)
    assert code == JournalDamaged.exit_code
    assert "different copies" in said and f"journal salvage {copy} " in said
    assert salvaged(worked, copy) == "what is sound of it went on to the same bytes"
    shutil.rmtree(copy)


def answered(run: Path, choice: int) -> dict[str, str]:
    """Answer all that waits in a run; returns the files as they were saved."""
    saved = {}
    for file in sorted((run / "labels" / "todo").glob("*.md")):
        text = re.sub(r"(?m)^choice:.*$", f"choice: {choice}", file.read_text())
        file.write_text(text)
        saved[file.name] = text
    return saved


def test_two_copies_that_both_go_on_do_not_take_answers_to_each_others_pairs(
    place: Path, flags: tuple[str, ...]
) -> None:
    """They bear one id; but once they differ, so do the names of their pairs."""
    one, two = place / "one", place / "two"
    settings = (*flags, "--judge", "human", "--learning-rate", "1e-2")
    assert onlinedpo("run", one, *settings, "--no-wait").code == 3
    shutil.copytree(one, two)
    for run, choice in ((one, 1), (two, 2)):
        answered(run, choice)
        assert onlinedpo("run", run, "--no-wait").code == 3
    strange = answered(one, 1)
    for name, text in strange.items():
        (two / "labels" / "todo" / name).write_text(text)
    rows = [f'{{"id": "{Path(name).stem}", "choice": "1"}}\n' for name in strange]
    (two / "labels" / "inbox" / "answers.jsonl").write_text("".join(rows))

    went_on = onlinedpo("run", two, "--no-wait")

    assert went_on.code == 3
    assert went_on.output.count("the answer is to other completions") == 2
    assert "labels/inbox/answers.jsonl: 2 could not be used" in went_on.output
    assert Reader(two / "journal").fold().steps == 1, "nothing was trained on"
    audit(two)
    shutil.rmtree(one)
    shutil.rmtree(two)
