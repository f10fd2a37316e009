import json

import pytest

import textgrad_rl as tgr
from tests.support.scripted import ScriptedModel
from textgrad_rl.methods.critique_rows import critique_rows
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.roles import CritiqueRole

WRONG = Feedback(score=0.0, correct=False, critique="It forgets the carry. Verdict: wrong")


class One(tgr.Graph):
    def __init__(self, model):
        self.solve = tgr.LLM(model, template="{question}")

    async def forward(self, question):
        return await self.solve(question=question)


def new_model(tokenizer, dialect="plain"):
    model = ScriptedModel(lambda _: "Answer: 4", trainable=True, dialect=dialect)
    model.tokenizer = tokenizer
    return model


def run(model):
    return One(model).run(tgr.Example({"question": "2+3"}, answer="THE REFERENCE", id="q"), step=1)


@pytest.mark.parametrize("dialect", ["plain", "json"])
def test_a_row_reads_what_the_critic_reads_and_writes_what_its_parser_reads(tokenizer, dialect):
    model = new_model(tokenizer, dialect)
    (row,) = critique_rows(model, [run(model)], [WRONG])
    asked, said = tokenizer.decode(row.context.tokens()), tokenizer.decode(row.output_ids, skip_special_tokens=True)
    (_, user) = CritiqueRole().render(dialect, question="2+3", response="Answer: 4")
    assert user.content in asked
    assert "REFERENCE" not in asked
    assert asked.endswith("assistant\n")
    assert row.output_ids[-1] == tokenizer.eos_token_id
    verdict = CritiqueRole().parse(dialect, said)
    assert (verdict.critique, verdict.correct) == (WRONG.critique, False)
    assert (json.loads(said)["critique"] if dialect == "json" else said) == WRONG.critique
    assert (row.advantage, row.kind) == (1.0, "sample")


def test_only_critiques_of_the_policy_s_own_responses_are_learnt(tokenizer):
    model, other = new_model(tokenizer), new_model(tokenizer)
    trace = run(model)
    assert critique_rows(other, [trace], [WRONG]) == []
    assert critique_rows(model, [trace], [Feedback(score=1.0, correct=True)]) == []
    assert critique_rows(model, [trace], [Feedback(score=None, fault="critic", critique="?")]) == []


def test_a_verdict_in_the_response_is_read_as_a_judge_reads_it(tokenizer):
    model = new_model(tokenizer)
    model.script = lambda _: "It is 4.\nAnswer: 4\nVerdict: correct"
    (row,) = critique_rows(model, [run(model)], [WRONG])
    asked = tokenizer.decode(row.context.tokens())
    assert "Answer (claimed by the response): 4" in asked
    assert "Verdict (claimed by the response): correct" in asked
