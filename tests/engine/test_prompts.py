"""Prompts: from a file to token ids, each once in an epoch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.data.prompts import Prompts
from onlinedpo.engine.data.prompts import load as load_prompts
from onlinedpo.engine.models.chat import encode
from onlinedpo.states.config import Settings
from onlinedpo.states.order import Order
from tests.engine.kit import tokenizer_of
from tests.toys import BOS, CHATML, prompts_file, toy_model


def load(source: str, *, seed: int = 0, held_out: int = 0) -> Prompts:
    """The prompts of a file or folder."""
    return load_prompts(Settings(data=source, seed=seed, val_prompts=held_out))


QUESTION = ({"role": "user", "content": "Why?"},)


def adding_bos(folder: Path, template: str) -> Any:
    """A toy's tokenizer that, like Llama's, puts a BOS before whatever it encodes."""
    toy_model(folder, template=template)
    file = folder / "tokenizer.json"
    written = json.loads(file.read_text())
    written["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [BOS], "tokens": ["<s>"]}},
    }
    file.write_text(json.dumps(written))
    return tokenizer_of(folder)


def test_the_template_is_applied_once_and_begins_the_answer(toy: Path) -> None:
    """The policy is asked with exactly its chat template, up to its own turn."""
    tokenizer = tokenizer_of(toy)

    asked = encode(tokenizer, QUESTION)

    assert tokenizer.decode(asked) == (
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_prompt_has_the_bos_that_its_template_writes(tmp_path: Path) -> None:
    """One BOS if the template writes it, else none; the tokenizer adds none (D6)."""
    writes = adding_bos(tmp_path / "writes", "<s>" + CHATML)
    silent = adding_bos(tmp_path / "silent", CHATML)
    assert writes.encode("<s>x").count(BOS) == 2

    assert encode(writes, QUESTION).count(BOS) == 1
    assert encode(writes, QUESTION)[0] == BOS
    assert encode(silent, QUESTION).count(BOS) == 0


def test_a_policy_that_could_think_is_asked_not_to(tmp_path: Path) -> None:
    """Thinking would fill max_completion_length, and the judge would compare stubs."""
    template = CHATML + "{% if enable_thinking is false %}(no thinking){% endif %}"
    tokenizer = tokenizer_of(toy_model(tmp_path / "toy", template=template))

    assert tokenizer.decode(encode(tokenizer, QUESTION)).endswith("(no thinking)")


@pytest.mark.parametrize("count", [1, 5, 12])
def test_an_epoch_visits_every_prompt_once(count: int) -> None:
    """In an order of its own, which the seed decides (D7)."""
    order = Order(7, count)

    places = [order.place(ticket) for ticket in range(3 * count)]

    for epoch in range(3):
        visited = [p for e, p in places if e == epoch]
        assert sorted(visited) == list(range(count))
    assert [Order(7, count).place(t) for t in (2 * count, 0)] == [
        places[2 * count],
        places[0],
    ]
    if count > 5:
        epochs = {tuple(p for e, p in places if e == epoch) for epoch in range(3)}
        assert len(epochs) == 3
        assert places != [Order(8, count).place(t) for t in range(3 * count)]


def test_a_separator_inside_a_prompt_does_not_cut_its_line(tmp_path: Path) -> None:
    """JSON may hold U+2028, U+0085 and carriage returns; only a newline ends a line."""
    prompt = "one\u2028two\u0085three"
    file = tmp_path / "prompts.jsonl"
    row = json.dumps({"prompt": prompt}, ensure_ascii=False).replace(" ", "\r", 1)
    file.write_text(row + "\n", encoding="utf-8")

    found = load(str(file), seed=0, held_out=0)

    assert found.train == [({"role": "user", "content": prompt},)]


def test_prompts_are_held_out_by_the_seed_or_by_a_file(tmp_path: Path) -> None:
    """No prompt is both trained on and measured on; a tenth at most is set aside."""
    own = load(str(prompts_file(tmp_path / "own", 30, held_out=4)), seed=0, held_out=3)
    split = prompts_file(tmp_path / "split", 30)
    ours, same, other = (load(str(split), seed=seed, held_out=64) for seed in (0, 0, 1))

    assert (len(own.train), len(own.held_out)) == (30, 3)
    assert (len(ours.train), len(ours.held_out)) == (27, 3)
    assert not [p for p in ours.held_out if p in ours.train]
    assert ours.describe() == same.describe() != other.describe()
    assert load(str(split), seed=0, held_out=0).held_out == []


def test_runs_from_before_go_on_with_their_prompts(tmp_path: Path) -> None:
    """Their digest is SHA-256 of the prompts as one JSON list, whatever reads them."""
    file = tmp_path / "prompts.jsonl"
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hé 世界?", "name": "Ann"},
    ]
    rows = [{"prompt": "One?", "answer": "1"}, {"prompt": turns}, {"prompt": "One?"}]
    text = "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    file.write_text("\ufeff" + text + "\n", encoding="utf-8")

    told = load(str(file)).describe()

    assert (told["train"], told["held_out"]) == (3, 0)
    assert told["train_digest"].startswith("8bbff4cfa6f76171170504bcfc6dd398")
    assert told["held_out_digest"].startswith("4f53cda18c2baa0c0354bb5f9a3ecbe5")
