"""A step repeated from a tape: as in a CUDA graph, what Python computed while it was recorded stays as it was."""

from functools import partial
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from textgrad_rl.policies import step_graph
from textgrad_rl.policies.attention import use_attention
from textgrad_rl.policies.decode import Continuation, decode
from textgrad_rl.policies.step_graph import Compute, GraphStep, can_capture
from textgrad_rl_graphs.types import Sampling

READ_BACK = ("_local_scalar_dense", "nonzero", "equal", "masked_select", "unique", "repeat_interleave")


class Recorder(TorchDispatchMode):
    """Writes down every kernel with the tensors that it reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert not any(name in str(func) for name in READ_BACK), f"{func} depends on data: a GPU could not record it"
        result = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, result))
        return result


class Tape:
    """Stands for ``capture``; counts recordings and repetitions."""

    def __init__(self) -> None:
        self.recorded = self.repeated = 0

    def __call__(self, compute: Compute) -> Compute:
        self.recorded += 1
        with Recorder() as recorder:
            recorded = compute()

        def launch() -> Any:
            self.repeated += 1
            for func, args, kwargs, result in recorder.calls:
                read = {x.untyped_storage().data_ptr() for x in tensors((args, kwargs))}
                for old, new in zip(tensors(result), tensors(func(*args, **kwargs)), strict=True):
                    if old.untyped_storage().data_ptr() not in read:  # else it is a view, or written in place
                        old.copy_(new)
            return recorded

        return launch


def tensors(tree: Any) -> list[Any]:
    return [x for x in tree_leaves(tree) if isinstance(x, torch.Tensor)]


@pytest.fixture
def model(new_model: Any) -> Any:
    model = new_model()
    use_attention(model)
    return model


def run(model: Any) -> list[Any]:
    """Two groups of unlike size, whose samples end after 2 to 70 tokens."""
    limits = [(2, 70), (3, 5, 9, 40, 41, 70, 70)]
    rows = [
        Continuation(prompt, Sampling(max_tokens=limit, top_p=0.9 if limit == 70 else 1.0), seed)
        for prompt, group in zip([(1, 2, 3), (4, 5, 6, 7, 8)], limits, strict=True)
        for seed, limit in enumerate(group)
    ]
    return decode(model, rows, eos_ids=set(), to_text=str, max_positions=192, max_batch_rows=256)


def test_a_repeated_step_is_the_step_itself(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(model)
    tape = Tape()
    monkeypatch.setattr(step_graph, "can_capture", lambda _: True)
    monkeypatch.setattr(step_graph, "GraphStep", partial(GraphStep, capture=tape))
    for found, other in zip(run(model), expected, strict=True):
        assert found.output_ids == other.output_ids
        assert found.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    assert tape.repeated == 69, "one per token but the first"
    assert tape.recorded <= 5, "at first, when half of the rows have left, twice, and when the room doubles, twice"


def test_on_the_cpu_nothing_is_captured(model: Any) -> None:
    assert not can_capture(model)
