import asyncio

import pytest

import textgrad_rl as tgr
from tests.support.scripted import ScriptedCritic, ScriptedModel
from textgrad_rl.methods.advantages import advantages
from textgrad_rl.methods.experts import aexperts, check_solutions
from textgrad_rl_graphs.errors import ConfigError, DataError
from textgrad_rl_graphs.feedback import Feedback

RIGHT, WRONG = Feedback(score=1.0, correct=True), Feedback(score=0.0, correct=False)


class Checked(tgr.Graph):
    """A node and a Function behind it."""

    def __init__(self, model):
        self.solve = tgr.LLM(model, system="S", template="{question}")
        self.shout = tgr.Function(lambda text: text.upper(), effects="none")

    async def forward(self, question):
        return await self.shout(await self.solve(question=question))


@pytest.fixture
def model(tokenizer):
    found = ScriptedModel(lambda request: f"try {request.seed % 7}", trainable=True)
    found.tokenizer = tokenizer
    return found


def runs(model, solutions=("so it is",), samples=7):
    graph = Checked(model)
    examples = [
        tgr.Example({"question": f"q{place}"}, solution=solution, id=f"q{place}")
        for place, solution in enumerate(solutions)
    ]
    return [graph.run(example, sample=sample, step=1) for example in examples for sample in range(samples)]


def experts(traces, critic=None):
    return asyncio.run(aexperts(traces, critic or ScriptedCritic(lambda _: RIGHT)))


def test_the_solution_takes_part_in_its_group_as_a_refinement_would(model, tokenizer):
    traces = runs(model)
    critic = ScriptedCritic(lambda case: Feedback(score=float(case.text == "SO IT IS"), correct=True))
    (expert,) = experts(traces, critic)
    assert expert.kept
    assert expert.trace.output.text == "SO IT IS"  # what is downstream ran again
    assert len(model.log) == 7  # and the policy was not asked
    assert [shown for _, shown in critic.seen] == [False]
    rows = advantages(traces, [WRONG] * 7, [expert])["solve.model"]
    assert [row.advantage for row in rows] == [-0.125] * 7 + [0.875]
    row = rows[-1]
    assert (row.kind, row.logprobs) == ("refinement", ())
    assert row.context is rows[0].context
    assert row.output_ids == (*tokenizer.encode("so it is"), tokenizer.eos_token_id)


def test_every_group_with_a_solution_has_one(model):
    found = experts(runs(model, ("one", None, "three"), samples=2))
    assert [(item.source.id, item.completion.text) for item in found] == [("1/q0/0", "one"), ("1/q2/0", "three")]


def test_a_solution_that_is_not_scored_is_not_kept(model):
    (expert,) = experts(runs(model), ScriptedCritic(lambda _: Feedback(score=None, fault="critic")))
    assert not expert.kept


def test_without_any_solution_there_is_nothing_to_learn_from(model):
    traces = runs(model, (None, "four"), samples=1)
    assert experts(traces[:1]) == []
    check_solutions([trace.example for trace in traces])
    with pytest.raises(DataError, match=r"no training example has Example\.solution"):
        check_solutions([traces[0].example])
    trainer = tgr.Trainer(traces[0].graph, critic=ScriptedCritic(lambda _: RIGHT), **tgr.preset("sft"))
    with pytest.raises(DataError, match="no training example"):
        trainer.fit(tgr.Task("no solutions", train=[traces[0].example]), steps=1)
    assert len(model.log) == 2  # nothing was paid


def test_a_policy_without_a_tokenizer_cannot_read_texts():
    model = ScriptedModel(lambda _: "try", trainable=True)
    with pytest.raises(ConfigError, match="scripted has no tokenizer here"):
        experts(runs(model, samples=1))
