"""Inspect AI lists and opens the log of a judge, as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from onlinedpo.states.records import Verdict
from tests.interop.conftest import Toy
from tests.people.runs import those

pytestmark = pytest.mark.interop


def test_inspect_reads_the_log(toy: Toy, tmp_path: Path) -> None:
    """Each pair is a sample, with what the judge read and said in both orders."""
    from inspect_ai.event import ModelEvent
    from inspect_ai.log import (
        list_eval_logs,
        read_eval_log,
        read_eval_log_sample,
        read_eval_log_sample_summaries,
    )

    path = str(toy.export(tmp_path / "judge.eval", "--format", "inspect"))
    (listed,) = list_eval_logs(str(tmp_path))
    log, head = read_eval_log(path), read_eval_log(path, header_only=True)
    summaries = read_eval_log_sample_summaries(path)
    verdicts = those(toy.run, Verdict)

    assert listed.name.endswith("judge.eval")
    assert (head.status, head.version) == ("success", 2)
    assert head.results is not None
    assert head.results.scores[0].metrics["decided"].value == 1.0
    assert log.samples is not None
    assert len(log.samples) == len(summaries) == 9
    for sample, summary in zip(log.samples, summaries, strict=True):
        alone = read_eval_log_sample(path, id=sample.id)
        calls = [event for event in alone.events if isinstance(event, ModelEvent)]
        told = [v for v in verdicts if v.ticket == sample.metadata["ticket"]]
        assert [call.output.completion for call in calls] == [v.raw for v in told]
        assert [call.metadata and call.metadata["shown"] for call in calls] == [
            v.shown for v in told
        ]
        assert sample.scores and summary.scores
        assert sample.scores["label"].value == summary.target in ("first", "second")
        assert summary.id == sample.id
