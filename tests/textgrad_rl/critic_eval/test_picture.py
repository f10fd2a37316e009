import pytest

from tests.support.evaluations import eleven_critics, evaluation
from textgrad_rl.critic_eval.picture import plot_critics
from textgrad_rl_graphs.errors import DataError
from textgrad_rl_graphs.types import Usage


@pytest.fixture
def drawn(tmp_path):
    """The texts of a picture, in order, and how many critics are drawn as filled and as hollow points."""

    def drawn(evaluations):
        plot_critics(evaluations, tmp_path / "critics.svg")
        svg = (tmp_path / "critics.svg").read_text("utf-8")
        return [part.partition(" -->")[0] for part in svg.split("<!-- ")[1:]]

    return drawn


def test_eleven_critics_are_all_named(drawn):
    eleven = eleven_critics()
    texts = drawn(eleven)
    assert {name: texts.count(name) for name in eleven} == {
        # Two measures over processor time, and over tokens those that ask a model; three have no verdicts.
        "verifier": 2, "math-verify": 2, "indicative": 2, "semantic-similarity": 1, "semantic": 2, "reward-model": 1,
        "rank": 2, "chain-of-thought": 4, "cascade": 4, "majority": 4, "generative-reward": 4,
    }  # fmt: skip
    assert texts.count("no model asked: 1.00 at best") == 2
    assert "tokens per sample, read and generated" in texts
    assert "0.5" in " ".join(text for text in texts if "chance" in text)


def test_where_dollars_are_paid_they_are_the_cost(drawn):
    texts = drawn({"free": evaluation(auroc=0.9), "paid": evaluation(usage=Usage(900, 100, 1, usd=0.5))})
    assert "US dollars per sample" in texts
    assert "nothing paid: 0.90" in texts
    assert not any("tokens" in text for text in texts)


def test_local_critics_need_no_second_panel(drawn):
    texts = drawn({"one": evaluation(), "other": evaluation(accuracy=None)})
    assert not any("tokens" in text or "dollars" in text for text in texts)
    assert (texts.count("one"), texts.count("other")) == (2, 1)


def test_a_single_critic_and_one_too_fast_to_measure(drawn):
    assert "only" in drawn({"only": evaluation(accuracy=None)})
    assert "no time measured: 0.50" in drawn({"fast": evaluation(cpu_seconds_per_sample=0.0)})


@pytest.mark.parametrize("evaluations", [{}, {"silent": evaluation(accuracy=None, auroc=None)}])
def test_nothing_to_draw(evaluations, tmp_path):
    with pytest.raises(DataError, match="nothing to draw"):
        plot_critics(evaluations, tmp_path / "none.png")
