"""The embedded language model: about 0.85 million parameters, trained from scratch by `textgrad_rl.pocket.train`.

A test bed and tutorial: it solves arithmetic with systematic misconceptions that a directive in its prompt or an update
of its weights can cure, and it plays critic, refiner, writer of prompt feedback and of prompts as well.

Left out: loading the model; any code that loads a transformers folder loads `folder()`.
"""

from pathlib import Path

__all__ = ["folder"]


def folder() -> Path:
    """Folder of the shipped weights, tokenizer and model card."""
    return Path(__file__).parent / "weights"
