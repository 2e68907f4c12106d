"""`onlinedpo run` as people use it, mistakes included, in real processes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.processes import final_bytes, onlinedpo, start
from tests.toys import prompts_file, toy_model


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A settings file for a short run on a toy."""
    folder = tmp_path_factory.mktemp("toy")
    model = toy_model(folder / "model", opinionated=True)
    settings = {
        "model": str(model),
        "judge": str(model),
        "data": str(prompts_file(folder / "data", 10, held_out=2)),
        "judge_orders": 1,
        "iters": 3,
        "batch_size": 2,
        "max_completion_length": 8,
        "learning_rate": 1e-4,
        "save_every": 1,
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def finished(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    run = tmp_path_factory.mktemp("finished") / "run"
    ended = onlinedpo("run", run, "-c", toy)
    assert ended.code == 0, ended.output
    return run


def test_a_run_tells_what_it_did(finished: Path, toy: Path, tmp_path: Path) -> None:
    """The end of a run says how far it came, what durability cost, and what is next."""
    output = onlinedpo("run", tmp_path / "run", "-c", toy).output

    assert "finished: 3 of 3 steps" in output
    assert "held-out win rate after step 0:" in output
    assert "journal and checkpoint together" in output
    assert "--adapter-path" in output
    assert "Traceback" not in output


def test_the_same_seed_gives_the_same_bytes(
    finished: Path, toy: Path, tmp_path: Path
) -> None:
    """Equal settings end with equal bytes; another seed does not."""
    same = onlinedpo("run", tmp_path / "same", "-c", toy)
    other = onlinedpo("run", tmp_path / "other", "-c", toy, "--seed", "1")

    assert (same.code, other.code) == (0, 0)
    assert final_bytes(finished) == final_bytes(tmp_path / "same")
    assert final_bytes(finished) != final_bytes(tmp_path / "other")


def test_a_finished_run_can_be_made_longer(toy: Path, tmp_path: Path) -> None:
    """--iters on a finished run goes on to the same bytes as one long run."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    assert onlinedpo("run", run, "-c", toy, "--iters", "2").code == 0

    longer = onlinedpo("run", run, "--iters", "4")

    assert longer.code == 0, longer.output
    assert onlinedpo("run", whole, "-c", toy, "--iters", "4").code == 0
    assert final_bytes(whole) == final_bytes(run)
    assert "finished: 4 of 4" in onlinedpo("run", run).output


def test_a_flag_wins_over_the_file_and_the_file_over_the_default(
    toy: Path, tmp_path: Path
) -> None:
    """Flag over file over default; config.yaml says what is in force."""
    run = tmp_path / "run"
    ended = onlinedpo("run", run, "-c", toy, "--iters", "1", "--loss-type", "ipo")
    settings = yaml.safe_load((run / "config.yaml").read_text())

    assert ended.code == 0, ended.output
    assert settings["iters"] == 1
    assert settings["batch_size"] == 2
    assert settings["beta"] == 0.1
    assert settings["dpo_cpo_loss_type"] == "ipo"


def test_settings_that_change_the_result_are_refused_on_resume(finished: Path) -> None:
    """A resumed run with another beta is refused with the difference, and untouched."""
    before = final_bytes(finished)

    ended = onlinedpo("run", finished, "--beta", "0.3", "--temperature", "0.8")

    assert ended.code == 4
    assert "beta: 0.1 -> 0.3" in ended.output
    assert "temperature" not in ended.output
    assert before == final_bytes(finished)


def test_ctrl_c_leaves_after_the_operation_and_the_run_goes_on(
    finished: Path, toy: Path, tmp_path: Path
) -> None:
    """The first Ctrl-C ends the process in good order; the next start goes on."""
    run = tmp_path / "run"
    process = start("run", run, "-c", toy)
    wait_for(run / "metrics.jsonl", process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 130, output
    assert f"go on with: onlinedpo run {run}" in output or "finished" in output
    assert onlinedpo("run", run).code == 0
    assert final_bytes(finished) == final_bytes(run)


def test_a_second_process_is_refused(toy: Path, tmp_path: Path) -> None:
    """One run has one writer; a reader may look meanwhile."""
    run = tmp_path / "run"
    process = start("run", run, "-c", toy, "--iters", "10000")
    try:
        wait_for(run / "metrics.jsonl", process)
        second = onlinedpo("run", run)
        status = onlinedpo("status", run, "--json")
    finally:
        process.kill()
        process.communicate()

    assert second.code == 6
    assert str(process.pid) in second.output
    assert json.loads(status.output)["state"] == "running"
    assert json.loads(onlinedpo("status", run, "--json").output)["state"] == "stopped"


def test_a_run_that_has_lost_its_journal_is_not_begun_anew(
    toy: Path, tmp_path: Path
) -> None:
    """Its checkpoints stay where they are: they are all that is left of it."""
    run = tmp_path / "run"
    assert onlinedpo("run", run, "-c", toy).code == 0
    shutil.rmtree(run / "journal")
    left = sorted(run.rglob("*"))

    ended = onlinedpo("run", run)

    assert ended.code == 5
    assert "holds no journal" in ended.output
    assert sorted(run.rglob("*")) == left


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no run folder is given"),
        (["RUN"], "a new run needs --model"),
        (
            ["RUN", "--model", "M", "--data", "nowhere.jsonl"],
            "no file or folder 'nowhere",
        ),
        (["RUN", "--model", "nowhere/at-all", "--data", "D"], "'nowhere/at-all' could"),
        (["RUN", "--model", "D", "--data", "D"], "has no config.json"),
        (["RUN", "--model", "M", "--data", "D", "--top-p", "1.5"], "top_p is 1.5"),
        (
            ["RUN", "--model", "M", "--data", "D", "--target-modules", "[w]"],
            "no layer of the model matches",
        ),
        (["OTHER", "--model", "M", "--data", "D"], "holds other files and no run"),
    ],
)
def test_a_mistake_costs_one_clear_line(
    arguments: list[str], told: str, toy: Path, tmp_path: Path
) -> None:
    """What is wrong and what to do, code 2, no traceback, and nothing half-made."""
    settings = yaml.safe_load(toy.read_text())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    names = {
        "RUN": str(tmp_path / "run"),
        "OTHER": str(tmp_path / "other"),
        "M": settings["model"],
        "D": settings["data"],
    }
    filled = [names.get(a, a) for a in arguments]
    judge = ["--judge", settings["model"]] if "--model" in filled else []

    ended = onlinedpo("run", *filled, *judge)

    assert ended.code == 2, ended.output
    assert told in ended.output
    assert "Traceback" not in ended.output
    assert not (tmp_path / "run").exists()
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("learning_rat: 1e-4", "Did you mean 'learning_rate'?"),
        ("beta: high", "beta is 'high'"),
        ("iters: 1" + "0" * 30, "iters is 1000"),
        ("lora_parameters: {rank: big, dropout: 0, scale: 2}", "rank is 'big'"),
        ("- beta", "mine.yaml:3 is not YAML"),
        ("beta: [", "mine.yaml:4 is not YAML"),
        ("loss_type: ipo\ndpo_cpo_loss_type: hinge", "given twice"),
    ],
)
def test_a_mistake_in_a_settings_file_names_it(
    line: str, told: str, tmp_path: Path
) -> None:
    """A wrong settings file is named, with the nearest key or the reason."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"model: nowhere\ndata: nowhere\n{line}\n")

    ended = onlinedpo("run", tmp_path / "run", "-c", path)

    assert ended.code == 2
    assert told in ended.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "has no rows in it"),
        ('{"prompt": "a"}\n{"prompt": 3}\n', ":2 has a 'prompt' that is neither"),
        ('{"prompt": "a"}\n{"prompt"\n', ":2 is not JSON"),
        ('{"question": "a"}\n', "it has: question"),
    ],
)
def test_a_mistake_in_the_prompts_names_file_and_line(
    text: str, told: str, toy: Path, tmp_path: Path
) -> None:
    """A bad prompt file is refused by file and line."""
    data = tmp_path / "prompts.jsonl"
    data.write_text(text)

    ended = onlinedpo("run", tmp_path / "run", "-c", toy, "--data", data)

    assert ended.code == 2
    assert str(data) in ended.output
    assert told in ended.output


def test_a_schedule_may_be_written_as_people_write_it(
    toy: Path, tmp_path: Path
) -> None:
    """1e-4 is a number also within a list, in a file as on the command line."""
    run, schedule = tmp_path / "run", "{name: cosine_decay, arguments: [1e-4, 10]}"
    ended = onlinedpo("run", run, "-c", toy, "--iters", "1", "--lr-schedule", schedule)
    again = tmp_path / "again.yaml"
    again.write_text(f"lr_schedule: {schedule}\n")

    assert ended.code == 0, ended.output
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert settings["lr_schedule"]["arguments"] == [1e-4, 10]
    assert onlinedpo("run", run, "-c", again).code == 0


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a file has lines in it, while the process lives."""
    while not path.exists() or not path.read_text():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
