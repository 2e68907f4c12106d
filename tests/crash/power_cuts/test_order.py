"""Writes, syncs, names and acknowledgements come in the order that a power cut asks."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Count
from tests.crash.power_cuts import order, scenario, simulated


def test_no_call_of_a_run_comes_out_of_order(tmp_path: Path, count: Count) -> None:
    """No acknowledgement before the sync, no name before the contents, and so on."""
    run = tmp_path / "run"
    with scenario.prepared(), scenario.noted() as calls:
        scenario.play(run, calls.mark)
    assert order.mistakes(tmp_path, run, calls, {}) == []
    count("file calls of a run, in order", len(calls.made))


def test_no_call_of_a_recovery_comes_out_of_order(tmp_path: Path) -> None:
    """The same where a tail is torn, steps are behind and a rewind was cut off."""
    run = tmp_path / "run"
    with scenario.prepared():
        scenario.finish(run)
        for path in run.glob("checkpoints/*/*"):
            path.unlink()
        scenario.tear(run)
        before = simulated.read(tmp_path)
        with scenario.noted() as calls:
            scenario.begin_again(run)
    assert [call for call in calls.made if call.name == "cut"]
    assert order.mistakes(tmp_path, run, calls, before) == []
