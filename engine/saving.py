"""When a checkpoint is written, and where the latest adapter is published."""

from __future__ import annotations

import time
from pathlib import Path

from onlinedpo.engine import checkpoint
from onlinedpo.engine.models import export
from onlinedpo.engine.run import Run
from onlinedpo.journal import manifest

CHECKPOINT_SHARE = 0.02
"""Share of the time that checkpoints may take, unless save_every says otherwise."""


def publish(run: Run) -> None:
    """Let the adapters folder hold the newest checkpoint's adapter."""
    step = max(run.ledger.checkpoints, default=0)
    if step and (run.folder.checkpoints / manifest.name_of(step)).exists():
        target = run.settings.adapter_path
        export.export(
            run.folder.checkpoints,
            step,
            Path(target) if target else run.folder.adapters,
            run.settings,
        )


def save_if_due(run: Run, step: int) -> str:
    """Write the step's checkpoint if one is due; returns its state's digest, or ""."""
    began = time.perf_counter()
    every, last = run.settings.save_every, step == run.settings.iters
    if every is not None:
        due = step % every == 0
    else:
        due = run.clock.save_cost <= CHECKPOINT_SHARE * (began - run.clock.saved_at)
    if not due and not last:
        return ""
    # Else the folder would be made anew where the run lay before it was moved.
    run.journal.lock.must_hold()
    state = checkpoint.save(
        run.folder.checkpoints,
        step,
        run.policy.trainable(),
        run.learner.state(),
        run.journal.position,
    )
    run.clock.saved_at = time.perf_counter()
    run.clock.save_cost = run.clock.saved_at - began
    run.clock.spent("checkpoint", began)
    return state
