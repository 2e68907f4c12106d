"""A run goes on with what it began with: the same model, judge and data, by content."""

from __future__ import annotations

from onlinedpo.states.errors import ReplayDiverged, SettingsChanged
from onlinedpo.states.records import RunOpened
from onlinedpo.states.verdicts.judges import differing

_REMEDIES = {
    "the judge": "Put back what it was. Or go on with it as it is now, in a run of its"
    " own: onlinedpo fork RUN NEW --judge NAME.",
}


def must_be_the_same(then: RunOpened, now: RunOpened) -> None:
    """Model, judge and data of a resumed run, by content; raises `SettingsChanged`."""
    for what, before, after in (
        ("the model", then.model, now.model),
        ("the judge", then.judge, now.judge),
        ("the prompts", then.data, now.data),
    ):
        if keys := differing(before, after):
            raise SettingsChanged(
                f"{what} changed since the run began: {', '.join(keys)} differ",
                hint=_REMEDIES.get(what, "")
                or "Put back what it was, or start another run folder.",
            )
    if then.initial != now.initial:
        raise ReplayDiverged(
            "the adapter does not begin as it did when the run began",
            hint="Another version of mlx or another kind of device makes other random"
            " numbers. Go on with the ones the run began with ('onlinedpo status').",
        )
