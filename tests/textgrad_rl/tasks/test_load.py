import inspect

import pytest

from textgrad_rl import tasks
from textgrad_rl.tasks.gsm8k import load_gsm8k
from textgrad_rl.tasks.hugging_face import load_hugging_face
from textgrad_rl.tasks.jsonl import load_jsonl
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize("name", ["gsm9k", "", "hf:", "reasoning_gym:", "data.csv", "pocket"])
def test_an_unknown_name_lists_the_forms(name: str) -> None:
    with pytest.raises(UnknownNameError, match=r"Known: gsm8k, hf:org/name, path/to/file\.jsonl, reasoning_gym:"):
        tasks.load(name)


def test_a_near_name_is_guessed() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'gsm8k'"):
        tasks.load("gsm8")


@pytest.mark.parametrize("name", ["gsm8k", "hf:org/name", "a.jsonl"])
def test_an_unknown_option_is_refused_before_anything_is_read(name: str) -> None:
    with pytest.raises(ConfigError, match=r"takes no option 'nonsense'; it takes .*fractions"):
        tasks.load(name, nonsense=1)


def test_tables_take_the_same_columns_wherever_they_come_from() -> None:
    def options(loader: object) -> dict[str, object]:
        parameters = inspect.signature(loader).parameters.values()  # type: ignore[arg-type]
        return {item.name: item.default for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY}

    assert options(load_jsonl).items() <= options(load_hugging_face).items()
    assert set(options(load_gsm8k)) == {"path", "fractions"}
