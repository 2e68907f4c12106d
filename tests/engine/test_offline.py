"""Offline pairs: plain DPO on a preference file, by the same journal and step."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine import loop
from onlinedpo.engine.offline import end_of_turn, load
from onlinedpo.engine.rebuild import rebuild
from onlinedpo.engine.run_folder import RunFolder
from onlinedpo.engine.start import open_run
from onlinedpo.engine.training.learner import Learner
from onlinedpo.engine.training.logps import Scorer
from onlinedpo.journal.audit.auditing import audit
from onlinedpo.states.config import Settings
from onlinedpo.states.errors import (
    AuditFailed,
    NothingToLearn,
    SettingsChanged,
    UsageError,
)
from onlinedpo.states.records import (
    Dropped,
    Evaluated,
    HeldOut,
    Label,
    Reason,
    RunOpened,
    Sampled,
    Verdict,
)
from tests.engine.kit import tokenizer_of
from tests.engine.runs import (
    SMALL,
    Listener,
    go_on,
    opened,
    records,
    sampled,
    state,
    steps,
)
from tests.journal.forging import Forger
from tests.people.runs import back, trained_on, work
from tests.toys import CHATML, toy_model


def row(number: int, **more: Any) -> dict[str, Any]:
    """A pair, of which the chosen completion says that it is."""
    said = {"chosen": f"good {number}", "rejected": f"bad, bad {number}"}
    return {"prompt": f"Question {number}?", **said, **more}


def pairs_file(path: Path, *rows: dict[str, Any]) -> Path:
    """A preference file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, Any]:
    """The settings of a small run on eight pairs; no judge is there to be loaded."""
    return {
        "model": str(toy_model(tmp_path / "model")),
        "judge": "no/such-judge",
        "data": "no/such-data",
        "offline_pairs": str(pairs_file(tmp_path / "pairs.jsonl", *map(row, range(8)))),
        "iters": 6,
        "val_prompts": 0,
    }


def train(folder: Path, watch: Listener | None = None, /, **wanted: Any) -> str:
    """Train until the run ends or is stopped; digest of its state."""
    with opened(folder, watch, **wanted) as run:
        assert run.judge is None
    return work(folder, watch, None).state


def those(folder: Path, kind: type[Any]) -> list[Any]:
    """The records of one kind."""
    return [record for record in records(folder) if isinstance(record, kind)]


def test_nobody_is_asked_and_nothing_is_sampled(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """Every pair is trained on once in each epoch, as the file says, without a judge.

    The better side is where a coin put it.
    """
    run = tmp_path / "run"
    train(run, **offline)

    pairs, labels = sampled(run), {label.ticket: label for label in those(run, Label)}
    assert [len(step.tickets) for step in steps(run)] == 6 * [3]
    assert Counter(p.prompt for p in pairs if p.epoch == 0) == Counter(range(8))
    for pair in pairs:
        chosen = labels[pair.ticket].chosen
        rejected = pair.second if chosen == "first" else pair.first
        assert pair.side(chosen).text == f"good {pair.prompt}"
        assert rejected.text == f"bad, bad {pair.prompt}"
        assert pair.messages[0]["content"] == f"Question {pair.prompt}?"
        assert (pair.source, labels[pair.ticket].source) == ("file", "file")
    assert {label.chosen for label in labels.values()} == {"first", "second"}
    assert not those(run, Verdict) + those(run, Evaluated)
    assert not (run / "labels").exists()
    assert those(run, RunOpened)[0].judge == {"kind": "none"}
    audit(run)


def test_a_pair_ends_as_the_policy_would_have_ended_it(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """Its tokens are those of its text, and the end of turn of the chat template."""
    run = tmp_path / "run"
    train(run, **{**offline, "iters": 1})

    tokenizer = tokenizer_of(Path(offline["model"]))
    for pair in sampled(run):
        for completion in (pair.first, pair.second):
            assert tokenizer.decode(completion.tokens[:-1]) == completion.text
            assert tokenizer.decode(completion.tokens[-1:]) == "<|im_end|>"
            assert completion.finish == "stop"
    assert steps(run)[0].loss == pytest.approx(0.6931472, abs=1e-6)
    assert steps(run)[0].margins == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("template", "end"), [(CHATML, 2), (CHATML.replace("<|im_end|>", "<s>"), 3)]
)
def test_of_several_ids_that_end_a_turn_the_templates_own_is_learned(
    template: str, end: int, tmp_path: Path
) -> None:
    """And where it writes none of them, the tokenizer's EOS."""
    ends = {"template": template, "eos": (5, 2, 3)}
    model = toy_model(tmp_path / "model", **ends)  # type: ignore[arg-type]
    assert end_of_turn(tokenizer_of(model)) == end
    plain = toy_model(tmp_path / "plain", template="{{ messages[0]['content'] }}")
    assert end_of_turn(tokenizer_of(plain)) == 2


def test_a_run_on_pairs_resumes_exactly(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """Stopped and resumed, without its checkpoints too, it ends like one left alone.

    Started from its adapter alone, without the optimizer's state, it does not.
    """
    whole = train(tmp_path / "whole", **offline)

    run = tmp_path / "run"
    train(run, Listener(stop_after=2), **offline)
    train(run, Listener(stop_after=1))
    bare = Path(shutil.copytree(run, tmp_path / "bare"))
    shutil.rmtree(bare / "checkpoints")
    cold = Path(shutil.copytree(run, tmp_path / "cold"))
    with opened(cold) as alone:
        fresh = Learner(alone.policy, Scorer(alone.policy.model), alone.settings)
        alone.learner = fresh
        loop.train(alone)
        started_cold = state(alone)

    assert train(run) == whole == train(bare)
    assert started_cold != whole
    told = [(p.prompt, p.first, p.second, p.step) for p in sampled(run)]
    expected = sampled(tmp_path / "whole")
    assert told == [(p.prompt, p.first, p.second, p.step) for p in expected]
    audit(run)


def test_its_steps_can_be_taken_again_and_undone(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """A rebuild is equal to the bit; a rewind trains on the same pairs again."""
    run = tmp_path / "run"
    train(run, **offline)
    built = rebuild(RunFolder(run), tmp_path / "built", Listener(), to=None, model=None)
    assert built.first is None

    before = trained_on(run)
    back(run, 2)
    work(run)
    assert trained_on(run)[6:] == before[2:]
    audit(run)


def test_what_is_held_out_is_not_trained_on(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """A prompt that several pairs have is held out with all of them.

    The judge is asked about held-out answers only.
    """
    rows = [row(i % 10, chosen=f"good {i}") for i in range(30)]
    wanted = {
        **offline,
        "offline_pairs": str(pairs_file(tmp_path / "more.jsonl", *rows)),
        "val_prompts": 4,
        "judge": offline["model"],
        "steps_per_eval": 3,
    }
    run = tmp_path / "run"
    go_on(run, **wanted)

    (held_out,) = those(run, HeldOut)
    asked = {messages[0]["content"] for messages in held_out.prompts}
    trained = {pair.messages[0]["content"] for pair in sampled(run)}
    assert len(asked) == 1 and len(trained) == 9
    assert not asked & trained
    assert [e.step for e in those(run, Evaluated)] == [0, 3, 6]
    assert those(run, RunOpened)[0].data["train"] == 27
    audit(run)


def test_a_folders_valid_file_is_held_out(tmp_path: Path) -> None:
    """Also if its rows have a prompt and nothing else; a pair with it is left out."""
    folder = tmp_path / "pairs"
    folder.mkdir()
    pairs_file(folder / "train.jsonl", *map(row, range(5)))
    pairs_file(folder / "valid.jsonl", {"prompt": "Question 3?"}, {"prompt": "New?"})

    found = load(Settings(offline_pairs=str(folder)))

    assert [m[0]["content"] for m in found.held_out] == ["Question 3?", "New?"]
    assert [pair.chosen for pair in found.pairs] == [f"good {i}" for i in (0, 1, 2, 4)]


def test_pairs_that_cannot_be_trained_on_are_dropped(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """Too long a pair is not cut, and two completions that are the same say nothing."""
    rows = [
        *map(row, range(5)),
        row(5, rejected="bad " * 50),
        row(6, chosen="bad, bad 6"),
    ]
    run, file = tmp_path / "run", pairs_file(tmp_path / "odd.jsonl", *rows)
    train(run, **{**offline, "offline_pairs": str(file), "max_seq_length": 100})

    drops = Counter(drop.reason for drop in those(run, Dropped))
    assert drops == {Reason.TOO_LONG: 3, Reason.IDENTICAL: 3}
    assert sum(len(step.tickets) for step in steps(run)) == 15
    audit(run)


def test_a_file_without_anything_to_learn_ends_the_run(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """It says why, instead of reading on for ever."""
    same = pairs_file(tmp_path / "same.jsonl", row(0, rejected="good 0"))
    with pytest.raises(NothingToLearn, match=r"no label \(identical: \d+\)") as caught:
        train(tmp_path / "same", **{**offline, "offline_pairs": str(same)})
    assert "same.jsonl differ" in caught.value.hint
    with pytest.raises(UsageError, match="no pair is shorter than max_seq_length"):
        train(tmp_path / "long", **{**offline, "max_seq_length": 20})


def test_a_file_that_changed_is_noticed(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """One word in a completion is other data; where the file lies is no difference."""
    run, file = tmp_path / "run", Path(offline["offline_pairs"])
    train(run, Listener(stop_after=1), **offline)
    moved = file.rename(tmp_path / "moved.jsonl")
    there = {"offline_pairs": str(moved)}
    with open_run(RunFolder(run), there, Listener()).journal as journal:
        assert journal.ledger.steps == 1

    moved.write_text(moved.read_text().replace("bad 3", "bad 4"))
    with pytest.raises(SettingsChanged, match=r"the prompts changed .* train_digest"):
        train(run)


@pytest.mark.parametrize(
    "more",
    [{"pairs_per_round": 9}, {"escalate_below": 0.7}, {"human_share": 0.1}],
    ids=str,
)
def test_what_only_fresh_pairs_have_is_refused(more: dict[str, Any]) -> None:
    """Instead of being passed over."""
    told = f"{next(iter(more))} has no meaning with offline_pairs"
    with pytest.raises(UsageError, match=told):
        Settings(offline_pairs="pairs.jsonl", **more)


def test_its_metrics_say_nothing_of_a_judge_or_of_people(
    offline: dict[str, Any], tmp_path: Path
) -> None:
    """Nobody judged, and who made the file is not known."""
    train(tmp_path / "run", **offline)
    names = {name for step in steps(tmp_path / "run") for name in step.metrics}
    assert "completions/mean_length" in names
    assert not [n for n in names if n.startswith("judge/") or "human" in n]


# -- lies


def flipped(forger: Forger) -> int:
    """The worse side is called the better one."""
    return forger.change(
        Label, 4, chosen=lambda side: "second" if side == "first" else "first"
    )


def reworded(forger: Forger) -> int:
    """In the second epoch a row says something else."""
    later = {"which": lambda pair: pair.epoch == 1}
    return forger.change(Sampled, 1, first=lambda c: replace(c, text="good?"), **later)


def by_a_judge(forger: Forger) -> int:
    """A judge is said to have decided."""
    return forger.change(Label, 0, source="judge")


def drawn(forger: Forger) -> int:
    """A pair of the file is said to be the policy's."""
    return forger.change(Sampled, 2, source="policy")


def other_row(forger: Forger) -> int:
    """Another row is said to have been next."""
    return forger.change(Sampled, 3, prompt=lambda prompt: (prompt + 1) % 8)


@pytest.mark.parametrize("lie", [flipped, reworded, by_a_judge, drawn, other_row])
def test_a_lie_about_a_file_is_caught(
    lie: Any, lied_about: Path, tmp_path: Path
) -> None:
    """Without the file: labels follow from the coin, and rows stay what they were."""
    forger = Forger.of_a_copy(lied_about, tmp_path / "run")
    number = lie(forger)
    with pytest.raises(AuditFailed) as caught:
        audit(forger.write())
    assert caught.value.facts["frame"] == number


@pytest.fixture(scope="module")
def lied_about(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs."""
    place = tmp_path_factory.mktemp("lies")
    wanted = {
        **SMALL,
        "model": str(toy_model(place / "model")),
        "offline_pairs": str(pairs_file(place / "pairs.jsonl", *map(row, range(8)))),
        "iters": 5,
    }
    train(place / "run", **wanted)
    audit(place / "run")
    return place / "run"
