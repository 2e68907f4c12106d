"""Whether a record that was read holds what its fields are declared with.

The declarations alone say what that is: by types, or by the function in `Annotated`,
which then says all that a value of the right type has to hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from functools import cache
from operator import attrgetter
from reprlib import repr as shortened
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from onlinedpo.states.checks import is_shallow
from onlinedpo.states.errors import ImpossibleValue

IMPOSSIBLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""What comes of values that no run can have, although they fit their fields."""

_Holds = Callable[[Any], bool]
"""Whether a value, which is of the right type, holds what it may."""


@cache
def check_of(kind: type[Any]) -> Callable[[Any], None]:
    """What raises `ImpossibleValue` for a record of a kind whose fields do not fit.

    A journal has millions of items in its lists, so it is made once, and of what takes
    the least time for each.
    """
    hints = get_type_hints(kind, include_extras=True)
    names = [f.name for f in fields(kind)]
    values, known = attrgetter(*names), set[tuple[type, ...]]()
    looks = [
        (place, holds)
        for place, name in enumerate(names)
        if (holds := _inside(hints[name]))
    ]

    def check(record: Any) -> None:
        # There are few combinations of types, and nearly every record has a known one.
        found = values(record)
        types = (*map(type, found),)
        if types not in known:
            for name, of in zip(names, types, strict=True):
                if of not in _types(hints[name]):
                    told = f"{kind.__name__}.{name} is {of.__name__}"
                    raise ImpossibleValue(impossible(told))
            known.add(types)
        for place, holds in looks:
            if not holds(found[place]):
                told = f"{kind.__name__}.{names[place]}: {shortened(found[place])}"
                raise ImpossibleValue(impossible(told))

    return check


def impossible(found: str | Exception) -> str:
    """What is to be said of a fact with a value, or from which an error comes."""
    if isinstance(found, Exception):
        found = f"{type(found).__name__}: {str(found)[:200]}"
    return f"a field has a value that no run can have ({found})"


@cache
def _types(hint: Any) -> Collection[Any]:
    """The types of which a value with this hint may be."""
    origin, of = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _types(of[0])
    if origin is Literal:
        return {*map(type, of)}
    if origin in (Union, UnionType):
        return {found for option in of for found in _types(option)}
    if hint is float:
        return {float, int}
    return {NoneType if hint is None else origin or hint}


def _inside(hint: Any) -> _Holds | None:
    """Whether a value holds what a hint has within it; None where that is nothing."""
    origin, of = get_origin(hint), get_args(hint)
    if origin is Annotated:
        holds: _Holds = of[1]
        return holds
    if origin is Literal:
        return frozenset(of).__contains__
    if origin in (Union, UnionType):
        looks = [look for option in of if (look := _inside(option))]
        # What may be several things is one of them, or None.
        return (lambda value: value is None or looks[0](value)) if looks else None
    if origin is tuple and of[1:] == (...,):
        return are_whole_numbers if of[0] is int else _each(of[0])
    if origin is tuple:
        return lambda value: (
            len(value) == len(of)
            and all(_each(one)((item,)) for one, item in zip(of, value, strict=True))
        )
    if origin is dict and of[1] is not Any:
        keys, values = (frozenset(_types(one)) for one in of)
        return lambda value: (
            keys.issuperset(map(type, value))
            and values.issuperset(map(type, value.values()))
        )
    return is_shallow if Any in of else None


def _each(hint: Any) -> _Holds:
    """Whether every one of some values fits a hint."""
    types, holds = frozenset(_types(hint)), _inside(hint)
    if holds is None:
        return lambda values: not values or types.issuperset(map(type, values))
    return lambda values: (
        types.issuperset(map(type, values)) and all(map(holds, values))
    )


def are_whole_numbers(values: Sequence[Any]) -> bool:
    """The same of token ids, which are most of a journal: adding is quickest."""
    try:
        return type(sum(values)) is int
    except TypeError:
        return False
