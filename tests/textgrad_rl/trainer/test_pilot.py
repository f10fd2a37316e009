import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedModel
from textgrad_rl.trainer.pilot import Cost, Pilot, _small_gate, run_pilot, scaled
from textgrad_rl_graphs.types import Usage


def calls(**phases):
    return {phase: Usage(calls=count, generated_tokens=10 * count) for phase, count in phases.items()}


def test_rates_are_scaled_to_the_run():
    """By hand: 4 examples a step instead of 2; 6 steps; the prompt changed in the first of two pilot steps."""
    trainer = toy.trainer(ScriptedModel(toy.answer), gate=tgr.Gate(examples=16))
    steps = [calls(rollout=6, critique=4, rewrite=1, gate=16), calls(rollout=6, critique=2, rewrite=1, gate=16)]
    found = scaled(Pilot(steps, settled=1, evaluation=Usage(calls=2), examples=2), trainer, toy.sums(), steps=6)
    assert {phase: cost.calls for phase, cost in found.items()} == {
        "rollout": 2 * (12 + 4 * 6),
        "critique": 2 * (6 + 4 * 2),
        "rewrite": 6,
        "gate": 2 * (32 + 4 * 16),  # 16 pairs instead of 8
        "evaluate": 12 / 2 * 2 * 3,
    }
    assert found["rollout"].tokens == 10 * found["rollout"].calls


def test_a_larger_step_asks_for_a_prompt_more_often():
    trainer = toy.trainer(ScriptedModel(toy.answer), gate=tgr.Gate(examples=16))
    pilot = Pilot([calls(rewrite=1), {}], settled=0, evaluation=Usage(), examples=2)
    assert scaled(pilot, trainer, toy.sums(), steps=2)["rewrite"].calls == pytest.approx(2 * (1 - 0.5**2))


def test_a_small_gate_decides_as_the_whole_one_would():
    gate = _small_gate(tgr.Gate(examples=64, alpha=0.1), 2)
    assert len(gate.rotation(toy.sums().gate, 3)) == 8
    wins, ties = [0.0] * 2 + [1.0] * 6, [1.0] * 8
    assert gate.judge(wins, ties).wins == 16
    assert gate.judge(wins, ties).accepted
    assert not gate.judge(ties, ties).accepted
    assert _small_gate(tgr.Gate(examples=64, alpha=0.001), 1).examples == 10  # fewer could not pass anything


async def test_a_pilot_tells_what_it_paid_and_when_the_prompt_settled():
    solver = ScriptedModel(toy.answer, dialect="plain")
    pilot = await run_pilot(toy.trainer(solver), toy.sums(), steps=9, examples=4)
    assert pilot.paid.calls == len(solver.log)
    assert len(pilot.steps) == 4
    assert 1 <= pilot.settled < 4
    assert pilot.evaluation.calls == 4


def test_costs_add_and_scale():
    assert Cost(1, 2, 3) + Cost(1, 1, 1) * 0.5 == Cost(1.5, 2.5, 3.5)
