import random

import pytest
import torch

from textgrad_rl.methods.losses import (
    PolicyLoss,
    clipped_surrogate,
    constant_length,
    group_sum,
    sequence_mean,
    shaped,
)
from textgrad_rl.policies.rows import Row, Segment
from textgrad_rl_graphs.errors import ConfigError

GAMMA = 0.1


def gradient(function, *tensors):
    """Gradient of the sum of a loss with respect to its first argument."""
    first = tensors[0].clone().requires_grad_()
    function(first, *tensors[1:]).sum().backward()
    return first.grad


def psi(p):
    return -gradient(lambda lp: shaped(lp, torch.ones_like(lp), GAMMA), torch.log(torch.tensor(p, dtype=torch.float64)))


def test_the_weight_of_a_shaped_token():
    assert psi([0.1]).item() == pytest.approx(0.25)
    assert psi([1.0]).item() == pytest.approx(0.0826, abs=5e-5)
    p = torch.logspace(-6, 0, 500, dtype=torch.float64)
    found = psi(p.tolist())
    assert torch.allclose(found, GAMMA * p / (p + GAMMA) ** 2)
    assert found.max() <= 0.25 + 1e-12


def test_shaping_teaches_more_than_the_plain_term_only_below_the_crossover():
    low, high = 1e-3, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if psi([middle]).item() > middle else (low, middle)
    assert low == pytest.approx(0.2162, abs=5e-5)
    assert psi([0.2]).item() > 0.2
    assert psi([0.23]).item() < 0.23


@pytest.mark.parametrize("advantage", [1.0, -0.7])
def test_the_gradient_with_respect_to_logits_is_a_psi_grad_log_pi(advantage):
    generator = torch.Generator().manual_seed(0)
    logits_TV = torch.randn(5, 7, dtype=torch.float64, generator=generator).requires_grad_()
    tokens_T = torch.tensor([0, 3, 3, 6, 1])
    lp_T = torch.log_softmax(logits_TV, -1)[torch.arange(5), tokens_T]
    shaped(lp_T, torch.full((5,), advantage, dtype=torch.float64), GAMMA).sum().backward()
    pi_TV = torch.softmax(logits_TV.detach(), -1)
    p_T = pi_TV[torch.arange(5), tokens_T]
    grad_log_pi_TV = torch.nn.functional.one_hot(tokens_T, 7) - pi_TV
    expected_TV = advantage * (GAMMA * p_T / (p_T + GAMMA) ** 2)[:, None] * grad_log_pi_TV
    assert torch.allclose(-logits_TV.grad, expected_TV, atol=1e-12)


@pytest.mark.parametrize("clip_refinements", [False, True])
def test_shaped_tokens_do_not_depend_on_the_old_log_probability(clip_refinements):
    loss = PolicyLoss(gamma=GAMMA, clip_refinements=clip_refinements)
    lp_N = torch.log(torch.tensor([0.05, 0.5, 0.9, 0.3]))
    advantage_N, refinement_N = torch.tensor([1.0, -1.0, 1.0, 1.0]), torch.tensor([True, True, True, False])

    def found(lo_N):
        return gradient(lambda lp: loss.token_terms(lp, lo_N, advantage_N, refinement_N), lp_N)

    same, other = found(lp_N), found(lp_N - torch.tensor([0.3, -2.0, 5.0, 0.1]))
    assert torch.equal(same[:3], other[:3])
    assert same[3] != other[3]  # a sample's token does


@pytest.mark.parametrize(
    ("advantage", "rho", "value", "slope"),
    [
        (1.0, 1.0, -1.0, -1.0),
        (1.0, 1.1, -1.1, -1.1),
        (1.0, 1.5, -1.2, 0.0),  # far enough up: no more push
        (1.0, 0.5, -0.5, -0.5),  # below, a good token may come back
        (-1.0, 0.5, 0.8, 0.0),  # far enough down
        (-1.0, 1.5, 1.5, 1.5),  # above, a bad token is pushed down
        (-1.0, 1.0, 1.0, 1.0),
        (0.0, 3.0, 0.0, 0.0),
    ],
)
def test_the_clip_holds_only_in_the_direction_of_the_advantage(advantage, rho, value, slope):
    lp_N, lo_N = torch.log(torch.tensor([rho], dtype=torch.float64)), torch.zeros(1, dtype=torch.float64)
    advantage_N = torch.tensor([advantage], dtype=torch.float64)
    assert clipped_surrogate(lp_N, lo_N, advantage_N, 0.2, 0.2).item() == pytest.approx(value)
    found = gradient(lambda lp: clipped_surrogate(lp, lo_N, advantage_N, 0.2, 0.2), lp_N)
    assert found.item() == pytest.approx(slope)


def test_one_sided_and_absent_clips():
    lp_N, lo_N, ones_N = torch.log(torch.tensor([3.0, 0.1])), torch.zeros(2), torch.ones(2)
    off_N = torch.zeros(2, dtype=torch.bool)

    def terms(sign, **clip):
        return PolicyLoss(**clip).token_terms(lp_N, lo_N, sign * ones_N, off_N).tolist()

    assert terms(1, clip_low=None, clip_high=None) == pytest.approx([-3.0, -0.1])
    assert terms(-1, clip_low=None, clip_high=None) == pytest.approx([3.0, 0.1])
    assert terms(1, clip_low=None, clip_high=0.28) == pytest.approx([-1.28, -0.1])
    assert terms(-1, clip_low=None, clip_high=0.28) == pytest.approx([3.0, 0.1])
    assert terms(-1, clip_low=0.2, clip_high=None) == pytest.approx([3.0, 0.8])


def test_clipped_refinements_lose_the_gradient_of_unlikely_tokens_with_negative_advantage():
    p = torch.tensor([0.01, 0.39, 0.41, 0.99])  # f(0.4) = 0.8 = 1 - 0.2
    refinement_N, lo_N = torch.ones(4, dtype=torch.bool), torch.zeros(4)

    def found(clip, sign):
        loss = PolicyLoss(gamma=GAMMA, clip_refinements=clip)
        return gradient(lambda lp: loss.token_terms(lp, lo_N, sign * torch.ones(4), refinement_N), torch.log(p))

    assert (found(True, -1.0) == 0).tolist() == [True, True, False, False]
    assert not (found(False, -1.0) == 0).any()
    assert torch.allclose(found(True, 1.0), found(False, 1.0))  # positive ones are untouched
    assert torch.allclose(found(True, -1.0)[2:], found(False, -1.0)[2:])


def test_without_gamma_refinements_are_trained_as_samples():
    lp_N, lo_N, advantage_N = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -1.0]), torch.tensor([1.0, -1.0])
    refinement_N = torch.tensor([True, False])
    terms_N = PolicyLoss().token_terms(lp_N, lo_N, advantage_N, refinement_N)
    assert torch.equal(terms_N, clipped_surrogate(lp_N, lo_N, advantage_N, 0.2, 0.2))
    assert not torch.equal(PolicyLoss(gamma=GAMMA).token_terms(lp_N, lo_N, advantage_N, refinement_N), terms_N)


def row(length, group="g", kind="sample", weight=1.0):
    return Row(
        context=Segment((1,)), output_ids=(2,) * length, logprobs=(-1.0,) * length, advantage=1.0, reward=1.0,
        group=group, kind=kind, weight=weight,
    )  # fmt: skip


def masses(weights, rows):
    """What each row weighs: the weight of a token times the number of tokens."""
    return [weight * len(item.output_ids) for weight, item in zip(weights, rows, strict=True)]


def test_sequence_mean_gives_every_sequence_the_same_say_whatever_its_length():
    rows = [row(1), row(10), row(100)]
    assert masses(sequence_mean(rows), rows) == pytest.approx([1 / 3] * 3)


def test_constant_length_gives_every_token_the_same_say():
    rows = [row(1), row(10), row(100)]
    assert constant_length(rows, 50) == pytest.approx([1 / 150] * 3)


@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize("k", [1, 2])
def test_group_sum_weighs_the_refinements_as_much_as_all_samples(n, k):
    rows = [row(5) for _ in range(n)] + [row(2, kind="refinement") for _ in range(k)]
    weights = group_sum(rows)
    assert sum(weights[:n]) == pytest.approx(1.0)
    assert sum(weights[n:]) == pytest.approx(1.0)
    assert len(set(weights[:n])) == 1  # no length in it


def test_group_sum_weighs_every_group_alike():
    rows = [row(1, "a")] * 2 + [row(1, "b")] * 6
    weights = group_sum(rows)
    assert sum(weights[:2]) == pytest.approx(0.5)
    assert sum(weights[2:]) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["sequence_mean", "group_sum", "constant_length"])
def test_a_loop_of_five_calls_weighs_as_much_as_one_call(name):
    loss = PolicyLoss(aggregation=name, length=8 if name == "constant_length" else None)
    loop, single = [row(8, "a", weight=1 / 5) for _ in range(5)], [row(8, "b")]
    weights = loss.row_weights([*loop, *single])
    assert sum(weights[:5]) == pytest.approx(weights[5])
    plain = loss.row_weights([row(8, "a"), row(8, "b")])
    assert weights[5] == pytest.approx(plain[1])  # and does not thin out the others


def test_one_refinement_weighs_as_much_as_all_samples_in_a_loop_and_beside_other_nodes_too():
    rows = [row(3, weight=1 / 5) for _ in range(15)] + [row(3, kind="refinement")]
    weights = group_sum(rows)
    assert sum(weights[:15]) == pytest.approx(weights[15])
    nodes = [row(3, f"g/{node}", weight=0.5) for node in "ab" for _ in range(4)] + [row(3, "g/a", kind="refinement")]
    weights = group_sum(nodes)
    assert sum(weights[:4]) == pytest.approx(weights[8])


@pytest.mark.parametrize("name", ["sequence_mean", "group_sum", "constant_length"])
def test_the_order_of_the_rows_does_not_matter(name):
    draw = random.Random(0)
    rows = [
        row(draw.randint(1, 9), draw.choice("abc"), draw.choice(["sample", "refinement"]), 1 / draw.randint(1, 7))
        for _ in range(40)
    ]
    loss = PolicyLoss(aggregation=name, length=9 if name == "constant_length" else None)
    weights = dict(zip(map(id, rows), loss.row_weights(rows), strict=True))
    for _ in range(3):
        draw.shuffle(rows)
        assert dict(zip(map(id, rows), loss.row_weights(rows), strict=True)) == weights  # to the last bit


def test_settings_that_cannot_be_computed_are_rejected():
    for wrong in (
        {"aggregation": "mean"},
        {"aggregation": "constant_length"},
        {"length": 5},
        {"gamma": 0.0},
        {"gamma": -1.0},
    ):
        with pytest.raises(ConfigError):
            PolicyLoss(**wrong)
