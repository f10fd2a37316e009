"""Train a prompt and the weights of the embedded model in one loop, from self-critique.

python examples/joint_training.py
textgrad-rl train examples/joint_training.py --steps 2 --set samples=4 --set run_dir=runs/joint
textgrad-rl eval examples/joint_training.py --run runs/joint --limit 100
"""

import textgrad_rl as tgr
from textgrad_rl.critics import ChainOfThought, Combine, Verifier, reasoning_gym


class Solver(tgr.Graph):
    """One LLM node with a trainable prompt and trainable weights."""

    def __init__(self, policy: tgr.Model) -> None:
        prompt = tgr.Prompt("Solve step by step.", describe="instructions to the solver")
        self.solve = tgr.LLM(policy, system=prompt, template="{question}", sampling=tgr.Sampling(max_tokens=256))

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.solve(question=question)


def build(
    samples: int = 8, examples_per_step: int = 8, learning_rate: float = 1e-4, seed: int = 0, run_dir: str | None = None
) -> tgr.Trainer:
    """Return the trainer; every argument can be given as --set NAME=VALUE."""
    policy = tgr.load_policy("pocket")
    verifier = Verifier(reasoning_gym("chain_sum"))
    return tgr.Trainer(
        Solver(policy),
        # Reward and yardstick by rule, the text by the policy itself, which sees no answer.
        critic=Combine(verifier, verifier, ChainOfThought(policy, sees="nothing"), per_group=1),
        metric=verifier,
        text=tgr.TextualGradientDescent(model=policy),  # None freezes prompts
        weights=tgr.CritiqueGRPO(learning_rate=learning_rate),  # None freezes weights
        refine=tgr.Refine(attempts=1),  # one refinement for questions without a right response
        samples=samples,
        examples_per_step=examples_per_step,
        gate=tgr.Gate(examples=32),
        evaluate_examples=64,
        seed=seed,
        run_dir=run_dir,
    )


def task() -> tgr.Task:
    """Return sums and differences, split by a hash of the question."""
    return tgr.tasks.load("reasoning_gym:chain_sum", size=2000)


if __name__ == "__main__":
    trainer = build()
    trainer.callbacks = (tgr.Progress(),)
    report = trainer.fit(task(), steps=2)
    print(f"{report.generated_tokens:,} generated tokens; prompt: {trainer.prompts['solve.system'].text}")
