"""Files that people saved: where they lie now, and what the journal has of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.words import safe
from onlinedpo.journal import plain_files
from onlinedpo.journal.dropped.reading import MAX_FILE
from onlinedpo.journal.reader import Reader
from onlinedpo.states.errors import UsageError
from onlinedpo.states.records import Bundle, Kept, Vote


def lies(folder: Path, vote: Vote) -> str:
    """Where the file of an answer lies now, and whether it is as it was saved."""
    place = _file_of(vote, vote.kept_as)
    path = folder / "labels" / place
    told = safe(f"labels/{place}")
    now = None
    with suppress(OSError, ValueError):
        now = plain_files.read(path, MAX_FILE)
    if now is None:
        return f"{told} is not there any more; the journal has it as it was saved"
    if vote.source == "file":
        return f"{told} has it" if vote.raw in now else f"{told} was changed since"
    return (
        f"{told} is as it was saved" if now == vote.raw else f"{told} was changed since"
    )


@dataclass(frozen=True, slots=True)
class Version:
    """What was read from a file: an answer, nothing yet, or many answers."""

    frame: int
    record: Vote | Kept | Bundle


def versions(folder: Path, file: Path) -> list[Version]:
    """All that the journal has from one file, oldest first.

    The file is named by where it is or was, below the labels folder or from anywhere;
    its name alone will do.  Raises `UsageError` where nothing was read from it.
    """
    place = _place(folder, file)
    found = [
        Version(at.number, record)
        for at, batch in Reader(journal_of(folder)).batches()
        for record in batch
        if isinstance(record, Vote | Kept | Bundle) and place in _places(record)
    ]
    if not found:
        raise UsageError(
            f"nothing in the journal of {folder} is from a file {safe(str(file))}",
            hint="Name a file in its labels folder, such as"
            f" {folder}/labels/done/000042-9c1f0a77.md.",
        )
    return found


def _place(folder: Path, file: Path) -> str:
    """A file's place below labels/, as the journal names it; or its name alone."""
    labels = (folder / "labels").resolve()
    for path in (file, folder / file, labels / file):
        if (inside := path.resolve()).is_relative_to(labels):
            return inside.relative_to(labels).as_posix()
    return file.name


def _places(record: Vote | Kept | Bundle) -> Iterator[str]:
    """Every place that a record gives its file, and its name."""
    kept_as = () if isinstance(record, Kept) else (record.kept_as,)
    for place in (record.path, *kept_as):
        place = _file_of(record, place)
        yield place
        yield place.rpartition("/")[2]


def _file_of(record: Vote | Kept | Bundle, place: str) -> str:
    """The file alone, where a place names a line of it, too."""
    lines = isinstance(record, Vote) and record.source == "file"
    return place.rpartition(":")[0] if lines else place
