import asyncio
import json
import subprocess
import sys

import pytest

from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.cache import AnswerCache, cached
from textgrad_rl_graphs.errors import ModelError, RecordsError
from textgrad_rl_graphs.session import Session, ask
from textgrad_rl_graphs.types import Message, Request, Usage


def request(text="hello", **settings):
    return Request(messages=(Message("user", text),), **settings)


def asked(model, *requests):
    async def both():
        return [await ask(model, item) for item in requests]

    return asyncio.run(both())


def test_what_was_answered_once_is_not_asked_again_by_anybody(tmp_path):
    first, second = ScriptedModel(echo), ScriptedModel(echo)
    with cached(tmp_path) as cache:
        answers = asked(first, request(), request(), request(seed=1))
        assert (cache.hits, cache.misses, len(cache)) == (1, 2, 2)
    with cached(tmp_path) as cache:
        assert asked(second, request(), request(), request(seed=1)) == answers
        assert (cache.hits, cache.misses) == (3, 0)
    assert (len(first.log), len(second.log)) == (2, 0)
    asked(second, request())  # outside of the context
    assert len(second.log) == 1


def test_cached_answers_cost_nothing_and_are_counted_apart(tmp_path):
    model = ScriptedModel(lambda _: "four")
    found = []
    for _ in range(2):
        session = Session()
        with cached(tmp_path), session.phase("rollout"):
            (answer,) = asked(model, request())
        found.append((session.total(), session.cached, answer.usage))
    assert found == [(Usage(5, 4, 1), 0, Usage(5, 4, 1)), (Usage(), 1, Usage(5, 4, 1))]


def test_a_journal_remembers_that_an_answer_was_free(tmp_path):
    model = ScriptedModel(echo)
    with cached(tmp_path):
        asked(model, request())

    class Memory(dict):
        put = dict.__setitem__

    journal = Memory()
    for _ in range(2):
        session = Session(journal)
        with cached(tmp_path), session.phase("rollout"):
            asked(model, request())
        assert (session.total(), session.cached) == (Usage(), 1)
    session = Session(journal)
    with session.phase("rollout"):  # the run goes on without the cache
        asked(model, request())
    assert (session.replayed, session.total(), len(model.log)) == (1, Usage(), 1)


def test_failures_are_not_cached(tmp_path):
    model = ScriptedModel(lambda _: ModelError("busy"))
    for _ in range(2):
        with cached(tmp_path), pytest.raises(ModelError):
            asked(model, request())
    assert len(model.log) == 2


@pytest.mark.parametrize("how", ["argument", "session"])
def test_models_that_recompute_are_left_out(tmp_path, how):
    model = ScriptedModel(echo, name="local")
    session = Session(recompute=frozenset({"local"} if how == "session" else ()))
    with cached(tmp_path, recompute=["local"] if how == "argument" else ()) as cache, session.phase("rollout"):
        asked(model, request(), request())
    assert (len(model.log), len(cache.recompute), cache.hits, cache.misses) == (2, how == "argument", 0, 0)


def test_weights_that_moved_are_told_apart_by_version_and_by_run(tmp_path):
    """The same number of updates in another run made other weights."""
    log = []
    for identity, version in (("a", 0), ("b", 0), ("a", 1), ("a", 1), ("a", 2), ("b", 1), ("", 1), ("", 1)):
        model = ScriptedModel(echo, weight_version=version)
        with cached(tmp_path), Session(identity=identity).phase("rollout"):
            asked(model, request())
        log.append(len(model.log))
    assert log == [1, 0, 1, 0, 1, 1, 1, 1]


def test_the_first_answer_stays(tmp_path):
    cache = AnswerCache(tmp_path / "a.sqlite")
    cache.put("k", {"text": "first"})
    cache.put("k", {"text": "second"})
    assert cache.get("k") == {"text": "first"}
    cache.close()


@pytest.mark.parametrize("text", ["漢字 \u2028 \x00", "half an emoji \ud83d"])
def test_any_text_comes_back_as_it_was(tmp_path, text):
    cache = AnswerCache(tmp_path / "a.sqlite")
    cache.put("k", {"text": text})
    assert cache.get("k") == {"text": text}
    cache.close()


def test_a_path_with_an_ending_is_a_file_another_one_a_folder(tmp_path):
    with cached(tmp_path / "answers.db"), cached(tmp_path / "folder"):
        pass
    assert (tmp_path / "answers.db").is_file()
    assert (tmp_path / "folder" / "answers.sqlite").is_file()


def test_what_is_no_cache_is_an_error_that_names_it(tmp_path):
    (tmp_path / "notes.txt").write_text("not a database, and long enough to be looked at as one\n" * 40)
    with pytest.raises(RecordsError, match=r"notes\.txt cannot be used as a cache"), cached(tmp_path / "notes.txt"):
        pass
    with pytest.raises(RecordsError, match="cannot write"), cached(tmp_path / "notes.txt" / "below"):
        pass


WRITE = """
import json, sys
from pathlib import Path
from textgrad_rl_graphs.cache import AnswerCache
cache = AnswerCache(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    cache.put(f"k{number}", {"number": number})
    assert cache.get(f"k{number}") == {"number": number}
cache.close()
"""


def test_processes_write_at_once(tmp_path):
    path, code = tmp_path / "a.sqlite", f"import sys; sys.path[:0] = {sys.path!r}\n{WRITE}"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), str(first), str(first + 400)], **pipes)
        for first in (0, 200, 200)
    ]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 3
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [(writer.communicate(timeout=60)[0], writer.returncode) for writer in writers] == [("", 0)] * 3
    cache = AnswerCache(path)
    assert len(cache) == 600
    assert json.dumps(cache.get("k599")) == '{"number": 599}'
    cache.close()
