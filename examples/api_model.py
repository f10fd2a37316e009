"""Optimise a prompt for a model behind an API: route messages to a team by house rules that the model cannot know.

python examples/api_model.py --model litellm:openai/gpt-5-mini          (what litellm knows; keys from the environment)
python examples/api_model.py --model http://localhost:8000/v1#my-model  (a server that speaks the OpenAI protocol)

The judge reads the house rule of each message and critiques wrong answers; a new prompt has to win at the gate.
At most about 80 short calls per step.
"""

import argparse
from pathlib import Path

import textgrad_rl as tgr
from textgrad_rl.critics import ChainOfThought, Combine, Verifier

FILE = Path(__file__).with_name("data") / "support_messages.jsonl"
PROMPT = "Which team is this message for: account, billing, delivery or returns? End with 'Answer: ' and the team."


class Router(tgr.Graph):
    """One LLM node with a trainable prompt; the model stays as it is."""

    def __init__(self, model: tgr.Model) -> None:
        prompt = tgr.Prompt(PROMPT, describe="instructions for routing", constraints=("Keep the four teams.",))
        self.route = tgr.LLM(model, system=prompt, template="{question}")

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.route(question=question)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--judge", help="writes critiques, feedback and prompts; by default the model itself")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--usd", type=float, default=1.0)
    options = parser.parse_args()

    model = tgr.load_model(options.model)
    judge = tgr.load_model(options.judge) if options.judge else model
    fractions = {"train": 0.4, "gate": 0.25, "test": 0.35}
    columns = {"question": "message", "answer": "team", "solution": "rule"}
    task, verifier = tgr.tasks.load(str(FILE), **columns, fractions=fractions), Verifier()
    critic = Combine(score=verifier, correct=verifier, critique=ChainOfThought(judge, sees="solution"))
    optimizer, budget = tgr.TextualGradientDescent(model=judge), tgr.Budget(usd=options.usd)
    settings = {"samples": 1, "examples_per_step": 16, "evaluate_every": None, "budget": budget}
    trainer = tgr.Trainer(Router(model), critic=critic, metric=verifier, text=optimizer, **settings)

    print("before:", trainer.evaluate(task.test))
    trainer.callbacks = (tgr.Progress(),)
    report = trainer.fit(task, steps=options.steps)
    print("after: ", trainer.evaluate(task.test), report.stopped)
    print(trainer.prompts["route.system"].text, *report.problems, sep="\n")
