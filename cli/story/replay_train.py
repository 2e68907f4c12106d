"""`onlinedpo replay RUN --train`: the adapter, made again from the journal alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.terminal import say, say_json
from onlinedpo.states.errors import ReplayDiverged, UsageError

if TYPE_CHECKING:
    from onlinedpo.engine.rebuild import Rebuilt


def train_again(
    run_folder: Path,
    into: Path | None,
    *,
    to: int | None = None,
    model: str | None = None,
    as_json: bool = False,
) -> None:
    """Take the steps of a run again, write what comes out, and say whether it is equal.

    Raises `ReplayDiverged` where it is not and had to be.
    """
    journal_of(run_folder)
    from onlinedpo.cli.progress import Progress
    from onlinedpo.engine.observer import Silent
    from onlinedpo.engine.rebuild import rebuild
    from onlinedpo.engine.run_folder import RunFolder

    # "." and ".." have no name of their own.
    named = run_folder if run_folder.name.strip(".") else run_folder.resolve()
    target = into or named.with_name(f"{named.name}-replayed")
    run = RunFolder(run_folder)
    if as_json:
        found = rebuild(run, target, Silent(), to=to, model=model)
        say_json(_facts(found))
    else:
        watch = Progress(run_folder)
        with watch:
            found = rebuild(run, target, watch, to=to, model=model)
        say(_text(found))
    if found.first and found.first.promised:
        raise ReplayDiverged(
            f"step {found.first.step.index}, taken again from the journal, gives"
            f" another {found.first.difference}",
            hint="On this machine, with these versions, it must come out equal: the"
            " journal or the program is not what it was. Try: onlinedpo audit"
            f" {run_folder}",
        )


def must_be_alone(train: bool, others: Sequence[str]) -> None:
    """Raise `UsageError` where --train is missing, or stands beside a filter."""
    if not train:
        raise UsageError("--into and --model belong to --train", hint="Add --train.")
    if others:
        names = ", ".join(f"--{name}" for name in others)
        raise UsageError(
            f"--train takes whole steps again, of which {names} cannot choose",
            hint="Leave that out; --to says where to end.",
        )


def _facts(found: Rebuilt) -> dict[str, Any]:
    first = found.first
    return {
        "equal": first is None,
        "steps": found.step,
        "digests": found.digests,
        "into": str(found.into),
        "promised": not found.unpromised,
        "unpromised": found.unpromised,
        "first_difference": first
        and {
            "step": first.step.index,
            "what": first.difference,
            "loss": abs(first.result.loss - first.step.loss),
            "grad_norm": abs(first.result.grad_norm - first.step.grad_norm),
        },
        "largest_difference": {str(step): by for step, by in found.apart.items()},
    }


def _text(found: Rebuilt) -> str:
    """The verdict, for people."""
    first, steps = found.first, found.step
    done = f"{steps} step{'s' * (steps > 1)} taken again from the base model and the"
    if first is None:
        lines = [
            f"{done} journal: equal to the byte",
            f"({steps} losses and gradient norms, {found.digests} digests of adapter"
            " and optimizer)",
        ]
    else:
        loss = abs(first.result.loss - first.step.loss)
        norm = abs(first.result.grad_norm - first.step.grad_norm)
        lines = [
            f"{done} journal: not equal from step {first.step.index} on",
            f"  {first.difference}",
            f"  at that step the loss is {loss:.3g} off, the gradient norm {norm:.3g}",
            *(
                f"  after step {step} no number of adapter and optimizer is more than"
                f" {by:.3g} off"
                for step, by in found.apart.items()
            ),
        ]
        if found.unpromised:
            lines.append(f"  equality is not promised here: {found.unpromised}")
    return "\n".join(
        [
            *lines,
            f"adapter and optimizer: {found.into}",
            f"  mlx_lm.generate --model {found.settings.model}"
            f' --adapter-path {found.into} --prompt "..."',
        ]
    )
