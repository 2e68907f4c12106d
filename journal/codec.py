"""Records to msgpack and back: the only importer of msgpack.

A record is a map of its fields with its `kind` and version `v`.  An unknown kind or a
higher version is refused: it was written by a newer onlinedpo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

import msgpack

from onlinedpo.states import records
from onlinedpo.states.errors import JournalError

VERSION = 2

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
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def encode(batch: Sequence[records.Record]) -> bytes:
    """The payload of one frame."""
    rows = [{"kind": _NAMES[type(r)], "v": VERSION, **_to_map(r)} for r in batch]
    packed = msgpack.packb(rows, use_bin_type=True, unicode_errors="surrogatepass")
    return bytes(packed)


def decode(payload: bytes) -> list[records.Record]:
    """The records of one frame; raises `JournalError`."""
    try:
        rows = msgpack.unpackb(
            payload,
            use_list=False,
            raw=False,
            # Settings are YAML, whose keys need not be text.
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
        return [_from_row(row) for row in rows]
    except JournalError:
        raise
    except Exception as error:
        raise JournalError(f"the frame's payload cannot be decoded: {error}") from error


def as_map(record: records.Record) -> dict[str, Any]:
    """A record as plain data, with its kind, for `show` and JSON."""
    fields_of = {name: _as_text(value) for name, value in _to_map(record).items()}
    return {"kind": _NAMES[type(record)], **fields_of}


def _as_text(value: Any) -> Any:
    """The same with bytes as text, which JSON has: what people saved is mostly that."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_as_text, value))
    return value


def _from_row(row: dict[str, Any]) -> records.Record:
    kind, version = row.pop("kind"), row.pop("v")
    if kind not in KINDS or version > VERSION:
        raise JournalError(
            f"a record '{kind}' of version {version} is not known to this version",
            hint="Use the version of onlinedpo that wrote the run, or a newer one.",
        )
    record: records.Record = _from_map(KINDS[kind], row)
    return record


def _to_map(value: Any) -> dict[str, Any]:
    return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _to_map(value)
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return [_to_map(item) for item in value]
    return value


def _from_map(kind: type[Any], row: dict[str, Any]) -> Any:
    for name, (nested, many) in _nested(kind).items():  # type: ignore[arg-type]
        value = row[name]
        row[name] = (
            tuple(_from_map(nested, item) for item in value)
            if many
            else _from_map(nested, value)
        )
    return kind(**row)


@cache
def _nested(kind: Any) -> dict[str, tuple[Any, bool]]:
    """The fields that hold dataclasses, and whether they hold several."""
    found = {}
    for name, hint in get_type_hints(kind).items():
        inner = next((a for a in get_args(hint) if is_dataclass(a)), None)
        if is_dataclass(hint):
            found[name] = (hint, False)
        elif inner is not None:
            found[name] = (inner, True)
    return found
