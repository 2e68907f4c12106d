"""Which steps of a journal stand: a rewind undoes those after the one that it names."""

from __future__ import annotations

from collections.abc import Iterable

from onlinedpo.states.records import Record, Rewound, Step


def standing_steps(placed: Iterable[tuple[int, Record]]) -> dict[int, int]:
    """Where the record of each step that stands is, by the step's index.

    `placed` are a journal's records in order, each with a number for its place: of the
    record or of its frame, as the caller counts.
    """
    places: dict[int, int] = {}
    for place, record in placed:
        if isinstance(record, Step):
            places[record.index] = place
        elif isinstance(record, Rewound):
            places = {i: where for i, where in places.items() if i <= record.to}
    return places
