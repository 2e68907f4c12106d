"""Ways of spoiling an input: its bytes, or the values that it is written from."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.crash.fuzzing.fuzz import Target

Change = Callable[[random.Random, Any, Sequence[Any]], Any]

PIECES = (
    *(b"\0", b"\n", b"\r", b"\r\n", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b" ", b"\t"),
    *(b'"', b"'", b"{", b"}", b"[", b"]", b":", b",", b"-", b"---\n", b"#", b"\\"),
    *(b"\\ud83d", b"\xed\xa0\xbd", b"\x1b[2J", b"1e999", b"NaN", b"null", b"-0"),
    *(b"9" * 5000, b"[" * 1200, b'{"a":' * 1200, b"~" * 50, b"\xe2\x80\xa8"),
)
"""What some parser or other takes for more than it is."""

WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 255, 2**31, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    *(0.5, -0.0, 1e308, math.inf, -math.inf, math.nan),
    *("", " ", "\0", "1", "x" * 300, "\ud83d", "\x1b[2J\n", "../../x", "/etc/passwd"),
    *("first", "second", "tie", "inf", "-1", "1e5", "9" * 5000, "\u0661", "\u202e"),
    *([], {}, [[]], [{}], [None], ["x"], [0], {"x": 1}, {"": None}, [1, 2, 3] * 9),
)
"""Values of every type, small, large and odd."""
MORE: tuple[Any, ...] = (10**5, 10**400, -(10**5000))
"""Where numbers have no end: in JSON and YAML."""


def of_bytes(chance: random.Random, data: bytes, pool: Sequence[Any]) -> bytes:
    """One to four changes: bits, cuts, copies, pieces of another, or odd bytes."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 1, 2, 4, 16, 200)))
        match chance.randrange(9):
            case 0 if data:
                at = min(at, len(data) - 1)
                flipped = data[at] ^ 1 << chance.randrange(8)
                data = data[:at] + bytes([flipped]) + data[at + 1 :]
            case 1:
                data = data[:at]
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = (
                    data[:end] + data[at:end] * chance.choice((1, 2, 40)) + data[end:]
                )
            case 4:
                data = data[:at] + chance.randbytes(end - at) + data[end:]
            case 5 | 6:
                data = data[:at] + chance.choice(PIECES) + data[end:]
            case 7:
                other = bytes(chance.choice(pool))
                start = chance.randrange(len(other) + 1)
                data = data[:at] + other[start : start + 400] + data[end:]
            case _:
                lines = data.splitlines(keepends=True)
                chance.shuffle(lines)
                data = b"".join(lines)
    return data[: 1 << 20]


def of_trees(*more: Any) -> Change:
    """Changes of a tree: values put in the place of others, moved, doubled, or gone."""
    wrong = (*WRONG, *more)

    def change(chance: random.Random, tree: Any, pool: Sequence[Any]) -> Any:
        tree = copied(tree)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            tree = _changed(chance, tree, pool, wrong)
        return tree

    return change


def as_json(tree: Any) -> bytes:
    """The tree as a program would write it."""
    return json.dumps(tree).encode()


ways = pytest.mark.parametrize("way", ["bytes", "values"])


def spoilt(
    way: str,
    name: str,
    sound: Sequence[Any],
    written: Callable[[Any], bytes],
    read: Callable[[bytes], object],
    refuses: tuple[type[Exception], ...],
    more: Sequence[Any] = MORE,
) -> Target:
    """What is written of these trees, changed in its bytes or in its values."""
    if way == "bytes":
        seeds = [written(tree) for tree in sound]
        return Target(f"{name} as bytes", seeds, of_bytes, read, refuses)
    changes = of_trees(*more)
    return Target(f"{name} as values", sound, changes, read, refuses, written)


def _changed(
    chance: random.Random, tree: Any, pool: Sequence[Any], wrong: Sequence[Any]
) -> Any:
    places = [*_places(tree)]
    if not places:
        return copied(chance.choice(wrong))
    holder, key = chance.choice(places)
    match chance.randrange(8):
        case 0 | 1 | 2:
            holder[key] = copied(chance.choice(wrong))
        case 3:
            del holder[key]
        case 4 if isinstance(holder, dict):
            holder[chance.choice((*holder, "x", "", 5, None, True))] = holder.pop(key)
        case 4:
            holder.insert(key, copied(holder[key]))
        case 5:
            other, at = chance.choice(places)
            if at in other if isinstance(other, dict) else at < len(other):
                holder[key] = copied(other[at])
        case 6:
            depth = chance.choice((1, 1, 3, 20, 90))
            for _ in range(depth):
                holder[key] = [holder[key]]
        case _:
            foreign = [*_places(chance.choice(pool))]
            if foreign:
                other, at = chance.choice(foreign)
                holder[key] = copied(other[at])
    return tree


def copied(tree: Any, depth: int = 0) -> Any:
    """The same tree anew; what lies too deep to be written is left out."""
    if depth > 200:
        return None
    if isinstance(tree, dict):
        return {key: copied(item, depth + 1) for key, item in tree.items()}
    return [copied(i, depth + 1) for i in tree] if isinstance(tree, list) else tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) of a tree, also deep ones: not by recursion."""
    found, waiting = [], [tree]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict):
            keys: Any = list(holder)
        elif isinstance(holder, list):
            keys = range(len(holder))
        else:
            continue
        for key in keys:
            found.append((holder, key))
            waiting.append(holder[key])
    return found
