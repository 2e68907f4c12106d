"""`onlinedpo journal`: the bytes of a run's journal, checked and read by the frame."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from onlinedpo.cli.inspect import journal_of
from onlinedpo.cli.repair import doctor, salvage
from onlinedpo.cli.terminal import as_json, say
from onlinedpo.journal import codec, frames, manifest
from onlinedpo.journal.reader import Place, Reader, Tail, header_of, segments
from onlinedpo.journal.repair.sound_part import Piece, SoundPart
from onlinedpo.states.errors import JournalDamaged, UsageError


@click.group()
def journal() -> None:
    """Look into the journal of a run, above all when something is broken.

    Only salvage writes anything, and that into a new folder.

    \b
    Examples:
      onlinedpo journal verify runs/mine
      onlinedpo journal doctor runs/mine
    """


@journal.command()
@click.argument("run_folder", metavar="RUN", type=Path)
def verify(run_folder: Path) -> None:
    """Check every byte of the journal of run RUN: sums, chain, order, checkpoints.

    Prints a line for each segment and the head of the chain, which vouches for every
    frame before it: noted elsewhere, it shows later that nothing was changed. Exit code
    5, with file, byte and frame, where something is not as it was written. What the
    facts say is not looked at: onlinedpo audit does that.

    \b
    Example:
      onlinedpo journal verify runs/mine
    """
    folder = journal_of(run_folder)
    # Before the journal: of what a live run writes, the frames come first.
    sound, _ = manifest.find(run_folder / "checkpoints")
    reader = Reader(folder, {found.frame: found.chain for found in sound})
    read: dict[Path, list[frames.Frame]] = {}
    try:
        for path, frame in reader.whole_frames():
            # The first and the last are told.
            read[path] = [*read.get(path, [])[:1], frame]
    finally:
        for path in _reached(folder, reader):
            say(_segment_line(path, read.get(path, [])))
    at = reader.position
    if at is None:
        raise UsageError(f"{folder} holds no segment", hint="No run has begun here.")
    for found in reversed(sound):
        say(f"{found.path.name} was made after frame {found.frame}, as it says")
    if reader.tail:
        say(_tail_line(reader.tail))
    say(f"sound; head of the chain after frame {at.number}:\n{at.chain.hex()}")


def _reached(folder: Path, reader: Reader) -> Iterator[Path]:
    """The segments of which the header could be read."""
    last = reader.position.segment if reader.position else 0
    yield from segments(folder)[:last]


def _segment_line(path: Path, read: list[frames.Frame]) -> str:
    header = header_of(path)
    size, head = path.stat().st_size, read[-1].chain if read else header.head
    count = read[-1].number - read[0].number + 1 if read else 0
    which = f"{read[0].number} to {read[-1].number}" if read else "none"
    return (
        f"{path.name}  {count:>7} frames: {which:<16} {size:>11,} bytes"
        f"  head {head.hex()[:16]}"
    )


def _tail_line(tail: Tail) -> str:
    return (
        f"{tail.path.name}: the last {len(tail.data)} bytes, from byte {tail.offset},"
        f" are no whole frame ({tail.why}): a process was killed while it wrote, or is"
        " writing now; harmless"
    )


@journal.command()
@click.argument("run_folder", metavar="RUN", type=Path)
@click.option("--frame", metavar="N", type=int, help="Only this frame.")
@click.option("--frames", "span", metavar="A-B", help="Only these; also A- and -B.")
@click.option("--raw", is_flag=True, help="The payloads: msgpack, one after the other.")
@click.option(
    "--past-damage", is_flag=True, help="Go on after damage with what can be read."
)
def cat(
    run_folder: Path,
    frame: int | None,
    span: str | None,
    raw: bool,
    past_damage: bool,
) -> None:
    """Print the frames of run RUN, for programs: one JSON object a line.

    It has the frame's number, segment, offset and length in bytes, and its records.
    Where the journal is damaged, what stands before is printed, then the error, and the
    exit code is 5.

    \b
    Examples:
      onlinedpo journal cat runs/mine --frames 100-120
      onlinedpo journal cat runs/mine | jq -c '.records[] | select(.kind == "step")'
    """
    folder = journal_of(run_folder)
    first, last = _span(frame, span)
    if raw and sys.stdout.isatty():
        raise UsageError("--raw gives no text", hint="Send it to a file or a program.")
    pieces = _past_damage(folder) if past_damage else _pieces(folder, decoded=not raw)
    out = sys.stdout.buffer
    seen = 0
    try:
        for piece in pieces:
            seen = piece.place.number
            if last is not None and seen > last:
                break
            if seen >= first:
                line = piece.payload if raw else _json_line(piece)
                out.write(line)
    finally:
        out.flush()
    if frame is not None and seen < frame:
        raise UsageError(
            f"there is no frame {frame} in {run_folder}",
            hint=f"The last one is {seen}." if seen else "It has none.",
        )


def _span(frame: int | None, span: str | None) -> tuple[int, int | None]:
    """The first and the last frame that are asked for."""
    if frame is not None:
        if span is not None:
            raise UsageError("--frame and --frames are both given", hint="Give one.")
        return frame, frame
    found = re.fullmatch(r"(\d{0,18})-(\d{0,18})", span or "-", re.ASCII)
    if found is None or span == "-":
        raise UsageError(
            f"--frames {span} is not a range of frames", hint="Write it like 100-120."
        )
    return int(found[1] or 0), int(found[2]) if found[2] else None


def _pieces(folder: Path, *, decoded: bool) -> Iterator[Piece]:
    """Every frame as long as all is sound; raises `JournalError`."""
    reader = Reader(folder)
    for path, frame in reader.whole_frames():
        place = Place(path, frame.offset, frame.number, frame.chain)
        with place.named():
            batch = codec.decode(frame.payload) if decoded else []
        yield Piece(place, frame.payload, batch, sound=True)
    if reader.tail:
        say(_tail_line(reader.tail), err=True)


def _past_damage(folder: Path) -> Iterator[Piece]:
    """Every frame that can be read; raises `JournalError` after them, if need be."""
    part = SoundPart(folder)
    yield from part.read()
    for flaw in part.remains.flaws:
        if not flaw.torn:
            raise JournalDamaged(
                str(flaw), hint=f"See: onlinedpo journal doctor {folder.parent}"
            )
    if part.refused:
        raise part.refused


def _json_line(piece: Piece) -> bytes:
    return as_json(piece.as_map()).encode() + b"\n"


journal.add_command(doctor)
journal.add_command(salvage)
