"""The shipped model: it loads by the plain classes, it is small, and it is what its card says."""

import json
import random
from collections.abc import Callable, Sequence

import pytest
import torch

from textgrad_rl.pocket import folder, texts
from textgrad_rl.pocket.measure import count, is_right, plain_prompt, prompts
from textgrad_rl.pocket.misconceptions import DIFFICULTIES
from textgrad_rl.pocket.questions import held_out
from textgrad_rl.pocket.sampling import Request, sample
from textgrad_rl.pocket.simulate import respond

Answer = Callable[[Sequence[Request]], list[str]]


@pytest.fixture(scope="module")
def answer() -> Answer:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder()), AutoTokenizer.from_pretrained(folder())
    assert model.dtype == torch.float32
    assert 800_000 < sum(parameter.numel() for parameter in model.parameters()) < 1_000_000

    def run(requests: Sequence[Request]) -> list[str]:
        torch.manual_seed(0)
        return sample(model, tokenizer, requests, max_tokens=160)

    return run


def test_folder_is_small_and_complete() -> None:
    files = {path.name: path.stat().st_size for path in folder().iterdir()}
    assert sum(files.values()) < 8_000_000
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(files)
    assert json.loads((folder() / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"


def test_directives_lift_the_solver(answer: Answer) -> None:
    questions = held_out(96)
    shares = {}
    for name in ("solver, base prompt", "solver + all directives"):
        responses = answer([(prompts()[name], question.text) for question in questions])
        shares[name] = count(name, [is_right(*pair) for pair in zip(questions, responses, strict=True)]).share
    assert 0.15 < shares["solver, base prompt"] < 0.50
    assert shares["solver + all directives"] - shares["solver, base prompt"] > 0.20


def test_critiques_and_refinements_are_mostly_right(answer: Answer) -> None:
    rng = random.Random(0)
    pairs = [(q, respond(q, texts.SOLVER, DIFFICULTIES["hard"], rng)) for q in held_out(64)]
    critiques = answer([(texts.CRITIC, texts.critic_input(q.text, r)) for q, r in pairs])
    agrees = [
        texts.verdict(c) is texts.verdict(texts.critique(q, r)) for (q, r), c in zip(pairs, critiques, strict=True)
    ]
    assert count("critic", agrees).share > 0.85
    wrong = [(q, r, c) for (q, r), c in zip(pairs, critiques, strict=True) if not is_right(q, r)]
    others = [c for _, _, c in wrong[1:] + wrong[:1]]
    for told, low, high in (([c for _, _, c in wrong], 0.85, 1.0), (others, 0.0, 0.1)):
        refined = answer(
            [(texts.REFINER, texts.refiner_input(q.text, r, c)) for (q, r, _), c in zip(wrong, told, strict=True)]
        )
        share = count("refiner", [is_right(q, y) for (q, _, _), y in zip(wrong, refined, strict=True)]).share
        assert low <= share <= high


def test_rewritten_prompts_keep_the_old_one(answer: Answer) -> None:
    rng = random.Random(0)
    drawn = [plain_prompt(rng) for _ in range(48)]
    rewritten = answer([(texts.IMPROVE, texts.improve_input(p, ["Tell the solver: Carry the tens."])) for p in drawn])
    assert sum(new.startswith(old) for old, new in zip(drawn, rewritten, strict=True)) >= 46
