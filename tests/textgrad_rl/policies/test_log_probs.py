from dataclasses import replace
from typing import Any

import pytest
import torch

from textgrad_rl.policies import Row, Segment
from textgrad_rl.policies import log_probs as module
from textgrad_rl.policies.log_probs import log_probs, micro_batches
from textgrad_rl_graphs.errors import ModelError


def row(context: tuple[int, ...], output: tuple[int, ...], source: str = "t/c") -> Row:
    return Row(
        context=Segment(context[2:], Segment(context[:2])),
        output_ids=output,
        logprobs=(0.0,) * len(output),
        advantage=1.0,
        reward=1.0,
        group="g",
        source=source,
    )


ROWS = [row((1, 2, 3), (4, 5, 258)), row((6,), (7,)), row((8, 9, 10, 11, 12), (13, 14, 15, 16))]


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_they_are_those_of_a_plain_forward_pass(new_model: Any, temperature: float) -> None:
    model = new_model()
    lp, entropy = log_probs(model, [replace(one, temperature=temperature) for one in ROWS])
    expected_lp, expected_entropy = [], []
    for one in ROWS:
        context = one.context.tokens()
        logits = model(input_ids=torch.tensor([context + one.output_ids])).logits[0]
        all_lp = (logits / temperature).log_softmax(-1)[len(context) - 1 : -1]
        expected_lp.append(all_lp.gather(1, torch.tensor(one.output_ids)[:, None])[:, 0])
        expected_entropy.append(-(all_lp.exp() * all_lp).sum(-1))
    torch.testing.assert_close(lp, torch.cat(expected_lp), atol=1e-5, rtol=0)
    torch.testing.assert_close(entropy, torch.cat(expected_entropy).detach(), atol=1e-4, rtol=0)
    assert lp.requires_grad
    assert not entropy.requires_grad


def test_a_large_vocabulary_is_computed_in_pieces_with_the_same_gradient(
    new_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for pieces in (1 << 26, 3 * 259):
        monkeypatch.setattr(module, "_LOGITS", pieces)
        model = new_model().double()
        lp, entropy = log_probs(model, ROWS)
        (lp * torch.arange(len(lp))).sum().backward()
        found.append([lp, entropy, *(p.grad for p in model.parameters())])
    for whole, cut in zip(*found, strict=True):
        torch.testing.assert_close(cut, whole)


def test_a_row_without_context_is_refused(new_model: Any) -> None:
    with pytest.raises(ModelError, match="'trace/call' has no context"):
        log_probs(new_model(), [row((), (1,), "trace/call")])


@pytest.mark.parametrize("max_tokens", [1, 7, 12, 1000])
def test_micro_batches_hold_every_row_once_within_the_bound(max_tokens: int) -> None:
    rows = [row((1,) * (1 + place % 5), (2,) * (1 + place % 3)) for place in range(20)]
    batches = list(micro_batches(rows, max_tokens))
    assert sorted(index for batch in batches for index in batch) == list(range(20))
    for batch in batches:
        lengths = [len(rows[index].context.tokens()) + len(rows[index].output_ids) - 1 for index in batch]
        assert max(lengths) * len(batch) <= max_tokens or len(batch) == 1
    assert list(micro_batches([], max_tokens)) == []
