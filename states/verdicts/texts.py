"""How a verdict is read from what a judge wrote, or from what a server says of that.

What is stored of such a verdict is what came back, as JSON: `content`, perhaps
`reasoning`, the `finish_reason`, the `top_logprobs` of the first token, or the `error`
for which there is no answer.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from onlinedpo.states.answers import Shown
from onlinedpo.states.verdicts.reading import MIN_MASS, Reading, side_shown
from onlinedpo.states.verdicts.scores import is_number

RETRY_TEMPERATURE = 0.7
"""Of a judge that is asked again: at 0 it would say the same."""

_ENDED = ("stop", "eos", "eos_token", "end_turn", "stop_sequence")
_VERDICT = re.compile(r"verdict\s*:\s*(A|B|tie)\s*\.?", re.IGNORECASE)
_THINKING = (
    ("<think>", "</think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<|think:start|>", "<|think:end|>"),
    ("<|channel>thought", "<channel|>"),
    ("[THINK]", "[/THINK]"),
)
_BEFORE_A_LETTER = (" ", "\u0120", "\u2581")
"""A space, and how byte-level and sentencepiece vocabularies write it."""
_ROUNDING = 1e-3
_LAST_BITS = 1e-9


def generated(logprobs: tuple[float, ...], shown: Shown, raw: str) -> Reading:
    """Version 2: the last line of what was written must be a verdict and nothing else.

    Thinking before the answer does not count; thinking or an answer without an end is a
    failure, whatever it says.
    """
    found = _answer(raw)
    if isinstance(found, str):
        return None, found
    text = _without_thinking(str(found.get("opened", "")) + found["content"])
    if text is None:
        return None, "its thinking has no end"
    last = (text.strip().splitlines() or [""])[-1]
    # Emphasis is not a word.
    said = _VERDICT.fullmatch(re.sub("[*_`]", "", last).strip())
    if said is None:
        return None, f"its last line is no verdict: {_short(last)!r}"
    word = said[1].upper()
    return ("tie" if word == "TIE" else side_shown("AB".index(word), shown)), ""


def served(logprobs: tuple[float, ...], shown: Shown, raw: str) -> Reading:
    """Version 3: the likelier letter where the server says how likely its first tokens
    are, or else the whole answer, which must be one letter.

    See `letter_chances`.  With equal chances it is a tie.
    """
    found = _found(raw)
    if isinstance(found, str):
        return None, found
    if top := found.get("top_logprobs"):
        chances = letter_chances(top)
        likeliest = _short(max(top, key=lambda item: item[1])[0])
        if chances is None:
            many = len(top)
            return None, f"neither letter is among its {many} likeliest: {likeliest!r}"
        a, b = chances
        if (mass := math.exp(a) + math.exp(b)) < MIN_MASS:
            return None, f"neither A nor B is likely ({mass:.2g}): {likeliest!r}"
        return ("tie" if a == b else side_shown(0 if a > b else 1, shown)), ""
    whole = _answer(raw)
    if isinstance(whole, str):
        return None, whole
    letter = whole["content"].strip()
    if letter not in ("A", "B"):
        return None, f"its answer is neither A nor B: {_short(whole['content'])!r}"
    return side_shown("AB".index(letter), shown), ""


def letter_chances(top: Sequence[Sequence[Any]]) -> tuple[float, float] | None:
    """Natural-log probabilities of A and B by the likeliest tokens of a server.

    `top` are pairs of token and log-probability.  A letter counts alone or with a space
    before it.  One that is not listed is less likely than all that are, and has no more
    than they leave: the lower of these two bounds stands for it, so that the judge is
    never said to be surer than it is.  None if neither is listed.
    """
    found = {"A": -math.inf, "B": -math.inf}
    total = 0.0
    # JSON has whole numbers too, and the journal none of such size.
    top = [(token, float(logprob)) for token, logprob in top]
    for token, logprob in top:
        total += math.exp(logprob)
        letter = token[1:] if token.startswith(_BEFORE_A_LETTER) else token
        if letter in found:
            found[letter] = _log_sum(found[letter], logprob)
    if max(found.values()) == -math.inf:
        return None
    left = math.log(1.0 - total) if total < 1.0 else -math.inf
    bound = min(left, *(logprob for _, logprob in top))
    a, b = (bound if chance == -math.inf else chance for chance in found.values())
    return a, b


def chances_of(raw: str) -> tuple[float, ...]:
    """The log-probabilities of the letters in what is stored; none without a list."""
    found = _found(raw)
    top = [] if isinstance(found, str) else found.get("top_logprobs")
    return (letter_chances(top) if top else None) or ()


def without_chances(logprobs: tuple[float, ...], raw: str) -> bool:
    """What is generated comes without any probability of a letter."""
    return logprobs == ()


def served_fits(logprobs: tuple[float, ...], raw: str) -> bool:
    """Whether the log-probabilities are those of the server's list; none without it."""
    derived = chances_of(raw)
    return len(derived) == len(logprobs) and all(
        one == other or math.isclose(one, other, rel_tol=_LAST_BITS, abs_tol=_LAST_BITS)
        for one, other in zip(logprobs, derived, strict=True)
    )


def usable(top: object) -> bool:
    """Whether a list of tokens and log-probabilities can be read as one."""
    return isinstance(top, list) and all(map(_usable, top))


def as_told(raw: str) -> list[tuple[str, str]]:
    """What is stored of an answer, for people: what each part is, and its text."""
    found = _loaded(raw)
    if found is None:
        return [("said", raw)]
    parts = [
        (key, str(found[key])) for key in ("reasoning", "content") if found.get(key)
    ]
    ends = [f"{key} {found[key]}" for key in ("finish_reason", "error") if key in found]
    return [*parts, *([("ended", ", ".join(ends))] if ends else [])]


def _usable(item: object) -> bool:
    if not isinstance(item, list) or len(item) != 2:
        return False
    token, logprob = item
    number = is_number(logprob) or logprob == -math.inf
    return isinstance(token, str) and number and logprob <= _ROUNDING


def _found(raw: str) -> dict[str, Any] | str:
    """What came back, or why there is nothing to read in it."""
    found = _loaded(raw)
    if found is None:
        return "what is stored of its answer cannot be read"
    if "error" in found:
        return str(found["error"])
    if found.get("top_logprobs") and not usable(found["top_logprobs"]):
        return "what is stored of its answer cannot be read"
    return found


def _answer(raw: str) -> dict[str, Any] | str:
    """The same, if there is a text that ended by itself."""
    found = _found(raw)
    if isinstance(found, str):
        return found
    finish, content = found.get("finish_reason"), found.get("content")
    if finish == "length":
        return "its answer was cut off: it is longer than it may be"
    if finish not in _ENDED:
        return f"its answer did not end by itself (finish_reason {finish!r})"
    if not isinstance(content, str) or not content.strip():
        return "its answer is empty"
    return found


def _loaded(raw: str) -> dict[str, Any] | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _without_thinking(text: str) -> str | None:
    """What comes after the thinking, all if there is none; None if that has no end."""
    for begin, end in _THINKING:
        _, found, after = text.rpartition(end)
        if begin in after:
            return None
        text = after if found else text
    return text


def _log_sum(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    if low == -math.inf:
        return high
    return high + math.log1p(math.exp(low - high))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."
