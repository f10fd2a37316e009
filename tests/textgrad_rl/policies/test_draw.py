import numpy as np
import pytest
import torch

from textgrad_rl.policies.draw import draw, uniforms


def ones(count: int) -> torch.Tensor:
    return torch.ones(count)


def test_uniforms_are_a_function_of_seed_and_position() -> None:
    seeds = [3, 2**63 - 1, 0, -1, 2**70 + 3]
    numbers = uniforms(seeds, 5)
    assert numbers.tolist() == [uniforms([seed], 5)[0] for seed in seeds]
    assert numbers[0] == numbers[4]  # the lowest 64 bits count
    assert len(set(numbers[:4])) == 4


def test_uniforms_are_uniform_and_uncorrelated_along_seeds_and_positions() -> None:
    grid = np.stack([uniforms(range(1000), position) for position in range(20)])
    assert grid.min() >= 0
    assert grid.max() < 1
    counts = np.histogram(grid, bins=20, range=(0, 1))[0]
    assert abs(counts - 1000).max() < 5 * 1000**0.5
    for a, b in ((grid[1:], grid[:-1]), (grid[:, 1:], grid[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03


def test_tokens_come_as_often_as_they_should() -> None:
    p = torch.tensor([0.05, 0.6, 0.0, 0.25, 0.1])
    rows = 20_000
    logits = p.log().expand(rows, -1)
    token, lp = draw(logits, ones(rows), ones(rows), torch.from_numpy(uniforms(range(rows), 0)))
    share = torch.bincount(token, minlength=5) / rows
    assert share.tolist() == pytest.approx(p.tolist(), abs=0.012)
    assert lp.exp().tolist() == pytest.approx(p[token].tolist(), abs=1e-6)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_log_probabilities_are_those_of_the_tempered_distribution(temperature: float) -> None:
    logits = torch.randn(50, 30, generator=torch.Generator().manual_seed(0))
    token, lp = draw(logits, ones(50) * temperature, ones(50), torch.from_numpy(uniforms(range(50), 1)))
    expected = (logits / temperature).log_softmax(-1)[torch.arange(50), token]
    torch.testing.assert_close(lp, expected)


def test_greedy_takes_the_likeliest_with_certainty() -> None:
    logits = torch.randn(8, 30, generator=torch.Generator().manual_seed(0))
    temperature = torch.tensor([0.0, 1.0] * 4)
    token, lp = draw(logits, temperature, ones(8), torch.from_numpy(uniforms(range(8), 1)))
    assert token[::2].tolist() == logits[::2].argmax(-1).tolist()
    assert lp[::2].tolist() == [0.0] * 4
    assert (lp[1::2] < 0).all()


def test_the_nucleus_is_the_smallest_set_with_the_mass() -> None:
    p = torch.tensor([0.1, 0.5, 0.05, 0.35])
    rows = 2000
    uniform = torch.from_numpy(uniforms(range(rows), 0))
    for top_p, kept in ((0.4, {1}), (0.5, {1}), (0.51, {1, 3}), (0.9, {0, 1, 3}), (1e-9, {1})):
        token, lp = draw(p.log().expand(rows, -1), ones(rows), ones(rows) * top_p, uniform)
        assert set(token.tolist()) == kept
        expected = p[token] / p[list(kept)].sum()
        torch.testing.assert_close(lp.exp(), expected, atol=1e-5, rtol=0)


def test_top_k_keeps_the_likeliest_before_the_nucleus_is_taken() -> None:
    p = torch.tensor([0.1, 0.5, 0.05, 0.35])
    uniform = torch.from_numpy(uniforms(range(2000), 0))
    for top_k, top_p, kept in ((1, 1.0, {1}), (2, 1.0, {1, 3}), (9, 1.0, {0, 1, 2, 3}), (2, 0.55, {1})):
        logits, top = p.log().expand(2000, -1), torch.full((2000,), top_k)
        token, lp = draw(logits, ones(2000), ones(2000) * top_p, uniform, top)
        assert set(token.tolist()) == kept
        torch.testing.assert_close(lp.exp(), p[token] / p[list(kept)].sum(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2.0**-53])
def test_no_uniform_draws_a_token_of_probability_zero(uniform: float) -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 1.0, -torch.inf]])
    token, lp = draw(logits, ones(1), ones(1), torch.tensor([uniform], dtype=torch.float64))
    assert token.item() in (1, 3)
    assert lp.isfinite().all()


def test_broken_logits_do_not_pass_for_a_sample() -> None:
    _, lp = draw(torch.full((2, 4), torch.nan), torch.tensor([0.0, 1.0]), ones(2), torch.zeros(2, dtype=torch.float64))
    assert not lp.isfinite().any()
