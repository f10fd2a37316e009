"""What a listener hears, from a tiny model whose tokens are bytes: most of its characters come in halves."""

import asyncio
from functools import reduce
from operator import add
from typing import Any

import pytest

from textgrad_rl.models import FunctionModel, TransformersModel
from textgrad_rl.models.streaming import Delta, heard, settled
from textgrad_rl_graphs.types import Completion, Message, Request, Sampling


def ask(seed: int, **sampling: Any) -> Request:
    messages = (Message("user", "question"),)
    return Request(messages=messages, seed=seed, sampling=Sampling(**{"max_tokens": 40, **sampling}))


async def listen(model: Any, request: Request, to: str = "tiny") -> tuple[Completion, list[Delta]]:
    deltas: list[Delta] = []
    with heard(to, deltas.append):
        return await model.complete(request), deltas


@pytest.fixture(params=[True, False], ids=["inline", "in a thread"])
def model(request: Any, new_model: Any, tokenizer: Any) -> TransformersModel:
    return TransformersModel(new_model(), tokenizer, name="tiny", deterministic=request.param, max_batch_rows=5)


@pytest.mark.parametrize(
    ("text", "stop", "rest"),
    [
        ("so 4", [], ""),
        ("so 4\N{REPLACEMENT CHARACTER}", [], "\N{REPLACEMENT CHARACTER}"),
        ("\N{REPLACEMENT CHARACTER}so", [], ""),
        ("so 4 EN", ["END", "4"], "4 EN"),
        ("so 4 E", ["END", " E?"], " E"),
        ("aaaa", ["aaab"], "aaa"),
        ("so END. E", ["END"], "END. E"),
        ("E", ["END"], "E"),
        ("", ["END"], ""),
    ],
)
def test_what_may_still_change_is_held_back(text: str, stop: list[str], rest: str) -> None:
    assert settled(text, stop) + rest == text


async def test_deltas_join_to_the_answer_and_leave_it_as_it_is(model: TransformersModel) -> None:
    requests = [ask(seed) for seed in range(6)]
    listened = await asyncio.gather(*(listen(model, request) for request in requests))
    unheard = await asyncio.gather(*(model.complete(request) for request in requests))
    assert [completion for completion, _ in listened] == unheard
    texts = [completion.text for completion in unheard]
    assert sum(not text.isascii() and "\N{REPLACEMENT CHARACTER}" in text for text in texts) > 3
    for completion, deltas in listened:
        whole = reduce(add, deltas)
        assert (whole.output_ids, whole.logprobs) == (completion.output_ids, completion.logprobs)
        assert completion.text.startswith(whole.text)
        assert completion.text[len(whole.text) :].strip("\N{REPLACEMENT CHARACTER}") == ""
        assert len(deltas) == len(completion.output_ids)


async def test_no_part_of_a_stop_string_is_heard(model: TransformersModel) -> None:
    whole = await model.complete(ask(3))
    stop = whole.text[20:23]
    completion, deltas = await listen(model, ask(3, stop=(stop, "never there")))
    assert stop not in completion.text
    assert completion.finish_reason == "stop"
    heard_text = reduce(add, deltas).text
    assert heard_text
    assert completion.text.startswith(heard_text)


async def test_batch_mates_are_not_heard(model: TransformersModel) -> None:
    mates = [asyncio.create_task(model.complete(ask(seed))) for seed in (1, 2)]
    completion, deltas = await listen(model, ask(3))
    assert reduce(add, deltas).output_ids == completion.output_ids
    assert [mate.output_ids for mate in await asyncio.gather(*mates)] == [
        (await model.complete(ask(seed))).output_ids for seed in (1, 2)
    ]


async def test_a_model_that_another_one_asks_is_not_heard(model: TransformersModel) -> None:
    async def shout(request: Request) -> str:
        return (await model.complete(request)).text.upper()

    _, deltas = await listen(FunctionModel(shout), ask(1), to="function")
    assert deltas == []


async def test_a_policy_is_heard(new_policy: Any) -> None:
    completion, deltas = await listen(new_policy(), ask(1))
    assert reduce(add, deltas).output_ids == completion.output_ids
