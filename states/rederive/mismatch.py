"""Where what is recorded and what follows from the facts before it part."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Any

from onlinedpo.states.errors import JournalNewer
from onlinedpo.states.records import Record, Sampled
from onlinedpo.states.standing import Standing

_SHOWN = 80
"""Characters of a value that are shown."""
_LAST_BITS = 1e-12
"""The exp of two C libraries differs in the last bit, and a confidence with it."""


class Mismatch(Exception):
    """One field that is not as it was derived.  `where` is set if it is not here."""

    def __init__(
        self,
        kind: str,
        field: str,
        recorded: Any,
        derived: Any,
        *,
        pair: str = "",
        where: object = None,
    ) -> None:
        """`kind` is the record's, as the journal names it; `pair` the pair's name."""
        super().__init__(kind, field, recorded, derived)
        self.kind, self.field, self.pair, self.where = kind, field, pair, where
        self.recorded, self.derived = recorded, derived

    def __str__(self) -> str:
        """In a line: what, of which pair, which field, and both values."""
        of = f" of pair {self.pair}" if self.pair else ""
        field = f": {self.field}" if self.field else ""
        return f"{self.kind}{of}{field}: {_told(self.recorded, self.derived)}"

    def facts(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "kind": self.kind,
            "pair": self.pair,
            "field": self.field,
            "recorded": _plain(self.recorded),
            "derived": _plain(self.derived),
        }


def differs(pair: Sampled, field: str, recorded: Any, derived: Any) -> Mismatch:
    """That a field of a verdict on a pair is not as it was derived."""
    return Mismatch("verdict", field, recorded, derived, pair=pair.pair)


def unknown(what: str, version: object, pair: Sampled) -> JournalNewer:
    """That a verdict names a version of reading or wording that is not known."""
    return JournalNewer(
        f"verdict of pair {pair.pair}: its {what} has version {version!r}, which this"
        " version of onlinedpo does not have",
        hint="Use the version of onlinedpo that wrote the run, or a newer one.",
    )


class Nothing:
    """Stands where one side has no value at all."""

    def __repr__(self) -> str:
        """As it is told."""
        return "nothing"


NOTHING = Nothing()


def kind_of(record: Record) -> str:
    """A record's kind, as the journal names it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(record).__name__).lower()


def name_of(record: Record, standing: Standing) -> str:
    """The pair that a record is about: its name if it is in flight, or its number."""
    ticket = getattr(record, "ticket", None)
    if ticket is None:
        return ""
    return pair_name(ticket, standing)


def pair_name(ticket: int, standing: Standing) -> str:
    """A pair's name if it is in flight, or else its number."""
    turn = standing.turns.get(ticket)
    return turn.sampled.pair if turn and turn.sampled else f"{ticket:06d}"


def must_agree(
    recorded: Sequence[Record], derived: Sequence[Record], standing: Standing
) -> None:
    """Raise `Mismatch` at the first field that is not as derived; times are free."""
    if recorded == derived:
        return
    there, wanted = set(map(_about, recorded)), set(map(_about, derived))
    for one, other in zip_longest(recorded, derived):
        # Where one pair has nothing, the facts on the others have only moved.
        if other and (one is None or _about(other) not in there):
            kind, named = kind_of(other), name_of(other, standing)
            raise Mismatch(kind, "", NOTHING, kind, pair=named)
        if one and (other is None or _about(one) not in wanted):
            kind, named = kind_of(one), name_of(one, standing)
            raise Mismatch(kind, "", kind, NOTHING, pair=named)
        if one and other:
            must_be(one, other, standing)


def must_be(recorded: Record, derived: Record, standing: Standing) -> None:
    """The same of two records."""
    kind, pair = kind_of(recorded), name_of(recorded, standing)
    if type(recorded) is not type(derived):
        raise Mismatch(kind, "kind", kind, kind_of(derived), pair=pair)
    for field in fields(derived):
        name = field.name
        one, other = getattr(recorded, name), getattr(derived, name)
        if name != "time" and one != other and not _alike(one, other):
            raise Mismatch(kind, name, one, other, pair=pair)


def _about(record: Record) -> Any:
    """What tells a fact from others: its pair, or its kind where it has none."""
    return getattr(record, "ticket", type(record))


def _alike(one: Any, other: Any) -> bool:
    if not isinstance(one, float) or not isinstance(other, float):
        return False
    return math.isclose(one, other, rel_tol=_LAST_BITS)


def _told(recorded: Any, derived: Any) -> str:
    if isinstance(recorded, str | bytes) and type(recorded) is type(derived):
        begin = _apart(recorded, derived)
        recorded, derived = recorded[begin:], derived[begin:]
        at = f" from character {begin} on" if begin else ""
        return f"{_cut(recorded)} is recorded, {_cut(derived)} is derived{at}"
    return f"{_cut(recorded)} is recorded, {_cut(derived)} is derived"


def _apart(one: Any, other: Any) -> int:
    """A little before the place where two long texts part."""
    if max(len(one), len(other)) <= _SHOWN:
        return 0
    same = next(
        (i for i, (x, y) in enumerate(zip(one, other, strict=False)) if x != y),
        min(len(one), len(other)),
    )
    return max(0, same - _SHOWN // 3)


def _cut(value: Any) -> str:
    told = repr(value)
    return told if len(told) <= _SHOWN + 20 else f"{told[: _SHOWN + 17]}..."


def _plain(value: Any) -> Any:
    if value is NOTHING:
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return repr(value)
