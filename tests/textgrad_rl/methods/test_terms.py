"""Every term against its definition, differentiated by autograd in float64, and against numbers worked out by hand."""

import math
from typing import Any

import pytest
import torch

from textgrad_rl.methods.cispo import BoundedWeight
from textgrad_rl.methods.clip import Clip, clipped_surrogate
from textgrad_rl.methods.distillation import Distilled
from textgrad_rl.methods.gspo import SequenceClip
from textgrad_rl.methods.kl import KL, kl_estimate
from textgrad_rl.methods.likelihood import ContextWeighted, LogLikelihood
from textgrad_rl.methods.mismatch import Mismatch
from textgrad_rl.methods.sapo import SoftGate
from textgrad_rl.methods.shaping import Shaped, shaped
from textgrad_rl.methods.tokens import Tokens
from textgrad_rl_graphs.errors import ConfigError

GAMMA = 0.1
ROWS = (0, 0, 0, 1, 1, 2)


def make_tokens(
    lp: Any, *, lo: Any = None, ls: Any = None, lr: Any = None, advantage: Any = 1.0, refinement: Any = False,
    rows: Any = None,
) -> Tokens:  # fmt: skip
    """Tokens with a gradient for ``lp``; what isn't given is ``lp`` itself."""
    lp_N = torch.as_tensor(lp, dtype=torch.float64).clone().requires_grad_()

    def filled(value: Any) -> torch.Tensor:
        return lp_N.detach() if value is None else torch.as_tensor(value, dtype=torch.float64).expand(lp_N.shape)

    return Tokens(
        lp_N=lp_N, lo_N=filled(lo), ls_N=filled(ls), lr_N=filled(lr), advantage_N=filled(advantage),
        refinement_N=torch.as_tensor(refinement).expand(lp_N.shape),
        row_N=torch.arange(len(lp_N)) if rows is None else torch.tensor(rows),
    )  # fmt: skip


def gradient(term: Any, tokens: Tokens) -> torch.Tensor:
    (found,) = torch.autograd.grad(term(tokens).sum(), tokens.lp_N)
    return found


def random_tokens(**changes: Any) -> Tokens:
    draw = torch.Generator().manual_seed(3)
    lp_N, noise_N = -3 * torch.rand(6, generator=draw), torch.randn(6, generator=draw)
    advantage_N = torch.tensor([0.75, 0.75, 0.75, -0.5, -0.5, 1.25])
    given = {"lo": lp_N + 0.3 * noise_N, "advantage": advantage_N, "rows": ROWS}
    return make_tokens(lp_N, **{**given, **changes})


def psi(p: Any) -> torch.Tensor:
    return -gradient(Shaped(gamma=GAMMA), make_tokens(torch.log(torch.tensor(p, dtype=torch.float64))))


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


def test_clipped_shaping_loses_the_gradient_of_unlikely_tokens_with_negative_advantage():
    lp = torch.log(torch.tensor([0.01, 0.39, 0.41, 0.99]))  # f(0.4) = 0.8 = 1 - 0.2
    free, bound = Shaped(gamma=GAMMA), Shaped(gamma=GAMMA, low=0.2, high=0.2)
    bad, good = make_tokens(lp, advantage=-1.0), make_tokens(lp, advantage=1.0)
    assert (gradient(bound, bad) == 0).tolist() == bound.clipped(bad).tolist() == [True, True, False, False]
    assert not (gradient(free, bad) == 0).any()
    assert torch.allclose(gradient(bound, good), gradient(free, good))  # positive ones are untouched
    assert torch.allclose(gradient(bound, bad)[2:], gradient(free, bad)[2:])


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
    tokens = make_tokens([math.log(rho)], lo=0.0, advantage=advantage)
    assert Clip()(tokens).item() == pytest.approx(value)
    assert gradient(Clip(), tokens).item() == pytest.approx(slope)
    assert Clip().clipped(tokens).item() == (slope == 0 and advantage != 0)


def test_one_sided_and_absent_clips():
    def terms(sign, **clip):
        return Clip(**clip)(make_tokens([math.log(3.0), math.log(0.1)], lo=0.0, advantage=sign)).tolist()

    assert terms(1.0, low=None, high=None) == pytest.approx([-3.0, -0.1])
    assert terms(-1.0, low=None, high=None) == pytest.approx([3.0, 0.1])
    assert terms(1.0, low=None, high=0.28) == pytest.approx([-1.28, -0.1])
    assert terms(-1.0, low=None, high=0.28) == pytest.approx([3.0, 0.1])
    assert terms(-1.0, low=0.2, high=None) == pytest.approx([3.0, 0.8])


def test_the_dual_clip_bounds_the_loss_of_negative_advantages_alone():
    rho = torch.tensor([2.0, 4.0, 50.0])
    tokens = make_tokens(rho.log(), lo=0.0, advantage=-0.5)
    assert Clip(dual=3.0)(tokens).tolist() == pytest.approx([1.0, 1.5, 1.5])
    assert gradient(Clip(dual=3.0), tokens).tolist() == pytest.approx([1.0, 0.0, 0.0], rel=1e-6)
    assert Clip(dual=3.0).clipped(tokens).tolist() == [False, True, True]
    up = make_tokens(rho.log(), lo=0.0, advantage=0.5)
    assert torch.equal(Clip(dual=3.0)(up), Clip()(up))


def test_gspo_has_one_ratio_per_sequence_whose_gradient_reaches_every_token():
    tokens = random_tokens()
    difference = (tokens.lp_N - tokens.lo_N).detach()
    s = [math.exp(difference[:3].mean()), math.exp(difference[3:5].mean()), math.exp(difference[5])]
    terms = SequenceClip(low=None, high=None)(tokens)
    assert terms.tolist() == pytest.approx([-0.75 * s[0]] * 3 + [0.5 * s[1]] * 2 + [-1.25 * s[2]])
    # A mean over the row's tokens is the term once; its gradient is -s A / length at every token.
    means = torch.stack([terms[:3].mean(), terms[3:5].mean(), terms[5]])
    (found,) = torch.autograd.grad(means.sum(), tokens.lp_N)
    expected = [-0.75 * s[0] / 3] * 3 + [0.5 * s[1] / 2] * 2 + [-1.25 * s[2]]
    assert found.tolist() == pytest.approx(expected)


def test_gspo_clips_whole_sequences():
    # Row 0: log-ratios 0.3 and -0.1, mean 0.1: s = 1.105 > 1.05, although the second token is below 1.
    tokens = make_tokens([0.3, -0.1, 0.02], lo=0.0, advantage=1.0, rows=(0, 0, 1))
    term = SequenceClip(low=0.05, high=0.05)
    assert term(tokens).tolist() == pytest.approx([-1.05, -1.05, -math.exp(0.02)])
    assert (gradient(term, tokens) == 0).tolist() == term.clipped(tokens).tolist() == [True, True, False]


def test_gspo_by_token_is_the_same_where_a_sequence_has_one_advantage_and_each_token_s_own_where_not():
    whole, own = SequenceClip(low=0.9, high=0.9), SequenceClip(low=0.9, high=0.9, tokenwise=True)
    tokens = random_tokens()
    assert own(tokens).tolist() == pytest.approx(whole(tokens).tolist())
    assert gradient(own, tokens).tolist() == pytest.approx(gradient(whole, tokens).tolist())
    mixed = random_tokens(advantage=[1.0, -1.0, 2.0, 1.0, 0.5, 1.0])
    assert torch.allclose(gradient(own, mixed), own(mixed))  # the term -s A has itself for a gradient, unclipped
    assert not torch.isclose(gradient(own, mixed), gradient(whole, mixed))[:5].any()


def test_cispo_bounds_the_weight_and_keeps_the_gradient():
    tokens = make_tokens([math.log(9.0), math.log(0.5)], lo=0.0, advantage=[0.5, -2.0])
    assert gradient(BoundedWeight(most=5.0), tokens).tolist() == pytest.approx([-5.0 * 0.5, 0.5 * 2.0])
    assert BoundedWeight(most=5.0).clipped(tokens).tolist() == [True, False]


def test_sapo_is_the_plain_ratio_at_one_and_fades_on_both_sides():
    at_one = make_tokens([-1.0, -1.0], advantage=[1.0, -1.0])
    assert gradient(SoftGate(), at_one).tolist() == pytest.approx([-1.0, 1.0])
    for advantage, tau in ((2.0, 1.0), (-2.0, 1.05)):
        for rho in (0.2, 1.7, 6.0):
            tokens = make_tokens([math.log(rho)], lo=0.0, advantage=advantage)
            gate = 1 / (1 + math.exp(-tau * (rho - 1)))
            assert SoftGate()(tokens).item() == pytest.approx(-advantage * 4 / tau * gate)
            assert gradient(SoftGate(), tokens).item() == pytest.approx(-advantage * 4 * gate * (1 - gate) * rho)


def test_the_log_likelihood_has_the_advantage_for_a_gradient():
    tokens = random_tokens()
    assert torch.equal(gradient(LogLikelihood(), tokens), -tokens.advantage_N)


def test_a_refinement_that_is_unlikely_without_its_critique_weighs_less():
    tokens = make_tokens([math.log(0.1), math.log(0.9)], ls=[math.log(0.4), math.log(0.1)], advantage=1.0)
    assert gradient(ContextWeighted(most=2.0), tokens).tolist() == pytest.approx([-0.25, -2.0])
    assert ContextWeighted(most=2.0).clipped(tokens).tolist() == [False, True]


def test_the_teacher_gives_every_token_an_advantage_of_its_own():
    tokens = make_tokens([-1.0, -2.0, -0.5], lr=[-0.5, -4.0, -0.5], advantage=0.0)
    assert gradient(Distilled(), tokens).tolist() == pytest.approx([-0.5, 2.0, 0.0])


def test_distillation_has_the_expected_gradient_of_the_divergence():
    draw = torch.Generator().manual_seed(1)
    logits_V = torch.randn(6, generator=draw, dtype=torch.float64).requires_grad_()
    teacher_V = torch.randn(6, generator=draw, dtype=torch.float64).log_softmax(-1)
    lp_V = logits_V.log_softmax(-1)
    (exact,) = torch.autograd.grad((lp_V.exp() * (lp_V - teacher_V)).sum(), logits_V, retain_graph=True)
    given = {name: lp_V.detach() for name in ("lo_N", "ls_N", "advantage_N")}
    flags_V, row_V = torch.zeros(6, dtype=torch.bool), torch.arange(6)
    terms_V = Distilled()(Tokens(lp_N=lp_V, lr_N=teacher_V, refinement_N=flags_V, row_N=row_V, **given))
    (found,) = torch.autograd.grad((lp_V.detach().exp() * terms_V).sum(), logits_V)
    assert torch.allclose(found, exact, atol=1e-12)


def test_kl_estimates_and_their_expected_gradients():
    draw = torch.Generator().manual_seed(2)
    logits_V = torch.randn(6, generator=draw, dtype=torch.float64).requires_grad_()
    lr_V = torch.randn(6, generator=draw, dtype=torch.float64).log_softmax(-1)
    lp_V = logits_V.log_softmax(-1)
    p_V = lp_V.detach().exp()
    reverse, forward = (lp_V.exp() * (lp_V - lr_V)).sum(), (lr_V.exp() * (lr_V - lp_V)).sum()
    for name in ("k1", "k3"):  # both are unbiased
        assert (p_V * kl_estimate(lp_V, lr_V, name)).sum().item() == pytest.approx(reverse.item())
    assert (kl_estimate(lp_V, lr_V, "k3") >= 0).all()
    for name, divergence in (("k1", 0 * reverse), ("k2", reverse), ("k3", forward)):
        (found,) = torch.autograd.grad((p_V * kl_estimate(lp_V, lr_V, name)).sum(), logits_V, retain_graph=True)
        (exact,) = torch.autograd.grad(divergence, logits_V, retain_graph=True)
        assert torch.allclose(found, exact, atol=1e-12), name


def test_mismatch_weights_truncate_tokens_and_drop_sequences():
    # Ratios of the rows: (1, 4), geometric mean 2; (0.1, 0.1), mean 0.1; a refinement, whatever its ratio.
    ratio = torch.tensor([1.0, 4.0, 0.1, 0.1, 9.0], dtype=torch.float64)
    refinement = torch.tensor([False] * 4 + [True])
    tokens = make_tokens(torch.zeros(5), ls=-ratio.log(), refinement=refinement, rows=(0, 0, 1, 1, 2))
    mismatch = Mismatch(most=2.0, lowest=0.5, highest=2.5)
    assert mismatch.weight(tokens).tolist() == pytest.approx([1.0, 2.0, 0.0, 0.0, 1.0])
    assert mismatch.dropped(tokens).tolist() == [False, False, True, True, False]
    assert mismatch.truncated(tokens).tolist() == [False, True, False, False, False]
    assert not mismatch.weight(tokens).requires_grad


def test_a_surrogate_of_ratios_takes_any_shape():
    assert clipped_surrogate(torch.tensor([[2.0]]), torch.tensor([[1.0]]), 0.2, 0.2).tolist() == [[pytest.approx(-1.2)]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Clip(low=-0.1),
        lambda: Clip(dual=1.0),
        lambda: SequenceClip(high=-1.0),
        lambda: BoundedWeight(most=0.0),
        lambda: SoftGate(positive=0.0),
        lambda: Shaped(gamma=0.0),
        lambda: Shaped(low=-1.0),
        lambda: ContextWeighted(most=0.0),
        lambda: KL(coefficient=0.0),
        lambda: KL(coefficient=0.1, estimator="k4"),
        lambda: Mismatch(most=0.5),
        lambda: Mismatch(lowest=1.5),
    ],
)
def test_numbers_that_cannot_train_are_rejected(wrong):
    with pytest.raises(ConfigError):
        wrong()
