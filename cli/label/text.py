"""A pair as a text to be read, and the words in which its responses differ."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import pairwise

from rich.text import Text

from onlinedpo.cli.label.pair import Pair
from onlinedpo.states.visible import visible

_DIFFERS = "bold underline"
_MOST_WORDS = 10_000


def pair_text(name: str, pair: Pair, *, diff: bool, plain: bool) -> tuple[Text, ...]:
    """A pair, with the words that differ made visible if that is wanted."""
    one, two = Text(visible(pair.one)), Text(visible(pair.two))
    if diff:
        spans = differing(one.plain, two.plain)
        one, two = (
            _marked(text, where, plain=plain)
            for text, where in zip((one, two), spans, strict=True)
        )
    return (
        *titled(f"Prompt of {name}", visible(pair.prompt)),
        *titled("Response 1", one),
        *titled("Response 2", two),
    )


def titled(title: str, text: str | Text) -> tuple[Text, ...]:
    """A text below its title."""
    body = text if isinstance(text, Text) else Text(text)
    body.expand_tabs(8)
    return Text(f"[ {title} ]", style="bold cyan"), body, Text("")


Spans = list[tuple[int, int]]


def differing(one: str, two: str) -> tuple[Spans, Spans]:
    """Where two texts differ, in whole words; nothing where they are too long."""
    words = [[*re.finditer(r"\S+", text)] for text in (one, two)]
    if max(map(len, words)) > _MOST_WORDS:
        return [], []
    first, second = ([word[0] for word in text] for text in words)
    matcher = SequenceMatcher(None, first, second)
    spans: tuple[Spans, Spans] = ([], [])
    for tag, *ends in matcher.get_opcodes():
        for side, (start, end) in enumerate(((ends[0], ends[1]), (ends[2], ends[3]))):
            if tag != "equal" and start < end:
                found = words[side][start].start(), words[side][end - 1].end()
                spans[side].append(found)
    return spans


def _marked(text: Text, spans: Iterable[tuple[int, int]], *, plain: bool) -> Text:
    """The text with these parts underlined, or between braces where nothing can be."""
    if not plain:
        for start, end in spans:
            text.stylize(_DIFFERS, start, end)
        return text
    cuts = [0, *(cut for span in spans for cut in span), len(text.plain)]
    parts = [text.plain[start:end] for start, end in pairwise(cuts)]
    marked = [f"{{{p}}}" if n % 2 else p for n, p in enumerate(parts)]
    return Text("".join(marked))
