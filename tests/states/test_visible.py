"""Text of models is shown so that it can do nothing and hide nothing."""

from __future__ import annotations

import random
import sys
import unicodedata

import pytest

from onlinedpo.states.visible import visible


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain text, 1 < 2 & so on",
        "lines\n\nand\ttabs\n",
        "na\u00efve caf\u00e9, \u4f60\u597d, \u05e9\u05dc\u05d5\u05dd, \u0645",
        "an emoji \U0001f600, and one of several: \U0001f468\u200d\U0001f469",
        "cafe\u0301 with a combining accent",
        "no\u00a0break",
        "back\\slashes \\x1b stay",
    ],
)
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    """Whatever language it is in; line feeds and tabs stay."""
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\x00b", "a\\x00b"),
        ("a\x08\x7f", "a\\x08\\x7f"),
        ("over\rwritten", "over\\x0dwritten"),
        ("a\x85b\x9bc", "a\\x85b\\x9bc"),
        ("\u202egnorw\u202c", "\\u202egnorw\\u202c"),
        ("\u2066a\u2069 \u200e\u200f\u061c", "\\u2066a\\u2069 \\u200e\\u200f\\u061c"),
        ("zero\u200bwidth\ufeff\u00ad", "zero\\u200bwidth\\ufeff\\xad"),
        ("half \ud83d", "half \\ud83d"),
        ("private \ue000", "private \\ue000"),
        ("tag \U000e0041", "tag \\U000e0041"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("\r\r\n", "\\x0d\n"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
    ],
)
def test_what_steers_or_hides_is_spelled_out(text: str, shown: str) -> None:
    """No cursor is moved, no direction turned, no letter hidden."""
    assert visible(text) == shown


def test_no_character_at_all_gets_through_that_could_steer() -> None:
    """Every character there is: what is left is visible, and can be saved as UTF-8."""
    text = visible("".join(map(chr, range(sys.maxunicode + 1))))
    kinds = {unicodedata.category(c) for c in text if c not in "\n\t\u200d"}
    assert not {kind for kind in kinds if kind.startswith("C")}
    assert text.encode().decode() == text


def test_what_was_made_visible_stays_as_it_is() -> None:
    """Doing it twice changes nothing more."""
    chance = random.Random(0)
    for _ in range(300):
        codes = (chance.randrange(0x3000) for _ in range(40))
        once = visible("".join(map(chr, codes)))
        assert visible(once) == once
