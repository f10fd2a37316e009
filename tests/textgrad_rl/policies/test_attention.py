from typing import Any

import pytest
import torch

from textgrad_rl.policies.attention import make_grid, use_attention
from textgrad_rl.policies.decode import prefill, step


@pytest.mark.parametrize("counts", [[1], [3, 3, 3], [1, 1, 7], [9, 1, 1, 1], [2, 5, 1], [200] + [1] * 56])
def test_every_row_has_a_cell_of_its_own_on_a_line_of_its_prompt(counts: list[int]) -> None:
    prompt = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    grid = make_grid(prompt)
    assert len(set(zip(grid.line_B.tolist(), grid.column_B.tolist(), strict=True))) == len(prompt)
    assert grid.prompt_L[grid.line_B].equal(prompt)
    assert grid.lines <= 2 * len(counts)
    assert grid.lines * grid.columns <= 2 * len(prompt) + len(counts)
    rows = torch.randn(2, len(prompt), 3)
    assert grid.collect(grid.spread(rows)).equal(rows)


@pytest.mark.parametrize("counts", [[2, 2, 2], [1, 4, 2]])
def test_a_step_is_the_next_position_of_the_plain_forward_pass(new_model: Any, counts: list[int]) -> None:
    model = new_model()
    generator = torch.Generator().manual_seed(0)
    prompts = [tuple(torch.randint(0, 256, (length,), generator=generator).tolist()) for length in (5, 9, 2)]
    prompt_B = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    rows = len(prompt_B)
    sequences = [list(prompts[prompt]) for prompt in prompt_B.tolist()]
    plain = new_model()
    use_attention(model)

    def expected(sequence: list[int]) -> Any:
        return plain(input_ids=torch.tensor([sequence])).logits[0, -1]

    with torch.inference_mode():
        logits, key_values = prefill(model, prompts, prompt_B)
        for prompt, found in zip(prompts, logits, strict=True):
            torch.testing.assert_close(found, expected(list(prompt)), atol=1e-4, rtol=1e-4)
        active = list(range(rows))
        for turn in range(40):  # the room for sampled tokens grows once
            token = torch.randint(0, 256, (len(active),), generator=generator)
            position = torch.tensor([len(sequences[row]) for row in active])
            for row, id_ in zip(active, token.tolist(), strict=True):
                sequences[row].append(id_)
            logits = step(model, token, position, key_values)
            for row, found in list(zip(active, logits, strict=True))[turn % 2 :: 2]:
                torch.testing.assert_close(found, expected(sequences[row]), atol=1e-4, rtol=1e-4)
            if turn in (3, 34, 36):
                key_values.keep(torch.tensor([place for place in range(len(active)) if place != 1]))
                active.pop(1)


def test_other_uses_of_the_model_do_not_change(new_model: Any) -> None:
    model, plain = new_model(), new_model()
    use_attention(model)
    ids = torch.randint(0, 256, (2, 7), generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1] * 7])  # left padding, as generate needs it
    found, expected = (m(input_ids=ids, attention_mask=mask).logits[mask.bool()] for m in (model, plain))
    torch.testing.assert_close(found, expected)
