"""Records of the journal in words, with their evidence."""

from __future__ import annotations

from datetime import datetime

from onlinedpo.cli import words
from onlinedpo.journal import codec
from onlinedpo.states import records as r
from onlinedpo.states.choices import shown_as


def told(record: r.Record, ticket: int) -> str:
    """A record as `show` prints it for one pair: a headline, and the evidence."""
    when = datetime.fromtimestamp(record.time).isoformat(" ", "seconds")
    lines = [f"{when}  {codec.as_map(record)['kind']}"]
    match record:
        case r.Sampled():
            lines[0] += f"  {record.pair}"
            if record.repeats is not None:
                lines.append(f"  another turn of prompt {record.repeats}")
            lines.append(
                f"  by the policy after step {record.step}; prompt {record.prompt} of"
                f" epoch {record.epoch}, {len(record.prompt_tokens)} tokens"
            )
            lines += [
                f"  {m['role']}: {words.safe(m['content'])}" for m in record.messages
            ]
            for side, c in (("first", record.first), ("second", record.second)):
                lines.append(
                    f"  {side} ({len(c.tokens)} tokens, {c.finish}):"
                    f" {words.safe(c.text)}"
                )
        case r.Verdict():
            a, b = record.logprobs
            lines.append(
                f"  shown {record.shown}: winner {record.winner or 'none'}"
                + (f" ({record.failure})" if record.failure else "")
            )
            lines.append(
                f"  log p(A) {a:.4f}, log p(B) {b:.4f}, would say"
                f" {words.safe(record.raw)!r};"
                f" P(first) {record.probability_first():.4f}"
            )
            judge = ", ".join(f"{k} {v}" for k, v in record.judge.items())
            lines.append(f"  judge: {judge}; {record.seconds * 1000:.1f} ms")
            lines.append(f"  asked ({len(record.prompt_tokens)} tokens):")
            lines += [f"    | {words.safe(row)}" for row in record.prompt.split("\n")]
        case r.Escalated():
            lines.append(f"  sent to people for {record.slots} answers: {record.why}")
        case r.Vote():
            lines += _vote(record)
        case r.Label():
            lines.append(
                f"  chosen: {record.chosen or record.reason}, by {record.source},"
                f" confidence {record.confidence:.4f}"
            )
        case r.Restored():
            lines.append(
                f"  to be trained on again, chosen: {record.label.chosen}, by"
                f" {record.label.source}"
            )
        case r.Dropped():
            lines.append(f"  {record.reason} {words.safe(record.detail)}".rstrip())
        case r.Step():
            place = record.tickets.index(ticket)
            lines.append(
                f"  step {record.index}, pair {place + 1} of {len(record.tickets)};"
                f" margin before the step {record.margins[place]:+.5f}, loss of the"
                f" batch {record.loss:.5f}"
            )
    return "\n".join(lines)


def _vote(vote: r.Vote) -> list[str]:
    """An answer: what was chosen, by whom, and the file as it was saved."""
    choice = shown_as(vote.value, vote.shown, strong=vote.strong)
    saved = datetime.fromtimestamp(vote.saved).isoformat(" ", "seconds")
    lines = [
        f"  {words.safe(vote.annotator)} ({vote.source}, slot {vote.slot}), shown"
        f" {vote.shown}: {choice}, which is {vote.value}",
        f"  saved {saved} in {words.safe(vote.path)}; now {words.safe(vote.kept_as)}",
    ]
    if vote.note:
        lines.append(f"  note: {words.safe(vote.note)}")
    text = vote.raw.decode(errors="replace")
    return [*lines, *(f"    | {words.safe(row)}" for row in text.split("\n"))]
