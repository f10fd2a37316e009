"""Keys leave a process in the request they are for, and nowhere else."""

import gc
import json
import logging
import traceback
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.openai_server import Reply, serve
from textgrad_rl.models import load_model
from textgrad_rl_graphs.errors import ConfigError, ModelError
from textgrad_rl_graphs.journal import FileJournal
from textgrad_rl_graphs.session import Session, ask
from textgrad_rl_graphs.types import Message, Request

SECRET = "plain-hidden-word-0123456789"


@dataclass
class Way:
    """One way to hand over a key: the name and options of a model at an address."""

    name: str
    options: dict[str, Any]
    sent: str


def way(kind: str, url: str) -> Way:
    place = url.removeprefix("http://")
    basic = b64encode(f"me:{SECRET}".encode()).decode()
    return {
        "openai_compatible": Way(f"{url}#gpt-4o-mini", {"api_key": SECRET}, f"Bearer {SECRET}"),
        "environment": Way(f"{url}#gpt-4o-mini", {}, f"Bearer {SECRET}"),
        "password": Way(f"http://me:{SECRET}@{place}#gpt-4o-mini", {}, f"Basic {basic}"),
        "litellm": Way("litellm:openai/gpt-4o-mini", {"api_base": url, "api_key": SECRET}, f"Bearer {SECRET}"),
        "litellm-environment": Way("litellm:openai/gpt-4o-mini", {"api_base": url}, f"Bearer {SECRET}"),
    }[kind]


def chain(error: BaseException | None) -> Iterator[str]:
    """Everything an error shows, and what it came from, even where that is suppressed."""
    while error is not None:
        yield from [str(error), repr(error), "".join(traceback.format_exception(error))]
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("kind", ["openai_compatible", "environment", "password", "litellm", "litellm-environment"])
@pytest.mark.parametrize("status", [401, 429, 500, 200])
async def test_a_key_is_sent_and_left_nowhere(
    kind: str, status: int, tmp_path: Any, caplog: pytest.LogCaptureFixture, capsys: Any, monkeypatch: Any
) -> None:
    replies: list[Reply] = ["fine"]
    if kind.endswith("environment"):
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    journal = FileJournal(tmp_path / "journal.jsonl")
    session = Session(journal)
    with serve(lambda messages, body: replies.pop(0)) as server:
        used = way(kind, server.url)
        said = f"I know no {used.sent}, which is {SECRET}"
        replies.append((status, json.dumps({"error": {"message": said}}), {"retry-after": "0"}))
        model = load_model(used.name, retries=0, **used.options)
        with session.phase("test"):
            answer = await ask(model, Request(messages=(Message("user", "who"),)))
            with pytest.raises(ModelError, match=r"\[key\]|not an answer") as caught:
                await ask(model, Request(messages=(Message("user", "are you"),), seed=1))
    assert [seen.headers["authorization"] for seen in server.requests] == [used.sent] * 2
    journal.close()
    gc.collect()
    left = [repr(model), model.name, repr(answer), *chain(caught.value), *capsys.readouterr(), caplog.text]
    left += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert answer.text == "fine"
    for text in left:
        assert SECRET not in text
        assert used.sent.partition(" ")[2] not in text


async def test_a_key_in_the_query_is_sent_and_not_shown() -> None:
    with serve(lambda messages, body: "fine") as server:
        model = load_model(f"{server.url}?key={SECRET}#small")
        with pytest.raises(ModelError, match=r"no such path: /v1/chat/completions\?key=\[key\]") as caught:
            await model.complete(Request(messages=(Message("user", "who"),)))
    assert server.requests[0].path.endswith(f"?key={SECRET}")
    assert all(SECRET not in text for text in (*chain(caught.value), repr(model), model.name))


@pytest.mark.parametrize("name", [f"http://me:{SECRET}@host/v1", f"http://host/v1?key={SECRET}#small"])
def test_a_name_that_cannot_be_loaded_is_quoted_without_its_key(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(name, tiemout_s=1)
    assert SECRET not in "".join(chain(caught.value))


def test_litellm_takes_no_password_in_an_address() -> None:
    with pytest.raises(ConfigError, match="no user and password") as caught:
        load_model("litellm:openai/x", api_base=f"http://me:{SECRET}@host/v1")
    assert SECRET not in "".join(chain(caught.value))
