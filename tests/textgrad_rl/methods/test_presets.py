import pytest

import textgrad_rl as tgr
from textgrad_rl.methods.method import WeightMethod
from textgrad_rl.methods.presets import preset
from textgrad_rl_graphs.errors import UnknownNameError


def test_the_paper():
    settings = preset("critique-grpo/paper")
    assert settings["samples"] == 7
    assert settings["refine"] == tgr.Refine(trigger="zero_correct", keep=1, select="correct_first", replace=False)
    method = settings["weights"]
    assert (method.scale, method.loss.gamma, method.loss.aggregation) == ("none", 0.1, "group_sum")
    assert (method.loss.clip_low, method.loss.clip_high, method.loss.clip_refinements) == (0.2, 0.2, True)
    assert method.optimizer.learning_rate == 1e-6


def test_the_released_code():
    settings = preset("critique-grpo/released")
    assert settings["refine"] == tgr.Refine(trigger="all", keep=1, select="correct_or_first", replace=True)
    method = settings["weights"]
    assert (method.scale, method.loss.clip_low, method.loss.clip_high) == ("std", None, None)
    assert (method.loss.aggregation, method.loss.length) == ("constant_length", 8192)


def test_grpo():
    settings = preset("grpo")
    assert settings["refine"] is None
    assert settings["weights"] == tgr.GRPO()
    assert (tgr.GRPO().scale, tgr.GRPO().loss.aggregation, tgr.GRPO().loss.gamma) == ("std", "sequence_mean", None)


@pytest.mark.parametrize("name", ["grpo", "critique-grpo/paper", "critique-grpo/released"])
def test_every_preset_holds_the_same_settings_and_a_method(name):
    settings = preset(name)
    assert sorted(settings) == ["refine", "samples", "weights"]
    assert isinstance(settings["weights"], WeightMethod)


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'critique-grpo/paper'\? Known: critique-grpo/paper, "):
        preset("critique-grpo/papers")


def test_the_settings_of_a_method_reach_its_loss_and_its_optimizer():
    method = tgr.CritiqueGRPO(learning_rate=0.5, gamma=0.2, clip_low=0.1, clip_high=0.3, max_grad_norm=2.0)
    assert (method.loss.gamma, method.loss.clip_low, method.loss.clip_high) == (0.2, 0.1, 0.3)
    assert (method.optimizer.learning_rate, method.optimizer.max_grad_norm) == (0.5, 2.0)
    plain = tgr.GRPO(learning_rate=0.5, clip_high=None, aggregation="constant_length", length=4, max_grad_norm=3.0)
    assert (plain.loss.clip_high, plain.loss.length) == (None, 4)
    assert (plain.optimizer.learning_rate, plain.optimizer.max_grad_norm) == (0.5, 3.0)
