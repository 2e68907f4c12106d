"""Chat templates: the tokenizer's own, a given one, or none; and what is thought."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onlinedpo.engine.judges.comparison import Comparison
from onlinedpo.engine.models import chat
from onlinedpo.engine.models.chat import encode, must_render, without_thinking
from onlinedpo.engine.sampler import Request, Sampler
from onlinedpo.states.errors import SettingsChanged, UsageError
from tests.engine.kit import tokenizer_of, trainer
from tests.engine.runs import Listener, go_on, opened, records, sampled
from tests.engine.test_prompts import adding_bos
from tests.toys import BOS, CHATML, prompts_file, toy_model

QUESTION = ({"role": "user", "content": "Why?"},)
TALK = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Why?"},
)
ASKED = Comparison(0, QUESTION, "yes", "no")
NO_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
THINKS = (
    CHATML + "{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}"
)


def drop_template(folder: Path) -> Path:
    """Leave a toy's tokenizer without its chat template."""
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text())
    del config["chat_template"]
    file.write_text(json.dumps(config))
    return folder


def thinker(folder: Path, template: str = THINKS) -> Path:
    """A toy with tokens for the begin and the end of its thoughts."""
    file = toy_model(folder, template=template) / "tokenizer.json"
    told = json.loads(file.read_text())
    vocabulary = told["model"]["vocab"]
    for symbol, word in (("Ā", "<think>"), ("ā", "</think>")):
        vocabulary[word] = vocabulary.pop(symbol)
        added = {"id": vocabulary[word], "content": word}
        told["added_tokens"].append({**told["added_tokens"][0], **added})
    file.write_text(json.dumps(told))
    return folder


# -- no template -----------------------------------------------------------------


def test_without_a_template_a_prompt_is_plain_text(tmp_path: Path) -> None:
    """The contents, each followed by an empty line; the roles are not written."""
    tokenizer = tokenizer_of(drop_template(toy_model(tmp_path / "toy")))

    assert tokenizer.decode(encode(tokenizer, TALK)) == "Be brief.\n\nWhy?\n\n"


def test_plain_text_begins_with_the_bos_that_the_tokenizer_puts_there(
    tmp_path: Path,
) -> None:
    """Once, as the model was trained; and none where the tokenizer puts none."""
    adding_bos(tmp_path / "bos", CHATML)
    with_bos = tokenizer_of(drop_template(tmp_path / "bos"))
    silent = tokenizer_of(drop_template(toy_model(tmp_path / "silent")))

    assert encode(with_bos, QUESTION).count(BOS) == 1
    assert encode(with_bos, QUESTION)[0] == BOS
    assert BOS not in encode(silent, QUESTION)


def test_a_run_without_a_template_says_so_once_and_trains(
    data: Path, tmp_path: Path
) -> None:
    """Also of a judge that is a model of its own; both are asked in plain text."""
    model = drop_template(toy_model(tmp_path / "model"))
    judge = drop_template(toy_model(tmp_path / "judge", opinionated=True))
    watch = Listener()
    with opened(
        tmp_path / "run", watch, model=str(model), judge=str(judge), data=str(data)
    ) as run:
        assert run.judge
        (verdict, _) = run.judge.judge([ASKED])[0]

    told = [line for line in watch.lines if "no chat template" in line]
    assert len(told) == 2
    assert str(model) in told[0]
    assert str(judge) in told[1]
    assert "<|im_start|>" not in verdict.prompt
    go_on(tmp_path / "run", iters=1)


# -- a given template ------------------------------------------------------------


def test_a_template_can_be_given_as_text_or_as_a_file(
    toy: Path, tmp_path: Path
) -> None:
    """It takes the place of the tokenizer's own, for what shares the base too."""
    given = "{% for m in messages %}[{{ m['content'] }}]{% endfor %}"
    (tmp_path / "mine.jinja").write_text(given)

    for wanted in (given, str(tmp_path / "mine.jinja")):
        assert chat.template_of(wanted) == given
    assert chat.template_of(None) is None
    with pytest.raises(UsageError, match=r"nowhere\.jinja.*No such file"):
        chat.template_of("nowhere.jinja")


def test_a_run_is_asked_by_the_given_template_and_holds_to_it(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """A file may move, and may not change: its text is what the run began with."""
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    go_on(tmp_path / "run", **parts, chat_template=str(file), iters=1)
    moved = file.rename(tmp_path / "moved.jinja")
    go_on(tmp_path / "run", chat_template=str(moved), iters=2)
    with opened(tmp_path / "run") as run:
        decode = run.policy.tokenizer.decode
        asked = [decode(pair.prompt_tokens) for pair in sampled(tmp_path / "run")]

    assert all(text.startswith("[Question ") for text in asked)
    moved.write_text("{{ messages[0]['content'] }}")
    with pytest.raises(SettingsChanged, match=r"model changed .*template"):
        go_on(tmp_path / "run", iters=3)


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{% for m in messages %}", "cannot write a conversation of user"),
        ("{{ nothing.there }}", "cannot write a conversation of user"),
        ("{{ raise_exception('no, never') }}", "no, never"),
        ("{{ '' }}", "writes nothing"),
    ],
)
def test_a_template_that_cannot_write_a_prompt_is_refused(
    template: str, told: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    """At the start, with the model's name, and nothing is written."""
    with (
        pytest.raises(UsageError, match=told) as caught,
        opened(tmp_path / "run", **parts, chat_template=template),
    ):
        pass
    assert parts["model"] in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_prompts_that_the_template_refuses_are_named_by_their_roles(
    tmp_path: Path,
) -> None:
    """Some know no system role; each order of roles is tried before a run begins."""
    tokenizer = tokenizer_of(toy_model(tmp_path / "toy", template=NO_SYSTEM))

    must_render(tokenizer, "toy", [QUESTION])
    with pytest.raises(UsageError, match="system, user: System role not supp") as e:
        must_render(tokenizer, "toy", [QUESTION, TALK])
    assert "--chat-template" in e.value.hint


def test_a_judge_without_a_system_role_reads_the_rubric_all_the_same(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """It opens the user's turn; the judge is of another family, with its own words."""
    judge = toy_model(tmp_path / "judge", opinionated=True, template="<s>" + NO_SYSTEM)
    with opened(
        tmp_path / "run", **{**parts, "judge": str(judge)}, judge_system="Be kind."
    ) as run:
        assert run.judge
        (verdict, _) = run.judge.judge([ASKED])[0]

    assert verdict.prompt.startswith("<s><|im_start|>user\nBe kind.")
    assert list(verdict.prompt_tokens).count(BOS) == 1


# -- thinking --------------------------------------------------------------------


def test_a_policy_thinks_only_if_it_is_told_to(tmp_path: Path) -> None:
    """Off, the template closes the thoughts before they begin; on, it does not."""
    model = thinker(tmp_path / "toy")

    for thinking in (False, True):
        policy = trainer(model, enable_thinking=thinking).policy
        asked = policy.tokenizer.decode(policy.encode(QUESTION))
        assert asked.endswith("</think>\n\n") is not thinking


@pytest.mark.parametrize(
    ("prompt", "text", "answer"),
    [
        ("", "no thoughts", "no thoughts"),
        ("", "<think>Hm.</think>\n\nYes.", "Yes."),
        ("", "<think>Hm, <b>.\n</think>Yes.<think>Or?</think> No.", "Yes.No."),
        ("", "<think>Hm, and then", ""),
        ("", "stray </think> end", "stray </think> end"),
        ("<think>\n", "Hm.\n</think>\n\nYes.", "Yes."),
        ("<think>\n", "Hm, and so on", ""),
        ("<think>\n\n</think>\n\n", "Yes.", "Yes."),
    ],
)
def test_what_is_judged_is_the_answer_without_the_thoughts(
    prompt: str, text: str, answer: str, tmp_path: Path
) -> None:
    """A block that never ended has no answer; the prompt may have opened one."""
    tokenizer = tokenizer_of(thinker(tmp_path / "toy"))
    tokens = tokenizer.encode("<|im_start|>assistant\n" + prompt)

    assert without_thinking(tokenizer, tokens, text) == answer


def test_thoughts_are_trained_on_and_not_shown(tmp_path: Path) -> None:
    """The tokens are all there; the text that judges and people see is the answer."""
    opens = CHATML + "{% if add_generation_prompt %}<think>{% endif %}"
    model = thinker(tmp_path / "toy", opens)
    policy = trainer(model, enable_thinking=True).policy
    settings = trainer(model, max_completion_length=60, temperature=1.0).settings
    prompt = policy.encode(QUESTION)
    requests = [Request(prompt, list(range(30)))]

    (drawn,) = Sampler(policy.model, policy.tokenizer, settings).sample(requests)

    answers = set()
    for completion in drawn:
        tokens = list(completion.tokens)
        words = tokens[:-1] if completion.finish == "stop" else tokens
        whole = policy.tokenizer.decode(words)
        if "<think>" not in whole:
            _, _, answer = whole.partition("</think>")
            assert completion.text == answer.lstrip()
            answers.add(bool(completion.text))
    assert answers == {True, False}


# -- ends ------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["config.json", "generation_config.json"])
def test_every_id_that_ends_a_turn_ends_a_completion(
    where: str, tmp_path: Path
) -> None:
    """Those of the config or of generation_config.json, and the tokenizer's own."""
    model = toy_model(tmp_path / "toy")
    ends = list(range(20, 120))
    file = model / where
    told = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**told, "eos_token_id": ends}))
    data = str(prompts_file(tmp_path / "data", 6))
    parts = {"model": str(model), "judge": str(model), "data": data, "iters": 1}
    go_on(tmp_path / "run", **parts, max_completion_length=40, batch_size=6)

    for pair in sampled(tmp_path / "run"):
        for completion in (pair.first, pair.second):
            stops = [t in {2, *ends} for t in completion.tokens]
            assert not any(stops[:-1])
            assert stops[-1] == (completion.finish == "stop")
    drawn = [c for p in sampled(tmp_path / "run") for c in (p.first, p.second)]
    assert len({c.tokens[-1] for c in drawn} & {*ends}) > 1

    file.write_text(json.dumps({**told, "eos_token_id": ends[:50]}))
    with pytest.raises(SettingsChanged, match="model changed"):
        go_on(tmp_path / "run", iters=2)
    assert records(tmp_path / "run")
