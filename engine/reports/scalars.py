"""RUN/tensorboard: what TensorBoard plots, in a file that each start makes again.

A kill can cut such a file anywhere, and a rewind undoes steps in it; made again from
the journal it has every step that stands, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onlinedpo.engine.reports import metrics
from onlinedpo.states.records import Evaluated, Step

_OURS = ".onlinedpo"


class Scalars:
    """An event file, open for writing; raises OSError where it cannot be written."""

    def __init__(self, folder: Path, reports: Iterable[Step | Evaluated]) -> None:
        """Begin a file with these reports in the place of those that are there."""
        # Not its SummaryWriter: that hands over to a thread, and on a full disk waits
        # for it forever.
        from tensorboardX.event_file_writer import EventsWriter

        folder.mkdir(exist_ok=True)
        before = sorted(folder.glob(f"events.out.tfevents.*{_OURS}"))
        self._writer = EventsWriter(str(folder / "events"), _OURS)
        self._begin()
        for report in reports:
            self._write(report)
        self._writer.flush()
        # A TensorBoard that looks on goes from the last file to this one, by name.
        name = Path(self._writer._file_name).name
        for old in before:
            if old.name > name or old != before[-1]:
                old.unlink(missing_ok=True)

    def take(self, report: Step | Evaluated) -> None:
        """Write a step or a win rate, for a TensorBoard that looks on."""
        self._write(report)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _begin(self) -> None:
        """Tell a TensorBoard that knew an older file to forget all of it."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        start = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(step=0, session_log=start))

    def _write(self, report: Step | Evaluated) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        row: dict[str, Any] = metrics.row_of(report)
        step, time = row.pop("step"), row.pop("time")
        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if value is not None
        ]
        self._writer.write_event(
            Event(wall_time=time, step=step, summary=Summary(value=values))
        )
