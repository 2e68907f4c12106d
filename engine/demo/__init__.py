"""The demo: a self-made toy model, its prompts and the rubric it is judged by."""

from pathlib import Path

MODEL = Path(__file__).parent / "model"
PROMPTS = Path(__file__).parent / "prompts"
RUBRIC = "Prefer the answer that is more polite and helpful."
