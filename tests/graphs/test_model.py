from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.model import Model


def test_a_model_is_whatever_has_its_members() -> None:
    assert isinstance(ScriptedModel(echo), Model)
    assert not isinstance(object(), Model)
    assert not isinstance(echo, Model)
