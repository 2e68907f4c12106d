"""What is said beside a dropped file: how many answers, and which lines are bad."""

from __future__ import annotations

from pathlib import Path

from onlinedpo.journal.label_folder import LabelFolder
from onlinedpo.journal.reader import Reader
from onlinedpo.journal.writer import Journal
from onlinedpo.states.answers import Bundle


def make_again(path: Path, sha256: str, folder: LabelFolder, journal: Journal) -> None:
    """Say beside `path` what became of a dropped file, if nobody could say it then.

    A crash, or a drive that was away, may have come between the journal and that.
    """
    if folder.has_receipt(path):
        return
    said = None
    for record in Reader(journal.folder).records():
        if isinstance(record, Bundle) and record.sha256 == sha256:
            said = record if record.kept_as == folder.place(path) else said
    if said:
        folder.receipt(path, text(path.name, said))


def text(name: str, bundle: Bundle, pending: int = 0) -> str:
    """The receipt; `pending` rows hold no answer, of which the journal says nothing."""
    lines = [
        f"{name}: {bundle.format or 'no known format'}",
        f"{bundle.taken} answers were taken in",
    ]
    if bundle.unchanged:
        lines.append(f"{bundle.unchanged} said what was known already")
    if pending:
        lines.append(f"{pending} hold no answer yet")
    if bundle.refused:
        lines.append(f"{len(bundle.refused) + bundle.more} could not be used:")
        lines += [
            f"  line {number}: {reason}" if number else f"  {reason}"
            for number, reason in bundle.refused
        ]
    if bundle.more:
        lines.append(f"  and {bundle.more} more")
    if bundle.kept_as == bundle.path:
        lines.append("Mend the file and save it, or remove it.")
    return "\n".join(lines) + "\n"
