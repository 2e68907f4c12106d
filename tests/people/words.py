"""What people write into label files, and what each of these texts means."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from onlinedpo.states.answers import Ask, sides
from onlinedpo.states.people import label_file
from onlinedpo.states.records import Reason, Sampled, Vote

CHOICES = ("1", "2", "1", "2", "strongly 1", "tie", "both bad", "skip", "undo", "undo")
NO_CHOICES = ("", "banana")
NAMES = ("", "ben", "Cleo")
NOTES = ("", "I am not sure.")
DEFAULT_NAME = "anna"
REASONS = {"bad": Reason.BAD, "skip": Reason.SKIPPED, "split": Reason.SPLIT}


@dataclass(frozen=True)
class Meaning:
    """What a text says; `value` is None where it is no answer."""

    ticket: int
    slot: int
    value: str | None
    annotator: str

    def is_of(self, ask: Ask) -> bool:
        """Whether it is about this."""
        return (self.ticket, self.slot) == (ask.ticket, ask.slot)


class Phrasebook:
    """Writes texts and remembers what they mean."""

    def __init__(self, seed: int, run: str, rng: random.Random) -> None:
        """Nothing is written yet."""
        self._seed, self._run, self._rng = seed, run, rng
        self._meanings: dict[bytes, Meaning] = {}
        self.offered: dict[str, bytes] = {}
        """By its name, each file as nobody has touched it."""

    def add(self, pair: Sampled) -> None:
        """People may be asked about this pair."""
        for ask in asks_of(pair):
            text = label_file.render(pair, ask, sides(self._seed, ask), self._run)
            self.offered[f"{ask}.md"] = text.encode()

    def write(self, ask: Ask) -> bytes:
        """Some answer, or none, as some editor saves it."""
        rng = self._rng
        before = [raw for raw, said in self._meanings.items() if said.is_of(ask)]
        if before and rng.random() < 0.3:
            # Somebody saves once more what was said before.
            return rng.choice(before)
        word = rng.choice(CHOICES if rng.random() < 0.85 else NO_CHOICES)
        name, note = rng.choice(NAMES), rng.choice(NOTES)
        text = self.offered[f"{ask}.md"].decode()
        text = text.replace("choice: ", f"choice: {word}")
        text = text.replace("annotator: ", f"annotator: {name}")
        text = text.replace("note: ", f"note: {note}")
        style = rng.random()
        if style < 0.1:
            raw = text.replace("\n", "\r\n").encode()
        elif style < 0.2:
            raw = text.encode("utf-8-sig")
        else:
            raw = text.encode()
        self.note(raw, ask, word, name)
        return raw

    def changed_in_place(self, raw: bytes) -> bytes | None:
        """The same with the other choice, of the same length."""
        one, two = b"choice: 1", b"choice: 2"
        old, new = (one, two) if one in raw else (two, one)
        meaning = self._meanings.get(raw)
        if meaning is None or old not in raw:
            return None
        changed = raw.replace(old, new)
        name = "" if meaning.annotator == DEFAULT_NAME else meaning.annotator
        ask = Ask(f"{meaning.ticket:06d}-00000000", meaning.slot)
        self._sides_of(changed, raw, ask, name)
        return changed

    def meaning(self, raw: bytes) -> Meaning | None:
        """What an answer says; None for all that is no answer."""
        found = self._meanings.get(raw)
        return found if found and found.value else None

    def learn(self, vote: Vote) -> None:
        """Two editors at once made a text that nobody wrote, and it is an answer."""
        if vote.raw not in self._meanings:
            self._meanings[vote.raw] = Meaning(
                vote.ticket, vote.slot, vote.value, vote.annotator
            )

    def note(self, raw: bytes, ask: Ask, word: str, name: str = "") -> None:
        """Remember what a text says."""
        side = {"1": 0, "strongly 1": 0, "2": 1}.get(word)
        value: str | None = {"both bad": "bad", "": None, "banana": None}.get(
            word, word
        )
        if side is not None:
            value = sides(self._seed, ask).split("-")[side]
        self._meanings[raw] = Meaning(ask.ticket, ask.slot, value, name or DEFAULT_NAME)

    def _sides_of(self, changed: bytes, raw: bytes, ask: Ask, name: str) -> None:
        word = "1" if b"choice: 1" in changed else "2"
        self.note(changed, ask, word, name)


def asks_of(pair: Sampled) -> list[Ask]:
    """Every answer that may be asked for a pair."""
    return [Ask(pair.pair, slot) for slot in (1, 2, 3)]


def agreed(votes: Mapping[int, str], slots: int, rule: str) -> str | None:
    """What the newest answers in the slots of a pair come to; None: not settled."""
    voting = [value for value in votes.values() if value != "skip"]
    if not votes or len(votes) < slots:
        return None
    if not voting:
        return REASONS["skip"]
    if rule == "first":
        winner = voting[0]
    elif rule == "adjudicate" and votes.get(3, "skip") != "skip":
        winner = votes[3]
    else:
        winner, count = Counter(voting).most_common(1)[0]
        if not (count * 2 > len(voting) if rule == "majority" else len({*voting}) == 1):
            return REASONS["split"]
    return REASONS.get(winner, winner)
