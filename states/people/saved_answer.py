"""A label file as it was saved, by whatever editor: from its bytes to an answer."""

from __future__ import annotations

import codecs

from onlinedpo.states.answers import Ask
from onlinedpo.states.people import label_file
from onlinedpo.states.people.label_file import Answer, Unreadable


def parse(raw: bytes, run: str) -> tuple[Ask, Answer]:
    """What was answered, and how; raises `Unreadable`, also if it is of another run.

    `run` is the name that label files have for the run.
    """
    text, ask, of_run = identified(raw)
    if of_run != run:
        raise Unreadable(
            f'it is of run "{of_run}"; this is run "{run}". Put it into the labels'
            " folder of its own run."
        )
    return ask, label_file.read(text, ask)


def identified(raw: bytes) -> tuple[str, Ask, str]:
    """(its text, what it answers, the run that it is of); raises `Unreadable`."""
    text = decode(raw)
    found = label_file.identify(text)
    if found is None:
        raise Unreadable(
            'it has no line such as "id: 000042-9c1f0a77" between two lines "---" at'
            " its top, so it cannot be told which pair it answers."
        )
    return text, *found


def decode(raw: bytes) -> str:
    """A saved file as text, whatever the editor; raises `Unreadable`."""
    if raw.startswith(b"{\\rtf"):
        raise Unreadable(
            "it was saved as rich text (RTF). Save it as plain text: in TextEdit,"
            " Format > Make Plain Text."
        )
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"byte {error.start} is not UTF-8 text. Save the file as UTF-8."
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
