"""A row of a data set, and which of its columns are read."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from onlinedpo.states.config import Settings
from onlinedpo.states.errors import UsageError
from onlinedpo.states.visible import safe

SHAREGPT = "conversations"
"""Where ShareGPT's conversations stand, whose turns are of `from` and `value`."""

EXAMPLE = 'Each row is an object such as {"prompt": "How do I boil an egg?"}.'

_ALSO_CALLED = ("question", "instruction", "query", "input", "text", "content")
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One row: `where` it stands, its `fields`, and the `columns` that are there.

    There may be more columns than fields: of a table only those wanted are read.
    """

    where: str
    fields: Mapping[str, Any]
    columns: Collection[str]

    def get(self, name: str) -> Any:
        """What stands in a column; None where nothing does."""
        return self.fields.get(name)

    def wrong(self, what: str, hint: str = EXAMPLE) -> UsageError:
        """The error that this row is not as it should be."""
        return UsageError(f"{self.where}{what}", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The names of the columns that are read; a renamed one has to be there."""

    prompt: str = "prompt"
    chat: str = "messages"
    system: str = "system"
    chosen: str = "chosen"
    rejected: str = "rejected"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The names that are set, `prompt_feature` and so on."""
        return cls(
            **{f.name: getattr(settings, f"{f.name}_feature") for f in fields(cls)}
        )

    def renamed(self, block: Mapping[str, Any]) -> Self:
        """The same with the names that a block of `hf_dataset` gives."""
        given = {f.name: block.get(f"{f.name}_feature") for f in fields(self)}
        return replace(self, **{key: name for key, name in given.items() if name})

    def wanted(self, present: Collection[str]) -> list[str]:
        """Those of the columns present that are read."""
        names = {getattr(self, f.name) for f in fields(self)} | {SHAREGPT}
        return [name for name in present if name in names]

    def is_named(self, column: str) -> bool:
        """Whether a column (`prompt`, `chat` ...) was given a name of its own."""
        return bool(getattr(self, column) != getattr(Columns(), column))


def no_column(row: Row, name: str, setting: str) -> UsageError:
    """The error that a column is not there, with those that are."""
    there = [in_line(str(column)) for column in row.columns]
    told = ", ".join(there[:_SHOWN]) + (", ..." if there[_SHOWN:] else "")
    near = difflib.get_close_matches(name, there, n=1)
    near += [column for column in _ALSO_CALLED if column in there and "prompt" in name]
    hint = f"Did you mean '{near[0]}'? Set {setting} to it." if near else EXAMPLE
    return row.wrong(f" has no column '{name}' (it has: {told or 'none'})", hint)


def in_line(name: str) -> str:
    """A column's name for a message: on one line, and not at any length."""
    return safe(name[:400], width=80)


def no_object(where: str, value: Any) -> UsageError:
    """The error that a row is no object."""
    kinds = {list: "a list", str: "text", bool: "true or false", type(None): "null"}
    told = kinds.get(type(value), "a number")
    return UsageError(f"{where} is {told}, and no object with names", hint=EXAMPLE)
