"""Whether a record that was read has the types that its fields are declared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from onlinedpo.states.errors import JournalError

IMPOSSIBLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What comes of values that no run can have: `check_of` looks at their outside only."""


@cache
def check_of(kind: type[Any]) -> Callable[[Any], None]:
    """What raises `JournalError` for a record of a kind with a field of another type.

    Of lists and mappings only the outside is looked at: a journal has millions of items
    in them.  What is not as it should be inside, the fold and the audit come upon.
    """
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]
    values, known = attrgetter(*names), set[tuple[type, ...]]()

    def check(record: Any) -> None:
        # There are few combinations of types, and nearly every record has a known one.
        types = (*map(type, values(record)),)
        if types not in known:
            for name, found in zip(names, types, strict=True):
                if not _may_be(found, hints[name]):
                    raise JournalError(f"{kind.__name__}.{name} is {found.__name__}")
            known.add(types)

    return check


def impossible(error: Exception) -> str:
    """What is to be said of a fact from which an error of `IMPOSSIBLE` comes."""
    told = f"{type(error).__name__}: {str(error)[:200]}"
    return f"a field has a value that no run can have ({told})"


def _may_be(found: type, hint: Any) -> bool:
    """Whether a field with this hint may hold a value of this type."""
    origin = get_origin(hint)
    if origin is Literal:
        return any(found is type(choice) for choice in get_args(hint))
    if origin in (Union, UnionType):
        return any(_may_be(found, option) for option in get_args(hint))
    if hint is float:
        return found in (float, int)
    wanted = NoneType if hint is None else origin or hint
    return wanted is Any or found is wanted
