"""What a journal folds into, as plain data that can be compared after years."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from onlinedpo.journal import codec
from onlinedpo.journal.reader import Reader
from onlinedpo.states.ledger import Ledger
from onlinedpo.states.records import Label, Step


def folded(journal: Path) -> dict[str, Any]:
    """Where everything stands, and what was decided and trained on, on the way."""
    reader, ledger = Reader(journal), Ledger()
    kinds: Counter[str] = Counter()
    labels: dict[str, list[Any]] = {}
    trained: list[list[list[Any]]] = []
    for record in reader.records():
        kinds[codec.as_map(record)["kind"]] += 1
        match record:
            case Label(ticket=ticket):
                said = [record.chosen, record.source, record.confidence, record.reason]
                labels.setdefault(str(ticket), []).append(said)
            case Step(tickets=tickets):
                chosen = {p.sampled.ticket: p.chosen for p in ledger.labelled()}
                trained.append([[ticket, chosen[ticket]] for ticket in tickets])
        ledger.fold(record)
    assert reader.position is not None
    last, derived = ledger.last_step, ledger.derived
    return {
        "frames": reader.position.number,
        "head": reader.position.chain.hex(),
        "kinds": dict(sorted(kinds.items())),
        "phases": {phase.value: n for phase, n in ledger.counts().items()},
        "dropped": dict(sorted(ledger.dropped.items())),
        "labels": labels,
        "trained": trained,
        "steps": ledger.steps,
        "last_step": [last.loss, last.grad_norm, *last.margins] if last else None,
        "checkpoints": {str(k): v for k, v in sorted(ledger.checkpoints.items())},
        "open_asks": [str(ask) for ask in ledger.open_asks()],
        "asked": ledger.asked,
        "late": ledger.late,
        "win_rates": [[e.step, e.win_rate] for e in ledger.evaluations],
        "tails": len(ledger.tails),
        "changed": sorted(ledger.changed),
        "derived": derived.purpose if derived else None,
    }
