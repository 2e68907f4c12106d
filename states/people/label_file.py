"""A label file: one pair as a person reads it, and the answer that they wrote.

    ---
    id: 000042-9c1f0a77
    run: 7b2e40c1
    ---
    # Which answer is better?
    ...
    -------- your answer to 000042-9c1f0a77 (save the file when done) --------
    choice:
    annotator:
    note:

Only what stands below the last rule that names the pair is read as an answer.  No
completion can write that rule, since the name is a digest of the completion itself; and
the fences around completions are longer than any run of tildes inside.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from onlinedpo.states.answers import Ask, Shown
from onlinedpo.states.people import choices
from onlinedpo.states.people.choices import Choice
from onlinedpo.states.records import Messages, Sampled
from onlinedpo.states.visible import visible

_FIELDS = ("choice", "annotator", "seconds", "note")
_FIELD = re.compile(r"[\s>*\-]*([A-Za-z]+)[\s*]*[:=](.*)$")
_LEGEND = """\
# Write after "choice:" one of: 1  2  strongly 1  strongly 2  tie  both bad  skip
# (or undo, to take an answer back). Name and note are optional. Then save."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was read below the rule; `choice` is None where none was written."""

    choice: Choice | None
    annotator: str
    note: str
    seconds: float | None


class Unreadable(ValueError):
    """The file holds no answer that can be read; the text says what was expected."""


def render(sampled: Sampled, ask: Ask, shown: Shown, run: str) -> str:
    """The file as it is offered, with an empty answer."""
    one, two = sampled.first.text, sampled.second.text
    if shown == "second-first":
        one, two = two, one
    rule = f"{'-' * 8} your answer to {ask} (save the file when done) {'-' * 8}"
    return "\n".join(
        [
            "---",
            f"id: {ask}",
            f"run: {run}",
            "---",
            "# Which answer is better?",
            "",
            "What counts is said in guidelines.md, in the folder above this one.",
            "",
            "## Prompt",
            "",
            *fenced(text_of(sampled.messages)),
            "",
            "## Response 1",
            "",
            *fenced(one),
            "",
            "## Response 2",
            "",
            *fenced(two),
            "",
            rule,
            _LEGEND,
            "",
            "choice: ",
            "annotator: ",
            "note: ",
            "",
        ]
    )


def fenced(text: str) -> list[str]:
    """The text between fences that are longer than any run of tildes in it."""
    longest = max((len(run) for run in re.findall(r"~+", text)), default=0)
    fence = "~" * max(4, longest + 1)
    return [fence, visible(text), fence]


def text_of(messages: Messages) -> str:
    """A prompt as a judge or a person reads it."""
    if len(messages) == 1:
        return messages[0]["content"]
    return "\n\n".join(f"{m['role']}: {m['content']}" for m in messages)


def identify(text: str) -> tuple[Ask, str] | None:
    """(what the file answers, the run it is of) from its head, or None."""
    head = re.match(r"\s*---[ \t\r]*\n(.*?)\n---[ \t\r]*(?:\n|$)", text, re.S)
    line = r"^[ \t]*(id|run)[ \t]*:[ \t]*(\S+)"
    lines = re.findall(line, head[1], re.M) if head else []
    # The first of each is ours, should the head's end be gone and a response follow.
    found = dict(reversed(lines))
    ask = Ask.parse(found.get("id", ""))
    return (ask, found.get("run", "")) if ask else None


def read(text: str, ask: Ask) -> Answer:
    """What a person wrote below the last rule; raises `Unreadable`."""
    _, below = _at_rule(text, ask)
    fields = _fields(below)
    return Answer(
        choice=_choice(fields["choice"]),
        annotator=" ".join("".join(fields["annotator"]).split()),
        note="\n".join(fields["note"]).strip(),
        seconds=_seconds(fields["seconds"]),
    )


def fill(text: str, ask: Ask, **wanted: str) -> str:
    """The file with answers put in, as an editor would: nothing else is changed.

    Raises `Unreadable` where the rule is gone.
    """
    above, below = _at_rule(text, ask)
    lines = below.split("\n")
    for name, value in wanted.items():
        lines = _put(lines, name, f"{name}: {' '.join(value.split())}")
    return above + "\n".join(lines)


def _put(lines: list[str], name: str, written: str) -> list[str]:
    """The lines below the rule with one field written anew, or added."""
    names = [_name_and_value(line)[0] for line in lines]
    last = len(lines) - (len(lines) > 1 and not lines[-1])
    note = names.index("note") if "note" in names else last
    if name == "note":
        return [*lines[:note], written, ""]
    old = [n for n in range(note) if names[n] == name]
    if not old:
        return [*lines[:note], written, *lines[note:]]
    written += "\r" * lines[old[0]].endswith("\r")
    others = {n: line for n, line in enumerate(lines) if n not in old}
    return [line for _, line in sorted((others | {old[0]: written}).items())]


def _at_rule(text: str, ask: Ask) -> tuple[str, str]:
    """What stands down to the last rule, and what below it; raises `Unreadable`."""
    rule = rf"^[^\w\n]*your answer to {re.escape(str(ask))}(?!\w|\.\d).*$"
    rules = list(re.finditer(rule, text, re.M))
    if not rules:
        raise Unreadable(
            f'the line "---- your answer to {ask} ... ----" is not there any more, so'
            " it cannot be told what your answer is. Write it back, with"
            ' "choice: 1" on a line of its own below it.'
        )
    return text[: rules[-1].end()], text[rules[-1].end() :]


def _name_and_value(line: str) -> tuple[str, str]:
    """A field's name, if the line begins one, and what follows."""
    found = _FIELD.match(line)
    name = found[1].casefold() if found else ""
    return (name, found[2]) if found and name in _FIELDS else ("", line)


def _fields(tail: str) -> dict[str, list[str]]:
    """The lines of each field; a note goes on to the end of the file."""
    fields: dict[str, list[str]] = {name: [] for name in _FIELDS}
    in_note = chosen = False
    for line in tail.split("\n"):
        name, value = _name_and_value(line)
        # Somebody may write the choice at the end, below the note.
        wanted = name == "choice" and not chosen
        if in_note and not (wanted and choices.read(value)):
            fields["note"].append(line)
        elif name:
            fields[name].append(value)
            chosen = chosen or (name == "choice" and bool(value.strip()))
            in_note = in_note or name == "note"
        elif line.strip() and not line.lstrip().startswith("#"):
            raise Unreadable(
                f"the line {line.strip()[:80]!r} below the rule is not known. Expected"
                ' are "choice:", "annotator:" and "note:", each on its own line.'
            )
    return fields


def _choice(lines: list[str]) -> Choice | None:
    given = [line.split("#")[0].strip() for line in lines]
    given = [line for line in given if line]
    if not given:
        return None
    read = {choices.read(line) for line in given}
    if len(read) > 1:
        raise Unreadable(
            f"there are several choices: {', '.join(map(repr, given))[:200]}. Keep one."
        )
    (choice,) = read
    if choice is None:
        raise Unreadable(
            f"the choice {given[0][:80]!r} is not known. Expected is one of:"
            f" {choices.EXPECTED}."
        )
    return choice


def _seconds(lines: list[str]) -> float | None:
    try:
        seconds = float(lines[0])
    except (IndexError, ValueError):
        return None
    return seconds if 0 <= seconds < 1e6 else None
