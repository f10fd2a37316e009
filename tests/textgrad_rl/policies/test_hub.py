import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import textgrad_rl as tgr
from tests.support.hub_server import Hub, serve
from tests.textgrad_rl.policies.test_policy import sample_rows, train, weights
from textgrad_rl.policies import LoRA
from textgrad_rl.policies.hub import export, graph_card, load_from_hub, push_to_hub
from textgrad_rl_graphs.errors import ConfigError, RecordsError


class Solver(tgr.Graph):
    def __init__(self, policy: Any, text: str = "Add.") -> None:
        self.solve = tgr.LLM(policy, system=tgr.Prompt(text, name="solver", describe="how to"), template="{question}")

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.solve(question=question)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub on this machine, with a cache of its own."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve() as running:
        yield running


def client(hub: Hub) -> Any:
    from huggingface_hub import HfApi

    return HfApi(endpoint=hub.url, token="hf_test")


def test_prompts_and_weights_go_up_together_and_come_back(hub: Hub, new_policy: Any) -> None:
    graph, other = Solver(new_policy(), "Add ```slowly```."), Solver(new_policy(seed=1))
    policy = graph.solve.model
    train(policy, sample_rows(policy))
    url = push_to_hub(graph, "user/solver", api=client(hub))
    assert url.startswith(f"{hub.url}/user/solver/commit/")
    assert hub.private == {"user/solver": True}
    load_from_hub(other, "user/solver", api=client(hub))
    assert other.parameters()["solve.system"].text == "Add ```slowly```."
    assert weights(other.solve.model).equal(weights(policy))
    assert other.solve.model.weight_version == 1


def test_a_second_push_is_a_second_commit(hub: Hub, new_policy: Any) -> None:
    graph = Solver(new_policy(), "One.")
    first = push_to_hub(graph, "user/solver", api=client(hub))
    prompt = graph.parameters()["solve.system"]
    prompt.text = "Two."
    assert push_to_hub(graph, "user/solver", api=client(hub)) != first
    assert json.loads(hub.repositories["user/solver"]["prompts.json"]) == {"solve.system": "Two."}


def test_a_policy_has_a_repository_of_its_own(hub: Hub, new_policy: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    policy = new_policy(lora=LoRA(rank=2))
    train(policy, sample_rows(policy))
    policy.push_to_hub("user/tiny", merge=True, private=False, api=client(hub))
    assert hub.private == {"user/tiny": False}
    for name, data in hub.repositories["user/tiny"].items():
        (tmp_path / name).write_bytes(data)
    ids = torch.tensor([[3, 4, 5]])
    found = AutoModelForCausalLM.from_pretrained(tmp_path)(input_ids=ids).logits
    torch.testing.assert_close(found, policy.model(input_ids=ids).logits, rtol=1e-4, atol=1e-5)
    assert b'tgr.load_policy("hf:user/tiny")' in hub.repositories["user/tiny"]["README.md"]


def test_what_goes_up_names_no_path_of_this_machine(hub: Hub, new_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    new_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    policy = tgr.load_policy(str(tmp_path / "base"), lora={"rank": 2}, device="cpu", deterministic=True)
    graph, other = Solver(policy), Solver(policy.fork("other"))
    train(policy, sample_rows(policy))
    push_to_hub(graph, "user/solver", api=client(hub))
    policy.push_to_hub("user/whole", merge=True, api=client(hub))
    for files in hub.repositories.values():
        assert [path for path, data in files.items() if str(tmp_path).encode() in data] == []
    load_from_hub(other, "user/solver", api=client(hub))
    assert weights(other.solve.model).equal(weights(policy))
    with pytest.raises(ConfigError, match="merge=True"):
        policy.push_to_hub("user/adapter", api=client(hub))
    assert "user/adapter" not in hub.repositories


def test_the_optimizer_s_state_stays_at_home(new_policy: Any, tmp_path: Path) -> None:
    graph = Solver(new_policy())
    train(graph.solve.model, sample_rows(graph.solve.model))
    export(graph, tmp_path / "graph")
    assert {path.name for path in (tmp_path / "graph").iterdir()} == {"README.md", "prompts.json", "solve.model"}
    assert torch.load(tmp_path / "graph" / "solve.model" / "policy.pt", weights_only=True)["updater"] is None
    other = Solver(new_policy(seed=1))
    other.load_state(tmp_path / "graph")
    assert weights(other.solve.model).equal(weights(graph.solve.model))


def test_the_card_shows_the_prompts_word_for_word_and_how_to_load(new_policy: Any) -> None:
    from huggingface_hub import ModelCard

    text = "Use ```\nblocks\n``` and {braces}."
    card = graph_card(Solver(new_policy(lora=LoRA(rank=2)), text), "user/solver")
    assert f"````text\n{text}\n````" in card
    assert "`solve.system` (how to)" in card
    assert "LoRA adapter of Qwen3ForCausalLM `tiny`, 1,856 trained parameters, weight version 0" in card
    assert 'tgr.load_from_hub(graph, "user/solver")' in card
    assert ModelCard(card).data.library_name == "textgrad-rl"


def test_what_is_not_there_is_an_error_with_the_hub_s_words(hub: Hub, new_policy: Any) -> None:
    with pytest.raises(RecordsError, match=r"cannot read user/none from http://127\.0\.0\.1:.*404"):
        load_from_hub(Solver(new_policy()), "user/none", api=client(hub))
    with pytest.raises(RecordsError, match="cannot upload to not a name"):
        push_to_hub(Solver(new_policy()), "not a name", api=client(hub))


def test_a_repository_of_another_graph_changes_nothing(hub: Hub, new_policy: Any) -> None:
    class Other(tgr.Graph):
        def __init__(self, policy: Any) -> None:
            self.answer = tgr.LLM(policy, system=tgr.Prompt("Say.", name="say"), template="{question}")

    graph = Other(new_policy())
    push_to_hub(Solver(new_policy(seed=1)), "user/solver", api=client(hub))
    before = weights(graph.answer.model)
    with pytest.raises(RecordsError, match=r"solve\.system"):
        load_from_hub(graph, "user/solver", api=client(hub))
    assert weights(graph.answer.model).equal(before)
