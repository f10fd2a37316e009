"""The shipped model: it loads by the plain classes, it is small, and it is what its card says."""

from collections.abc import Sequence

import torch

from textgrad_rl.pocket import folder, texts
from textgrad_rl.pocket.measure import count, is_right, prompts
from textgrad_rl.pocket.questions import held_out
from textgrad_rl.pocket.sampling import Request, sample


def test_folder_is_small_and_complete() -> None:
    files = {path.name: path.stat().st_size for path in folder().iterdir()}
    assert sum(files.values()) < 8_000_000
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(files)


def test_directives_and_critiques_lift_the_solver() -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder()), AutoTokenizer.from_pretrained(folder())
    assert model.dtype == torch.float32
    assert 800_000 < sum(parameter.numel() for parameter in model.parameters()) < 1_000_000
    torch.manual_seed(0)
    questions = held_out(128)

    def answer(requests: Sequence[Request]) -> list[str]:
        return sample(model, tokenizer, requests, max_tokens=200)

    responses = answer([(texts.SOLVER, q.text) for q in questions])
    base = count("base", [is_right(q, r) for q, r in zip(questions, responses, strict=True)])
    told = answer([(prompts()["solver + all directives"], q.text) for q in questions])
    directed = count("directed", [is_right(q, r) for q, r in zip(questions, told, strict=True)])
    assert 0.25 < base.share < 0.50
    assert directed.share - base.share > 0.20

    pairs = list(zip(questions, responses, strict=True))
    verdicts = answer([(texts.CRITIC, texts.critic_input(q.text, r)) for q, r in pairs])
    agrees = [texts.verdict(v) is is_right(q, r) for (q, r), v in zip(pairs, verdicts, strict=True)]
    assert count("critic", agrees).share > 0.85
