"""What is asked of people, by which name, and in which order it is shown."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from onlinedpo.states.answers import ORDERS, Ask, sides, version
from tests.states import facts

PAIR = facts.sampled(42).pair
NAMES = [
    ("000042-9c1f0a77", Ask("000042-9c1f0a77"), 42),
    ("000042-9c1f0a77.2", Ask("000042-9c1f0a77", 2), 42),
    ("000042-9c1f0a77.99", Ask("000042-9c1f0a77", 99), 42),
    ("1234567-00000000.10", Ask("1234567-00000000", 10), 1_234_567),
]


@pytest.mark.parametrize(("text", "ask", "ticket"), NAMES)
def test_an_answer_that_is_wanted_has_a_name(text: str, ask: Ask, ticket: int) -> None:
    """The pair's name, and the slot where it is not the first; it is read back."""
    assert (str(ask), ask.ticket) == (text, ticket)
    assert Ask.parse(text) == Ask.parse(f" {text}\n") == ask


def test_the_first_slot_may_be_named_too() -> None:
    """Then it is the same as without."""
    assert Ask.parse(f"{PAIR}.1") == Ask.parse(PAIR) == Ask(PAIR)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "42",
        "00042-9c1f0a77",
        "000042-9c1f0a7",
        "000042-9c1f0a777",
        "000042-9C1F0A77",
        "000042-9c1f0a7g",
        "000042-9c1f0a77.",
        "000042-9c1f0a77.0",
        "000042-9c1f0a77.01",
        "000042-9c1f0a77.100",
        "000042-9c1f0a77.2.3",
        "000042-9c1f0a77.md",
        "x000042-9c1f0a77",
        "../000042-9c1f0a77",
        "000042-9c1f0a77/../x",
        "000042 9c1f0a77",
        "-00042-9c1f0a77",
        "\u0660\u0660\u0660\u0660\u0664\u0662-9c1f0a77",
    ],
)
def test_what_is_no_name_names_nothing(text: str) -> None:
    """No part of a name, no path, no digits of other scripts."""
    assert Ask.parse(text) is None


def test_each_slot_shows_its_sides_by_a_fair_coin() -> None:
    """Over 4,000 pairs either order comes up half of the time, in each slot."""
    for slot in (1, 2, 3):
        shown = [sides(7, Ask(facts.sampled(n).pair, slot)) for n in range(4000)]
        assert set(shown) == set(ORDERS)
        assert 1850 < shown.count("first-second") < 2150


def test_the_coins_of_two_slots_and_of_two_seeds_have_nothing_to_do_with_each_other(
    # The next pair's coin is one of its own as well.
) -> None:
    """Two people who see a pair see it in the same order half of the time."""
    pairs = [facts.sampled(n).pair for n in range(4000)]
    first = [sides(7, Ask(pair)) for pair in pairs]
    others = {
        "slot": [sides(7, Ask(pair, 2)) for pair in pairs],
        "seed": [sides(8, Ask(pair)) for pair in pairs],
        "ticket": [sides(7, Ask(pair)) for pair in (*pairs[1:], pairs[0])],
    }
    for other in others.values():
        same = sum(one == two for one, two in zip(first, other, strict=True))
        assert 1850 < same < 2150


def test_the_order_shown_never_changes() -> None:
    """It is part of the format: a file that was offered is read by the same order."""
    asks = [Ask(f"{n:06d}-00000000", slot) for n in range(4) for slot in (1, 2)]
    shown = "".join(str(ORDERS.index(sides(0, ask))) for ask in asks)
    assert shown == "10010011"
    assert [sides(0, replace(ask, pair=f"{ask.pair[:7]}ffffffff")) for ask in asks] == [
        sides(0, ask) for ask in asks
    ]


def test_a_version_is_known_by_its_bytes() -> None:
    """16 bytes of BLAKE2b; any other byte is another version."""
    assert (
        version(b"choice: 1") == hashlib.blake2b(b"choice: 1", digest_size=16).digest()
    )
    saved = [b"", b"\n", b"choice: 1", b"choice: 1\n", b"choice: 1\r\n", b"choice: 2"]
    assert len({version(raw) for raw in saved}) == len(saved)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"raw": b"saved again", "time": 9.0, "saved": 8.0, "seconds": 3.0}, True),
        ({"path": "done/x", "kept_as": "done/x", "guidelines": "", "slot": 2}, True),
        ({"shown": "second-first", "source": "file"}, True),
        ({"value": "second"}, False),
        ({"value": "undo"}, False),
        ({"strong": True}, False),
        ({"annotator": "bert"}, False),
        ({"note": "too long"}, False),
    ],
)
def test_an_answer_that_is_saved_again_says_the_same(
    change: dict[str, Any], same: bool
) -> None:
    """What counts is the choice, its strength, the name and the note."""
    one = facts.vote(0)
    other = replace(one, **change)
    assert one.says_the_same(other) is other.says_the_same(one) is same
