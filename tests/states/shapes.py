"""What other programs write, as their documentation shows it, each with one answer."""

from __future__ import annotations

from typing import Any

ASK = "000042-9c1f0a77"
TEXTS = {"prompt": "Why?", "answer1": "So.", "answer2": "Thus."}
FIELDS = {"prompt": "Why?", "response1": "So.", "response2": "Thus."}
UUID = "6f1c2a34-0000-4000-8000-000000000001"
TIMES = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:05.12Z"}


def own(choice: Any = "1", **others: Any) -> dict[str, Any]:
    """A row in our own shape."""
    return {"id": ASK, "choice": choice, **others}


def annotation(result: list[Any], who: Any = 10, **others: Any) -> dict[str, Any]:
    """An annotation of Label Studio."""
    return {
        "id": 1001,
        "completed_by": who,
        "was_cancelled": False,
        "ground_truth": False,
        **TIMES,
        "lead_time": 4.288,
        "result": result,
        **others,
    }


def pairwise(side: str) -> dict[str, Any]:
    """A result of <Pairwise>."""
    return {
        "id": "Dx_aB91ISN",
        "type": "pairwise",
        "from_name": "comparison",
        "to_name": "comparison",
        "value": {"selected": side},
    }


def chosen(*words: str) -> dict[str, Any]:
    """A result of <Choices>."""
    return {
        "id": "x",
        "type": "choices",
        "from_name": "otherwise",
        "to_name": "prompt",
        "value": {"choices": [*words]},
    }


def label_studio(*annotations: dict[str, Any]) -> dict[str, Any]:
    """A task of Label Studio's JSON."""
    return {
        "id": 1,
        "data": {**TEXTS, "odpo_id": ASK},
        "annotations": [*annotations],
        "predictions": [],
    }


def argilla(value: Any, **others: Any) -> dict[str, Any]:
    """A record of Argilla 2 with one response."""
    response = {"value": value, "user_id": UUID, **others}
    return {
        "id": ASK,
        "fields": FIELDS,
        "metadata": {},
        "suggestions": {"preference": {"value": "response1", "score": 1, "agent": "m"}},
        "responses": {"preference": [response]},
        "vectors": {},
        "_server_id": "0e5e1c0a-0000-4000-8000-000000000000",
    }


def prodigy(accept: list[Any], answer: str = "accept", **others: Any) -> dict[str, Any]:
    """An example of Prodigy's choice interface."""
    return {
        "text": "Why?",
        "options": [{"id": "A", "text": "So."}, {"id": "B", "text": "Thus."}],
        "meta": {"odpo_id": ASK},
        "accept": accept,
        "answer": answer,
        "_input_hash": 1,
        "_task_hash": 2,
        "_view_id": "choice",
        "_session_id": "pairs-ann",
        "_timestamp": 1767225600,
        **others,
    }


def arena(winner: Any, **others: Any) -> dict[str, Any]:
    """A vote of an arena."""
    return {
        "question_id": ASK,
        "model_a": "x",
        "model_b": "y",
        "winner": winner,
        "judge": "ann",
        "conversation_a": [{"role": "user", "content": "Why?"}],
        "conversation_b": [{"role": "user", "content": "Why?"}],
        **others,
    }


MINIMAL: dict[str, Any] = {
    **TEXTS,
    "odpo_id": ASK,
    "id": 1,
    "comparison": [{"selected": "right"}],
    "annotator": "ann@example.org",
    "annotation_id": 1001,
    **TIMES,
    "lead_time": 4.288,
}
RANKS = [{"value": "response2", "rank": 1}, {"value": "response1", "rank": 2}]

SECOND: dict[str, tuple[str, dict[str, Any], str]] = {
    "our own": (
        "onlinedpo",
        {"id": ASK, "choice": "2", "annotator": "ann", "note": "n", "seconds": 3},
        "ann",
    ),
    "Label Studio": (
        "label-studio",
        label_studio(annotation([pairwise("right")])),
        "10",
    ),
    "Label Studio, a user with an email": (
        "label-studio",
        label_studio(annotation([pairwise("right")], {"id": 7, "email": "a@b.c"})),
        "a@b.c",
    ),
    "JSON_MIN": ("label-studio-min", MINIMAL, "ann@example.org"),
    "CSV of Label Studio": (
        "label-studio-min",
        {**MINIMAL, "comparison": '[{"selected": "right"}]', "lead_time": "4.288"},
        "ann@example.org",
    ),
    "CSV of Label Studio, choices": (
        "label-studio-min",
        {**MINIMAL, "comparison": "", "choice": "response 2"},
        "ann@example.org",
    ),
    "Argilla 2, a label": ("argilla-2", argilla("response2"), UUID),
    "Argilla 2, a ranking": ("argilla-2", argilla(["response2", "response1"]), UUID),
    "Argilla 2, ranks": ("argilla-2", argilla(RANKS, status="submitted"), UUID),
    "Argilla 2, flat": (
        "argilla-2",
        {
            "id": ASK,
            **FIELDS,
            "preference.responses": ["response2"],
            "preference.responses.users": [UUID],
            "preference.responses.status": ["submitted"],
            "preference.suggestion": "response1",
            "preference.suggestion.score": 0.5,
            "preference.suggestion.agent": "m",
        },
        UUID,
    ),
    "Argilla 1, columns": (
        "argilla-1",
        {
            **FIELDS,
            "preference": {
                "user_id": [UUID],
                "value": [{"rank": [1, 2], "value": ["reply_2", "reply_1"]}],
                "status": ["submitted"],
            },
            "external_id": ASK,
            "metadata": "{}",
        },
        UUID,
    ),
    "Argilla 1, structs": (
        "argilla-1",
        {
            **FIELDS,
            "preference": [{"user_id": UUID, "value": RANKS, "status": "submitted"}],
            "external_id": None,
            "metadata": f'{{"odpo_id": "{ASK}"}}',
        },
        UUID,
    ),
    "Prodigy": ("prodigy", prodigy(["B"]), "pairs-ann"),
    "Prodigy, a named person": ("prodigy", prodigy(["B"], _annotator_id="ann"), "ann"),
    "an arena": ("arena", arena("model_b"), "ann"),
    "a log of votes": (
        "arena",
        {"type": "rightvote", "question_id": ASK, "models": ["", ""], "tstamp": 1.5},
        "",
    ),
}
"""Name -> (format, a row that says response 2, who said it)."""
