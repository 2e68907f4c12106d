"""Records to msgpack and back: the only importer of msgpack.

A record is a map of its fields with its `kind` and version `v`.  An unknown kind or a
higher version is refused: it was written by a newer onlinedpo.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass
from enum import Enum
from typing import Any, get_args, get_type_hints

import msgpack

from onlinedpo.journal.field_types import are_whole_numbers, check_of
from onlinedpo.states import records
from onlinedpo.states.checks import DEEPEST
from onlinedpo.states.errors import JournalError, JournalNewer
from onlinedpo.states.lifecycle import Phase
from onlinedpo.states.turns import Round, Turn

VERSION = 3
_SMALL = 4096
"""Bytes of which even lists within lists cannot claim to be large."""

KINDS: dict[str, type[Any]] = {
    "run-opened": records.RunOpened,
    "derived": records.Derived,
    "process-started": records.ProcessStarted,
    "tail-cut": records.TailCut,
    "sampled": records.Sampled,
    "submitted": records.Submitted,
    "verdict": records.Verdict,
    "label": records.Label,
    "dropped": records.Dropped,
    "step": records.Step,
    "escalated": records.Escalated,
    "vote": records.Vote,
    "kept": records.Kept,
    "bundle": records.Bundle,
    "withdrawn": records.Withdrawn,
    "restored": records.Restored,
    "rewound": records.Rewound,
    "held-out": records.HeldOut,
    "evaluated": records.Evaluated,
    "ranked": records.Ranked,
}
# In this order they are numbered where a ledger is kept: see `encode_state`.
STATE_TYPES: list[Any] = [
    *(tuple, deque, Counter, Phase, Turn, Round, records.Completion),
    *KINDS.values(),
]
_NUMBERS = {kind: number for number, kind in enumerate(STATE_TYPES)}
_MAKERS: dict[str, Callable[[dict[str, Any]], Any]] = {}
"""By kind, what makes a record of its map; filled as they come up."""
_NAMES = {kind: name for name, kind in KINDS.items()}


def encode(batch: Sequence[records.Record]) -> bytes:
    """The payload of one frame."""
    rows = [{"kind": _NAMES[type(r)], "v": VERSION, **_to_map(r)} for r in batch]
    packed = msgpack.packb(rows, use_bin_type=True, unicode_errors="surrogatepass")
    return bytes(packed)


def decode(payload: bytes) -> list[records.Record]:
    """The records of one frame; raises `JournalError`."""
    try:
        _must_be_whole(payload)
        rows = msgpack.unpackb(
            payload,
            use_list=False,
            raw=False,
            # A key that is no text is told with its field.
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
        return [*map(_from_row, rows)]
    except JournalError:
        raise
    except Exception as error:
        raise JournalError(f"the frame's payload cannot be decoded: {error}") from error


def as_map(record: records.Record) -> dict[str, Any]:
    """A record as plain data, with its kind, for `show` and JSON."""
    fields_of = {name: _as_text(value) for name, value in _to_map(record).items()}
    return {"kind": _NAMES[type(record)], **fields_of}


def encode_state(values: Any) -> bytes:
    """What a ledger holds, as bytes: records and collections of them, by name."""
    packed = msgpack.packb(
        values, default=_tagged, strict_types=True, unicode_errors="surrogatepass"
    )
    return bytes(packed)


def decode_state(data: bytes, depth: int = 0) -> Any:
    """The same as it was; raises errors of many kinds where it is not that."""
    if depth > DEEPEST:
        # Each level takes 40 kB of the stack in C, where no RecursionError comes.
        raise ValueError("it is nested too deeply")
    return msgpack.unpackb(
        data,
        ext_hook=lambda number, part: _untagged(number, part, depth + 1),
        strict_map_key=False,
        unicode_errors="surrogatepass",
    )


def _tagged(value: Any) -> msgpack.ExtType:
    """What msgpack has no type for: by the number of its type, and its parts."""
    number = _NUMBERS[type(value)]
    if isinstance(value, Enum):
        parts: Any = value.value
    elif isinstance(value, Counter):
        parts = [[key, count] for key, count in value.items()]
    elif isinstance(value, tuple | deque):
        parts = list(value)
    else:
        parts = [getattr(value, f.name) for f in fields(value)]
    return msgpack.ExtType(number, encode_state(parts))


def _untagged(number: int, data: bytes, depth: int) -> Any:
    kind, parts = STATE_TYPES[number], decode_state(data, depth)
    if is_dataclass(kind):
        named = zip((f.name for f in fields(kind)), parts, strict=True)
        made = STATE_TYPES[number](**dict(named))
        check_of(STATE_TYPES[number])(made)
        return made
    return Counter(dict(parts)) if kind is Counter else kind(parts)


def _as_text(value: Any) -> Any:
    """The same with bytes as text, which JSON has: what people saved is mostly that.

    And so is all else that msgpack has and JSON has not, keys among it.
    """
    kind = type(value)
    if kind is bytes:
        return value.decode(errors="backslashreplace")
    if kind is dict:
        return {
            key if type(key) is str else str(key): _as_text(item)
            for key, item in value.items()
        }
    if kind in (list, tuple):
        # Token ids are many: looking at each by itself would take most of the time.
        return value if are_whole_numbers(value) else kind(map(_as_text, value))
    return value if isinstance(value, str | int | float | None) else str(value)


def _must_be_whole(payload: bytes) -> None:
    """Raise where lists claim more items than there are, before room is made for them.

    msgpack makes room for what a list says it has, and so does each list within it.
    """
    if len(payload) > _SMALL:
        size = len(payload)
        passing = msgpack.Unpacker(None, read_size=size, max_buffer_size=size)
        passing.feed(payload)
        passing.skip()


def _from_row(row: dict[str, Any]) -> records.Record:
    kind, version = row.pop("kind"), row.pop("v")
    if kind not in KINDS or version > VERSION:
        raise JournalNewer(
            f"a record '{kind}' of version {version} is not known to this version",
            hint="Use the version of onlinedpo that wrote the run, or a newer one.",
        )
    make = _MAKERS.get(kind) or _MAKERS.setdefault(kind, _maker(KINDS[kind]))
    record: records.Record = make(row)
    return record


def _to_map(value: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _to_map(value)
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return [_to_map(item) for item in value]
    return value


def _maker(kind: Any) -> Callable[[dict[str, Any]], Any]:
    """What makes a record of its map: those that it holds are made first."""
    one: list[tuple[str, Callable[[dict[str, Any]], Any]]] = []
    many: list[tuple[str, Callable[[dict[str, Any]], Any]]] = []
    hints: dict[str, Any] = get_type_hints(kind)
    for name, hint in hints.items():
        inner: Any = next((a for a in get_args(hint) if is_dataclass(a)), None)
        if is_dataclass(hint):
            one.append((name, _maker(hint)))
        elif inner is not None:
            many.append((name, _maker(inner)))

    # A frozen dataclass sets each field by a call of its own.  Its like that is not
    # frozen is filled in a third of the time, and then becomes the frozen one.
    like = make_dataclass(
        kind.__name__,
        [(f.name, f.type, _with_default(f)) for f in fields(kind)],
        kw_only=True,
        slots=True,
    )

    check = check_of(kind)

    def make(row: dict[str, Any]) -> Any:
        for name, nested in one:
            row[name] = nested(row[name])
        for name, nested in many:
            # A record of an earlier version may lack it.
            if name in row:
                row[name] = tuple(map(nested, row[name]))
        record = like(**row)
        check(record)
        record.__class__ = kind
        return record

    return make


def _with_default(of: Any) -> Any:
    """The default of a field, which a record of an earlier version may lack."""
    return field(default=of.default, default_factory=of.default_factory)
