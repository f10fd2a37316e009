import pytest

from textgrad_rl.models import FunctionModel
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Completion, Message, Request, Usage

REQUEST = Request(messages=(Message("system", "be brief"), Message("user", "one two three")), seed=5, role="critique")


async def test_a_text_becomes_a_completion_that_counts_words() -> None:
    answer = await FunctionModel(lambda request: f"seed {request.seed}", name="double").complete(REQUEST)
    assert answer == Completion(text="seed 5", usage=Usage(5, 2, calls=1), model="double")


async def test_functions_may_be_async_and_answer_in_full() -> None:
    full = Completion(text="x", finish_reason="length", output_ids=(1, 2))

    async def function(request: Request) -> Completion:
        assert request is REQUEST
        return full

    assert await FunctionModel(function).complete(REQUEST) is full


async def test_what_the_function_raises_reaches_the_caller() -> None:
    def function(request: Request) -> str:
        raise ModelError("down", retryable=True)

    with pytest.raises(ModelError, match="down") as caught:
        await FunctionModel(function).complete(REQUEST)
    assert caught.value.retryable


def test_it_is_a_frozen_model() -> None:
    model = FunctionModel(lambda request: "", dialect="json")
    assert isinstance(model, Model)
    assert (model.dialect, model.trainable, model.weight_version) == ("json", False, 0)
