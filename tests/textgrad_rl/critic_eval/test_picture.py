import pytest

from tests.support.scripted import ScriptedCritic
from textgrad_rl.critic_eval.evaluate import aevaluate_critic
from textgrad_rl.critic_eval.picture import plot_critics
from textgrad_rl_critics import Verifier
from textgrad_rl_graphs.errors import DataError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.types import Usage


async def test_critics_with_and_without_verdicts_and_costs(samples, tmp_path):
    dear = ScriptedCritic(lambda case: Feedback(score=float(len(case.text)), usage=Usage(900, 100, 1)))
    results = {name: await aevaluate_critic(critic, samples) for name, critic in (("free", Verifier()), ("dear", dear))}
    assert results["dear"].accuracy is None
    plot_critics(results, tmp_path / "critics.svg")
    drawn = (tmp_path / "critics.svg").read_text("utf-8")
    assert "<!-- free -->" in drawn
    assert "<!-- dear -->" in drawn
    assert drawn.count("<!-- 0 -->") > 0  # the place of critics that cost nothing


def test_nothing_to_draw(tmp_path):
    with pytest.raises(DataError, match="nothing to draw"):
        plot_critics({}, tmp_path / "none.png")
