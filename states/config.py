"""The settings of a run: one frozen dataclass is their only source.

Names are mlx-lm's and mlx-lm-lora's.  The command-line flags, the YAML keys, the
defaults, the help texts and the checks are all derived from the fields below.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_type_hints

from onlinedpo.states.checks import adapter, check, typed

DEFAULT_RUBRIC = (
    "You are a careful judge of answers. Prefer the answer that is more correct, more"
    " helpful and clearer. Do not prefer an answer because it is longer, or because it"
    " is shown first."
)

PEOPLE = ("human", "file")
"""Judges that answer through the labels folder; in a run the two are the same."""


def _setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    resumable: bool = False,
) -> Any:
    """A field with its help, its range, and whether a resumed run may change it."""
    limits = {"low": low, "high": high, "choices": choices, "resumable": resumable}
    if isinstance(default, dict):
        return field(
            default_factory=lambda: dict(default), metadata={"help": help, **limits}
        )
    return field(default=default, metadata={"help": help, **limits})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that decides what a run does."""

    model: str = _setting("", "Policy: a local path or a Hub id.", resumable=True)
    data: str = _setting(
        "",
        "Prompts: a JSONL file with 'prompt' in each line, or a folder with"
        " train.jsonl and valid.jsonl.",
        resumable=True,
    )
    seed: int = _setting(0, "Decides every random choice.", low=0, high=2**63 - 1)
    iters: int = _setting(100, "DPO steps to take.", low=1, resumable=True)
    batch_size: int = _setting(4, "Prompts sampled at a time.", low=1)
    grad_accumulation_steps: int = _setting(
        1, "Batches sampled and judged for one step.", low=1
    )
    micro_batch_size: int | None = _setting(
        None, "Pairs in one forward and backward pass; default: batch_size.", low=1
    )

    fine_tune_type: str = _setting(
        "lora", "What is trained.", choices=("lora", "dora", "full")
    )
    num_layers: int = _setting(
        -1, "Layers to train, counted from the last; -1: all.", low=-1
    )
    lora_parameters: dict[str, Any] = _setting(
        {"rank": 8, "dropout": 0.0, "scale": 10.0},
        "Adapter shape: rank, dropout, scale, and optionally keys.",
    )
    grad_checkpoint: bool = _setting(
        False, "Recompute activations in the backward pass to save memory."
    )

    learning_rate: float = _setting(1e-5, "Learning rate.", low=0.0)
    lr_schedule: dict[str, Any] | None = _setting(
        None,
        "Schedule as mlx-lm takes it: name, arguments, warmup, warmup_init; replaces"
        " learning_rate.",
    )
    optimizer: str = _setting(
        "adam",
        "Optimizer.",
        choices=("adam", "adamw", "muon", "sgd", "adafactor"),
    )
    optimizer_config: dict[str, Any] = _setting(
        {}, "Arguments for the optimizer, under its name."
    )
    max_grad_norm: float | None = _setting(
        1.0, "Gradients are clipped to this global norm; null: no clipping.", low=1e-6
    )

    beta: float = _setting(0.1, "Strength of the pull to the reference.", low=1e-6)
    dpo_cpo_loss_type: str = _setting(
        "sigmoid",
        "Loss. ipo takes log-probabilities per token, ipo_sum summed.",
        choices=("sigmoid", "hinge", "ipo", "ipo_sum", "dpop"),
    )
    delta: float = _setting(50.0, "Penalty weight of dpop.", low=0.0)

    max_completion_length: int = _setting(512, "Tokens in a completion at most.", low=1)
    max_seq_length: int = _setting(
        2048, "Tokens in prompt and completion at most; longer prompts drop out.", low=2
    )
    temperature: float = _setting(0.8, "Sampling temperature.", low=0.0)
    top_p: float = _setting(1.0, "Nucleus sampling; 1: off.", low=0.0, high=1.0)
    top_k: int = _setting(0, "Sample from the k likeliest tokens; 0: off.", low=0)
    min_p: float = _setting(0.0, "Drop tokens below this share.", low=0.0, high=1.0)

    judge: str = _setting(
        "Qwen/Qwen3-0.6B",
        "Who judges: a model, by local path or Hub id (the policy's own base is"
        " shared), or human: people, or file: another program, by files in RUN/labels.",
        resumable=True,
    )
    judge_system: str = _setting(DEFAULT_RUBRIC, "The rubric that the judge is given.")
    judge_orders: int = _setting(
        2, "Ask in both orders (2) or in one drawn by the seed (1).", choices=(1, 2)
    )

    escalate_below: float | None = _setting(
        None,
        "Send pairs to people on which the judge fails, contradicts itself, sees a tie,"
        " or is less sure than this; null: none.",
        low=0.5,
        high=1.0,
        resumable=True,
    )
    human_share: float = _setting(
        0.0,
        "Share of pairs, at random, sent to people as well: their labels measure the"
        " judge.",
        low=0.0,
        high=1.0,
        resumable=True,
    )
    label_budget: int | None = _setting(
        None,
        "Answers to ask of people in all; null: any.",
        low=0,
        resumable=True,
    )
    max_waiting: int | None = _setting(
        None,
        "Pairs that may wait for people while the run goes on with others, or those of"
        " one step if they are more; null: of one step if people judge all, else of"
        " eight.",
        low=1,
        resumable=True,
    )
    max_staleness: int | None = _setting(
        None, "Steps that a pair may wait for people; null: any.", low=0, resumable=True
    )
    when_stale: str = _setting(
        "drop",
        "What becomes of a pair that waited longer: drop it, requeue its prompt for"
        " fresh completions, or keep it.",
        choices=("drop", "requeue", "keep"),
        resumable=True,
    )
    late_labels: str = _setting(
        "record",
        "A person's label on a pair that has been trained on: record it, or requeue"
        " the pair to be trained on as corrected.",
        choices=("record", "requeue"),
        resumable=True,
    )
    overlap: float = _setting(
        0.0,
        "Share of the pairs sent to people that two of them label.",
        low=0.0,
        high=1.0,
        resumable=True,
    )
    resolve: str = _setting(
        "first",
        "Where people differ: the first label stands, the majority, or a third person"
        " adjudicates.",
        choices=("first", "majority", "adjudicate"),
        resumable=True,
    )
    annotator: str | None = _setting(
        None,
        "Name for labels that bear none; null: the owner of the saved file.",
        resumable=True,
    )

    steps_per_report: int = _setting(
        10, "Steps between two printed lines.", low=1, resumable=True
    )
    steps_per_eval: int = _setting(
        200, "Steps between two held-out win rates.", low=1, resumable=True
    )
    val_prompts: int = _setting(
        64, "Held-out prompts that the win rate is taken on; 0: none.", low=0
    )
    save_every: int | None = _setting(
        None,
        "Steps between two checkpoints; null: every step, spaced out where one would"
        " cost more than 2 % of the time.",
        low=1,
        resumable=True,
    )
    adapter_path: str | None = _setting(
        None, "Where the adapter goes; null: RUN/adapters.", resumable=True
    )

    def __post_init__(self) -> None:
        """Check every value; raises `UsageError` naming the setting."""
        hints = get_type_hints(type(self))
        for f in fields(self):
            value = typed(f.name, getattr(self, f.name), hints[f.name])
            object.__setattr__(self, f.name, value)
            check(f.name, value, f.metadata)
        if self.fine_tune_type != "full":
            object.__setattr__(self, "lora_parameters", adapter(self.lora_parameters))

    @property
    def pairs_per_step(self) -> int:
        """How many prompts are sampled for one step."""
        return self.batch_size * self.grad_accumulation_steps

    @property
    def people_judge(self) -> bool:
        """Whether people judge every pair."""
        return self.judge in PEOPLE

    @property
    def asks_people(self) -> bool:
        """Whether any pair may be sent to people."""
        return (
            self.people_judge or self.escalate_below is not None or self.human_share > 0
        )

    @property
    def may_wait(self) -> int:
        """How many pairs may wait for people."""
        return self.max_waiting or self.pairs_per_step * (1 if self.people_judge else 8)

    def as_dict(self) -> dict[str, Any]:
        """All settings, as YAML and the journal keep them."""
        return asdict(self)
