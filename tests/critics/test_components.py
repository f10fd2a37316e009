from textgrad_rl_critics import Verifier
from textgrad_rl_critics.components import components_of, names_of
from textgrad_rl_graphs.feedback import Feedback


def test_a_part_without_a_score_lends_its_name_to_no_other():
    parts = [Verifier(name="a"), Verifier(name="a")]
    faulty = Feedback(score=None, fault="critic", components={"x": 1.0})
    found = components_of(names_of(parts), [faulty, Feedback(score=0.5, components={"x": 2.0})])
    assert found == {"a.x": 1.0, "a'": 0.5, "a'.x": 2.0}
