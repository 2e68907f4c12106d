"""`onlinedpo fork` as people use it: what it says, its mistakes, and when it dies."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from onlinedpo.cli.fork import fork as command
from onlinedpo.engine.loop import train
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import UsageError
from tests.engine.forks import rejudge
from tests.engine.runs import Listener, Scripted, opened, prefers_first
from tests.processes import killed, onlinedpo
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four steps."""
    folder = tmp_path_factory.mktemp("finished")
    model = str(toy_model(folder / "model", opinionated=True))
    data = str(prompts_file(folder / "data", 10))
    parts: dict[str, Any] = {"model": model, "judge": model, "data": data}
    with opened(folder / "run", **parts, iters=4, judge_orders=1):
        pass
    ended = onlinedpo("run", folder / "run")
    assert ended.code == 0, ended.output
    return folder / "run"


def typed(*arguments: str | Path) -> Result:
    """Type the command."""
    return CliRunner().invoke(command, [*map(str, arguments)])


def refused(*arguments: str | Path) -> UsageError:
    """Type the command, which is a mistake."""
    error = typed(*arguments).exception
    assert isinstance(error, UsageError), error
    return error


def test_it_says_what_was_made_and_how_to_go_on(finished: Path, tmp_path: Path) -> None:
    """With a checkpoint and without, with a change, and where all steps are taken."""
    last = typed(finished, tmp_path / "last").output
    early = typed(finished, tmp_path / "early", "--at", "1", "--beta", "0.3").output

    assert f"stands after step 4 of {finished}, with its checkpoint" in last
    assert f"onlinedpo run {tmp_path / 'last'} --iters 104" in last
    assert "whose checkpoint is not kept" in early
    assert "from there on beta is 0.3" in early
    assert early.endswith(f"go on with: onlinedpo run {tmp_path / 'early'}\n")
    assert not (tmp_path / "early" / "checkpoints").exists()


def test_the_only_other_judge_is_the_default(
    finished: Path, toy: Path, tmp_path: Path
) -> None:
    """With none, or several, it says what to do."""
    run, new = Path(shutil.copytree(finished, tmp_path / "run")), tmp_path / "new"
    none = refused(run, new, "--labels", "rejudged")
    one = rejudge(run, Scripted(prefers_first), str(toy))
    said = typed(run, new, "--labels", "rejudged").output
    rejudge(run, Scripted(prefers_first), str(toy), sample=3)
    several = refused(run, tmp_path / "more", "--labels", "rejudged")
    named = typed(run, tmp_path / "more", "--labels", "rejudged", "--rejudged", one)

    assert "no other judge has judged" in str(none)
    assert f"onlinedpo rejudge {run}" in none.hint
    assert "as the other judge labelled its pairs: 4 batches" in said
    assert "another label than there" in said
    assert "from there on judge is" in said
    assert "several judges" in str(several) and str(one)[:20] in several.hint
    assert named.exit_code == 0


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Another judge."""
    return toy_model(tmp_path / "toy", seed=3)


def test_mistakes_are_told(finished: Path, tmp_path: Path) -> None:
    """Each with what to do; nothing is made."""
    new = tmp_path / "new"
    assert "is not a run" in str(refused(tmp_path / "nowhere", new))
    assert "stands after step 4" in str(refused(finished, new, "--at", "5"))
    assert "cannot change seed" in str(refused(finished, new, "--seed", "3"))
    both = refused(finished, new, "--labels", "human", "--at", "2")
    assert "begins with the first step" in str(both)
    assert "is not used" in str(refused(finished, new, "--rejudged", finished))
    other = refused(finished, new, "--labels", "rejudged", "--rejudged", tmp_path)
    assert "is not a run" in str(other)
    assert "people found no winner" in str(refused(finished, new, "--labels", "human"))
    assert "exists already" in str(refused(finished, finished))

    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("point", "made"),
    [
        ("fork.written@1", False),
        ("folder.rename@1", True),
        *(
            pytest.param(point, False, marks=pytest.mark.slow)
            for point in (
                "000001.odj.rename@1",
                "journal.sync@1",
                "config.yaml.write@1",
            )
        ),
    ],
)
def test_killed_while_it_forks_there_is_all_or_nothing(
    point: str, made: bool, finished: Path, tmp_path: Path
) -> None:
    """What bears the name is whole; the same command then makes it."""
    new = tmp_path / "new"
    died = onlinedpo("fork", finished, new, "--at", "3", crash=point)
    assert killed(died), died.output

    assert new.exists() == made
    if not made:
        again = typed(finished, new, "--at", "3")
        assert again.exit_code == 0, again.output
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    with opened(new) as at_work:
        train(at_work)
    assert at_work.ledger.checkpoints == Reader(finished / "journal").fold().checkpoints


def test_a_changed_fork_that_is_killed_ends_as_one_left_alone(
    finished: Path, tmp_path: Path
) -> None:
    """Killed twice while it trains, once with its checkpoints deleted."""
    flags = ("--at", "2", "--learning-rate", "0.002", "--iters", "6")
    for name in ("whole", "killed"):
        assert typed(finished, tmp_path / name, *flags).exit_code == 0
    watch = Listener()
    with opened(tmp_path / "whole", watch) as whole:
        assert watch.told("re-applying steps 1 to 2 from the journal (no checkpoint)")
        train(whole)
    run = tmp_path / "killed"
    assert killed(onlinedpo("run", run, crash="folder.sync@2"))
    shutil.rmtree(run / "checkpoints")
    assert killed(onlinedpo("run", run, crash="journal.append@9"))
    ended = onlinedpo("run", run)

    assert ended.code == 0, ended.output
    ledger, theirs = (Reader(r / "journal").fold() for r in (run, finished))
    assert ledger.checkpoints == whole.ledger.checkpoints
    assert ledger.checkpoints[4] != theirs.checkpoints[4]
    assert ledger.settings["learning_rate"] == 0.002
