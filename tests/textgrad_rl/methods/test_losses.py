import math
from dataclasses import replace

import pytest
import torch

from textgrad_rl.methods.clip import Clip
from textgrad_rl.methods.distillation import Distilled
from textgrad_rl.methods.kl import KL, kl_estimate
from textgrad_rl.methods.likelihood import LogLikelihood
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.mismatch import Mismatch
from textgrad_rl.methods.shaping import Shaped
from textgrad_rl.methods.tokens import tokens_of
from textgrad_rl.policies.rows import Row, Segment
from textgrad_rl_graphs.errors import ConfigError


def row(*logprobs, advantage=1.0, kind="sample", reference=()):
    return Row(
        context=Segment((1,)), output_ids=(2,) * len(logprobs), logprobs=logprobs, advantage=advantage, reward=1.0,
        group="g", kind=kind, reference_logprobs=reference,
    )  # fmt: skip


ROWS = [row(-1.0, -2.0), row(-0.5, advantage=-0.5), row(-3.0, -0.1, -1.0, kind="refinement")]
LP = torch.tensor([-1.1, -1.9, -0.5, -2.0, -0.2, -0.9], dtype=torch.float64)


def gradient(loss, rows=ROWS, lp=LP, old=None):
    lp_N = lp.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss.token_terms(tokens_of(rows, lp_N, old)).sum(), lp_N)
    return found


def test_tokens_know_their_row():
    tokens = tokens_of(ROWS, LP)
    assert tokens.row_N.tolist() == [0, 0, 1, 2, 2, 2]
    assert tokens.advantage_N.tolist() == [1.0, 1.0, -0.5, 1.0, 1.0, 1.0]
    assert tokens.refinement_N.tolist() == [False] * 3 + [True] * 3
    assert tokens.ls_N.tolist() == [-1.0, -2.0, -0.5, -3.0, -0.1, -1.0]
    assert tokens.lo_N.equal(LP)
    assert tokens.lr_N.equal(LP)
    assert tokens.row_mean(LP).tolist() == pytest.approx([-1.5, -1.5, -0.5] + [-3.1 / 3] * 3)


def test_what_a_row_does_not_know_is_the_policy_s_own():
    rows = [replace(ROWS[0], logprobs=(), reference_logprobs=(-7.0, -8.0)), ROWS[1]]
    tokens = tokens_of(rows, LP[:3], [[-4.0, -5.0], [-6.0]])
    assert tokens.lo_N.tolist() == [-4.0, -5.0, -6.0]
    assert tokens.ls_N.tolist() == [-4.0, -5.0, -0.5]
    assert tokens.lr_N.tolist() == [-7.0, -8.0, -6.0]


@pytest.mark.parametrize("shape", [Shaped(), Shaped(low=0.2, high=0.2)])
def test_shaped_tokens_do_not_depend_on_the_old_log_probability(shape):
    loss = PolicyLoss(refinement=shape)
    same = gradient(loss)
    other = gradient(loss, old=[[-0.7, -3.0], [-0.5], [-9.0, -1.0, 0.0]])
    assert torch.equal(same[3:], other[3:])
    assert not torch.isclose(same[:2], other[:2]).any()  # a sample's tokens do


def test_refinements_have_a_term_of_their_own_or_are_samples():
    tokens = tokens_of(ROWS, LP, [[-1.5, -1.0], [-0.4], [-1.0, -1.0, -1.0]])
    clip, shape = Clip()(tokens), Shaped()(tokens)
    assert PolicyLoss().token_terms(tokens).equal(clip)
    mixed = PolicyLoss(refinement=Shaped()).token_terms(tokens)
    assert mixed.equal(torch.cat([clip[:3], shape[3:]]))
    assert not mixed.equal(clip)


def test_the_mismatch_weight_is_outside_of_the_term_and_spares_refinements():
    loss = PolicyLoss(term=LogLikelihood(), refinement=Shaped(), mismatch=Mismatch())
    plain = gradient(PolicyLoss(term=LogLikelihood(), refinement=Shaped()))
    weights = [math.exp(-0.1), math.exp(0.1), 1.0, 1.0, 1.0, 1.0]
    assert gradient(loss).tolist() == pytest.approx([w * g for w, g in zip(weights, plain.tolist(), strict=True)])


def test_the_mismatch_weight_is_left_to_the_policy_until_it_is_set():
    assert PolicyLoss().mismatch == "auto"
    assert gradient(PolicyLoss()).equal(gradient(PolicyLoss(mismatch=None)))
    assert PolicyLoss(term=LogLikelihood()).for_other_sampler() == PolicyLoss(term=LogLikelihood(), mismatch=Mismatch())
    for chosen in (None, Mismatch(most=3.0)):
        assert PolicyLoss(mismatch=chosen).for_other_sampler() == PolicyLoss(mismatch=chosen)


def test_the_entropy_has_a_mean_of_its_own_over_the_tokens_of_all_rows():
    rows = [*ROWS, replace(ROWS[0], advantage=0.0, weight=0.5)]
    for loss in (PolicyLoss(entropy=0.1), PolicyLoss(entropy=0.1, aggregation="constant_length", length=8192)):
        assert loss.entropy_weights(rows) == pytest.approx([0.1 / 7] * 3 + [0.05 / 7])
    assert PolicyLoss().entropy_weights(rows) == [0.0] * 4
    assert PolicyLoss(entropy=0.1).row_weights(rows) == PolicyLoss().row_weights(rows)


def test_the_kl_term_is_added_to_every_token():
    rows = [replace(item, reference_logprobs=tuple(lp - 0.3 for lp in item.logprobs)) for item in ROWS]
    tokens = tokens_of(rows, LP)
    found = PolicyLoss(kl=KL(coefficient=0.1)).token_terms(tokens) - PolicyLoss().token_terms(tokens)
    assert torch.allclose(found, 0.1 * kl_estimate(LP, tokens.lr_N, "k3"))


def test_rows_that_can_teach_nothing_weigh_nothing_but_count():
    rows = [*ROWS[:2], replace(ROWS[0], advantage=0.0)]
    assert PolicyLoss().row_weights(rows) == pytest.approx([1 / 6, 1 / 3, 0.0])
    taught = replace(rows[2], reference_logprobs=(-1.0, -1.0))
    weights = PolicyLoss(term=Distilled()).row_weights([*rows[:2], taught])
    assert weights == pytest.approx([0.0, 0.0, 1 / 6])  # the teacher's word counts, not the score
    with_kl = PolicyLoss(kl=KL(coefficient=0.1)).row_weights([taught] * 2)
    assert with_kl == pytest.approx([1 / 4, 1 / 4])


def test_marks_name_what_was_clipped_truncated_and_dropped():
    tokens = tokens_of(ROWS, LP, [[-1.1, -3.0], [-0.5], [-2.0, -0.2, -0.9]])
    marks = PolicyLoss(refinement=Shaped(), mismatch=Mismatch(lowest=0.95)).marks(tokens)
    assert sorted(marks) == ["clipped", "dropped", "truncated"]
    assert marks["clipped"].tolist() == [False, True, False, False, False, False]
    assert marks["dropped"].tolist() == [True, True, False, False, False, False]  # exp(mean(-0.1, -1.0)) = 0.58
    assert not marks["truncated"].any()
    assert list(PolicyLoss().marks(tokens)) == ["clipped"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"aggregation": "mean"},
        {"aggregation": "constant_length"},
        {"length": 5},
        {"refinement": Distilled()},
        {"term": Distilled(), "kl": KL(coefficient=0.1)},
        {"term": Distilled(), "refinement": Shaped()},
        {"mismatch": "on"},
        {"entropy": 0.0},
        {"entropy": -0.1},
        {"entropy": math.nan},
        {"entropy": math.inf},
    ],
)
def test_parts_that_do_not_fit_together_are_rejected(wrong):
    with pytest.raises(ConfigError):
        PolicyLoss(**wrong)


def test_a_loss_says_whose_log_probabilities_it_needs():
    assert PolicyLoss().reference is None
    assert PolicyLoss(kl=KL(coefficient=0.1)).reference == "frozen"
    assert PolicyLoss(term=Distilled()).reference == "critique"
