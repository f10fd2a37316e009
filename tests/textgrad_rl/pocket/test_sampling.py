"""Batched sampling: answers in the order of the requests, padding without effect."""

from typing import Any

import pytest

from textgrad_rl.pocket import folder, texts
from textgrad_rl.pocket.sampling import chat, sample


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(folder()), AutoTokenizer.from_pretrained(folder())


def test_batches_change_nothing_and_keep_order(loaded: tuple[Any, Any]) -> None:
    requests = [
        (texts.IMPROVE, texts.improve_input(prompt, ["Tell the solver: Carry the tens."]))
        for prompt in (
            "Solve step by step. Write neatly. Keep it short. Stay calm.",
            "Solve step by step.",
            "Work it out.",
        )
    ]
    together = sample(*loaded, requests, temperature=0.0, max_tokens=48)
    alone = [sample(*loaded, [request], temperature=0.0, max_tokens=48)[0] for request in requests]
    assert together == alone
    assert together[1].startswith("Solve step by step.")
    assert "Write neatly" in together[0]


def test_an_empty_system_message_is_left_out() -> None:
    assert chat("", "U") == [{"role": "user", "content": "U"}]
    assert [message["role"] for message in chat("S", "U")] == ["system", "user"]
