"""The demo's tokenizer: byte-level BPE, learned from the corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from onlinedpo.engine.demo.corpus import draw_answer, draw_question
from onlinedpo.engine.demo.corpus_data import HOSTILE, RUBRICS, SLOTS
from onlinedpo.engine.demo.pairs import draw_pair
from onlinedpo.engine.judges import prompt as judge_prompt

VOCABULARY = 1024
PAD, TURN, EOS = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
MAX_POSITIONS = 512

CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def make_tokenizer(folder: Path, seed: int) -> Any:
    """Learn the tokenizer, save it in the Hugging Face layout and load it again."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, TURN, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(Random(seed)), trainer)
    wrapping: Any = PreTrainedTokenizerFast
    wrapped = wrapping(
        tokenizer_object=bpe,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=MAX_POSITIONS,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(str(folder))
    return CachedTokenizer(AutoTokenizer.from_pretrained(str(folder)))


class CachedTokenizer:
    """A tokenizer that remembers what it encoded: the judge's frame never changes."""

    def __init__(self, inner: Any) -> None:
        """Wrap a loaded tokenizer."""
        self.inner = inner
        self.frame: tuple[int, int] | None = None
        """For who measures the judge's frame: see `training`."""
        self._encoded: dict[str, list[int]] = {}
        self._rendered: dict[str, str] = {}
        self._added = inner.get_added_vocab()

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Token ids of the text."""
        if text not in self._encoded:
            if len(self._encoded) > 20_000:
                self._encoded.clear()
            self._encoded[text] = self.inner.encode(text, add_special_tokens=False)
        return self._encoded[text]

    def decode(self, tokens: list[int]) -> str:
        """The text of token ids."""
        return str(self.inner.decode(tokens))

    def get_added_vocab(self) -> dict[str, int]:
        """The control tokens."""
        return dict(self._added)

    def apply_chat_template(self, messages: list[dict[str, str]], **how: Any) -> str:
        """The messages as the model reads them."""
        key = repr((messages, sorted(how.items())))
        if key not in self._rendered:
            if len(self._rendered) > 5_000:
                self._rendered.clear()
            self._rendered[key] = self.inner.apply_chat_template(messages, **how)
        return self._rendered[key]

    def chat(self, user: str) -> list[int]:
        """Token ids of one user message and the start of its answer."""
        rendered = self.apply_chat_template(
            [{"role": "user", "content": user}],
            tokenize=False,
            add_generation_prompt=True,
        )
        return self.encode(rendered)


class _Text:
    """Stands in for a tokenizer where only the text of a judge's prompt is wanted."""

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return []

    def get_added_vocab(self) -> dict[str, int]:
        return {}

    def apply_chat_template(self, messages: list[dict[str, str]], **how: Any) -> str:
        return "".join(f"{m['role']}\n{m['content']}\n" for m in messages)


def _texts(rng: Random) -> Iterator[str]:
    for _ in range(20_000):
        question = draw_question(rng)
        yield question.text
        yield str(draw_answer(rng, question))
    for _ in range(3_000):
        pair = draw_pair(rng)
        yield judge_prompt.build(
            _Text(), pair.rubric, pair.question, pair.better, pair.worse
        ).text
        yield "assistant\n"
    # One token for each subject: a copy is then one step, not several.
    for names in SLOTS.values():
        yield from [" ".join(["the", *names])] * 3_000
    for rubrics in RUBRICS.values():
        for rubric in rubrics:
            yield from [rubric] * 300
    for hostile in HOSTILE:
        yield from [hostile] * 20
