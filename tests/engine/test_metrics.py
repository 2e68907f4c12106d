"""The metrics of a step: TRL's names, and of that step alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onlinedpo.engine.loop import run as train_whole
from onlinedpo.states.records import (
    Dropped,
    Label,
    Reason,
    Sampled,
    Step,
)
from tests.engine.kit import ENDS
from tests.engine.runs import (
    Listener,
    Scripted,
    by_text,
    records,
    steps,
    trained,
    unreliable,
)
from tests.toys import toy_model

TRL = {
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
    "objective/kl",
    "val/contain_eos_token",
    "beta",
    "learning_rate",
}
OURS = {
    "judge/agreement",
    "judge/position_flip_rate",
    "judge/failure_rate",
    "label/pending",
    "label/age_steps_mean",
    "pairs/identical_frac",
    "pairs/truncated_frac",
    "pairs/longer_chosen_frac",
}


def test_metrics_have_trls_names_and_are_of_their_own_step(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """An accuracy is of this step's margins, not of all reports so far (D9)."""
    folder = tmp_path / "run"
    trained(folder, Scripted(by_text), **parts, iters=6, learning_rate=0.05)

    rows = [
        json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    for step, row in zip(steps(folder), rows, strict=True):
        assert {*TRL, *OURS, "loss", "grad_norm"} <= set(row)
        margins = np.array(step.margins)
        assert row["rewards/accuracies"] == pytest.approx((margins > 0).mean())
        assert row["rewards/margins"] == pytest.approx(margins.mean(), abs=1e-6)
        assert row["loss"] == pytest.approx(np.logaddexp(0, -margins).mean(), abs=1e-6)
    assert len({row["rewards/accuracies"] for row in rows}) > 1


def test_shares_of_a_round_are_of_what_was_sampled_and_judged(
    data: Path, tmp_path: Path
) -> None:
    """Recounted from the journal, between two steps, they come out the same."""
    model = str(toy_model(tmp_path / "model", eos=ENDS))
    folder = tmp_path / "run"
    parts = {"model": model, "judge": model, "data": str(data)}
    trained(folder, Scripted(unreliable), **parts, iters=6, learning_rate=0.05)

    drawn: list[Sampled] = []
    dropped: list[str] = []
    labels = 0
    for fact in records(folder):
        match fact:
            case Sampled():
                drawn.append(fact)
            case Dropped():
                dropped.append(fact.reason)
            case Label():
                labels += 1
            case Step(metrics=told):
                ends = [c.finish for p in drawn for c in (p.first, p.second)]
                judged = labels + len(dropped) - dropped.count(Reason.IDENTICAL)
                assert told["val/contain_eos_token"] == ends.count("stop") / len(ends)
                assert told["judge/agreement"] == labels / judged
                failures = dropped.count(Reason.FAILED)
                assert told["judge/failure_rate"] == failures / judged
                truncated = sum(p.truncated for p in drawn)
                assert told["pairs/truncated_frac"] == truncated / len(drawn)
                drawn, dropped, labels = [], [], 0


@pytest.mark.parametrize(
    "damage", ["lost", "torn", "short", "garbage", "zeros", "hole"]
)
def test_the_metrics_file_is_made_whole_from_the_journal(
    damage: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    """Lost, torn or short of a line, the next start writes it again.

    So it does where a power cut has left what it liked in its first lines.
    """
    folder = tmp_path / "run"
    trained(folder, Scripted(by_text), **parts)
    file = folder / "metrics.jsonl"
    whole = file.read_text()
    first, *others = whole.encode().splitlines(keepends=True)
    spoilt = {"garbage": b"\xe0\x00\xff\n", "zeros": bytes(len(first)), "hole": b""}
    if damage == "lost":
        file.unlink()
    elif damage in spoilt:
        file.write_bytes(spoilt[damage] + b"".join(others))
    else:
        lines = whole.splitlines(keepends=True)
        file.write_text("".join(lines[:-1]) + (lines[-1][:9] * (damage == "torn")))

    train_whole(folder, {}, Listener())

    assert file.read_text() == whole
