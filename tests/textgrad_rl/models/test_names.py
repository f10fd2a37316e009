import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from textgrad_rl.models import LiteLLM, OpenAICompatible, load_model
from textgrad_rl.models.names import parse_name
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "scheme", "rest"),
    [
        ("hf:Org/Name", "hf", "Org/Name"),
        ("vllm:Org/Name", "vllm", "Org/Name"),
        ("litellm:provider/model", "litellm", "provider/model"),
        ("http://host:8000/v1#model", "http", "//host:8000/v1#model"),
        ("https://host/v1#model", "https", "//host/v1#model"),
        ("./folder", "folder", str(Path.cwd() / "folder")),
        ("~/folder", "folder", str(Path.home() / "folder")),
        ("/some/folder", "folder", "/some/folder"),
    ],
)
def test_every_form_is_read(name: str, scheme: str, rest: str) -> None:
    assert parse_name(name) == (scheme, rest)


def test_pocket_is_a_folder_of_this_package() -> None:
    folder = importlib.import_module("textgrad_rl.pocket").folder()
    assert parse_name("pocket") == ("folder", str(folder))


def test_a_folder_that_exists_needs_no_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert parse_name("mine") == ("folder", str(tmp_path / "mine"))


@pytest.mark.parametrize("name", ["Qwen/Qwen3-0.6B", "gpt-5-mini"])
def test_a_bare_name_is_an_error_that_lists_its_readings(name: str) -> None:
    with pytest.raises(ConfigError, match="several ways") as caught:
        load_model(name)
    readings = [f"./{name}", f"http://host:8000/v1#{name}"]
    readings += [f"hf:{name}", f"vllm:{name}", f"litellm:{name}"] if "/" in name else [f"litellm:openai/{name}"]
    for reading in readings:
        assert reading in str(caught.value)
        parse_name(reading)


@pytest.mark.parametrize(("name", "hint"), [("poket", "'pocket'"), ("hff:Org/Name", "'hf'"), ("lite:a/b", "litellm")])
def test_an_unknown_name_lists_those_there_are(name: str, hint: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(hint)):
        load_model(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hf:", "names no model"),
        ("http://host:8000/v1", "lacks the model: write http://host:8000/v1#model"),
        ("litellm:gpt-5-mini", "litellm:openai/gpt-5-mini"),
        ("./no-such-folder", "no config.json"),
        ("hf:no-org/no-such-model", "cannot load the model"),
    ],
)
def test_names_that_cannot_be_loaded_say_why(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_model(name)


@pytest.mark.parametrize(
    ("name", "option", "near"),
    [
        ("http://host/v1#model", "timeout", "timeout_s"),
        ("litellm:openai/x", "max_concurency", "max_concurrency"),
        ("./folder", "devise", "device"),
        ("vllm:Org/Name", "max_rows", "max_batch_rows"),
    ],
)
def test_an_unknown_option_lists_the_backends_own(name: str, option: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"Did you mean '{near}'") as caught:
        load_model(name, **{option: 1})
    assert "Options: " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind"), [("http://host:8000/v1#a/b", OpenAICompatible), ("litellm:openai/gpt-5-mini", LiteLLM)]
)
def test_a_model_is_named_by_the_name_that_loads_it(name: str, kind: type) -> None:
    model = load_model(name, dialect="plain")
    assert isinstance(model, kind)
    assert (model.name, model.dialect) == (name, "plain")


async def test_a_folder_is_loaded(tmp_path: Path, new_model: Any, tokenizer: Any) -> None:
    new_model().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = load_model(str(tmp_path), device="cpu", max_batch_rows=2)
    assert (model.name, model.dialect, model.trainable) == (str(tmp_path), "plain", False)
