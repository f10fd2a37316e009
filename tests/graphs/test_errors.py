import pytest

from textgrad_rl_graphs import errors
from textgrad_rl_graphs.errors import MissingPackageError, ModelError, TextGradRLError, UnknownNameError

TREE = [thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, TextGradRLError)]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_ours_and_a_standard_one(kind: type[TextGradRLError]) -> None:
    standard = {base for base in kind.__mro__ if base.__module__ == "builtins"} - {
        kind,
        Exception,
        BaseException,
        object,
    }
    assert kind is TextGradRLError or standard


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert errors.__doc__ is not None
    for kind in TREE:
        assert f"{kind.__name__} " in errors.__doc__ or kind is TextGradRLError
        for base in kind.__bases__:
            if base.__module__ == "builtins" and base is not Exception:
                assert f"{kind.__name__} ({base.__name__})" in errors.__doc__


def test_an_unknown_name_suggests_the_nearest_and_lists_all() -> None:
    error = UnknownNameError("critic", "verifyer", ["semantic", "verifier"], "See the docs.")
    assert str(error) == "unknown critic 'verifyer'. Did you mean 'verifier'? Known: semantic, verifier. See the docs."
    assert "Did you mean" not in str(UnknownNameError("critic", "zzz", ["verifier"]))
    assert "Known: none." in str(UnknownNameError("critic", "zzz", []))


def test_a_model_error_says_whether_to_try_again() -> None:
    assert not ModelError("no such model").retryable
    assert ModelError("busy", retryable=True).retryable


def test_a_missing_package_names_the_pip_line() -> None:
    assert "pip install 'textgrad-rl[data]'" in str(MissingPackageError("datasets", "loading", "data"))
    assert str(MissingPackageError("matplotlib", "drawing")).endswith("pip install matplotlib")
