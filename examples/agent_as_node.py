"""A pydantic-ai agent as a node of a graph, unchanged but for its base URL: its calls are traced, critiqued, credited.

The agent solves a problem, checks the steps of the answer in Python and asks once more where one is wrong. The embedded
model answers it. Nothing is trained here: what training would use is printed.
"""

import re

from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import textgrad_rl as tgr

QUESTION = "State the final answer to the following arithmetic problem: 14 - 37 + 45 - 28 ="


def check_steps(context: RunContext[None], solution: str) -> str:
    """Send an answer with a wrong step back to the model, once."""
    for left, sign, right, result in re.findall(r"Step \d+: (-?\d+) ([+-]) (\d+),.*?so (-?\d+)\.", solution):
        if int(left) + int(sign + right) != int(result) and context.retry == 0:
            raise ModelRetry(f"{left} {sign} {right} is not {result}. Solve it again.")
    return solution


def nearness(text: str, example: tgr.Example) -> float:
    """Score a number by how near it is to the right one, so that wrong answers differ."""
    numbers = re.findall(r"-?\d+", text)
    return 1 / (1 + abs(int(numbers[-1]) - int(example.answer or 0))) if numbers else 0.0


async def solve(base_url: str, question: str) -> str:
    """Run the agent; elsewhere the base URL would be that of a provider."""
    async with OpenAIProvider(base_url=base_url, api_key="none") as provider:
        agent = Agent(OpenAIChatModel("any", provider=provider), instructions="Solve step by step.")
        agent.output_validator(check_steps)
        return (await agent.run(question)).output


if __name__ == "__main__":
    policy, verifier = tgr.load_policy("pocket"), tgr.critics.Verifier(nearness)
    prompt = tgr.Prompt("Solve step by step.", name="solver")  # takes the place of the agent's instructions
    graph = tgr.Agent(policy, solve, system=prompt, sampling=tgr.Sampling(max_tokens=200))
    critic = tgr.critics.Combine(verifier, verifier, tgr.critics.ChainOfThought(policy, sees="nothing"))

    traces = graph.run_many([tgr.Example({"question": QUESTION}, "-6")], samples=4)
    feedback = critic.critique([tgr.Case.of(trace) for trace in traces])
    gradients = tgr.backward(traces, feedback, model=policy)
    rows = tgr.advantages(traces, feedback)["llm.model"]

    for call in traces[0].ordered():
        critique = gradients.values.get((traces[0].id, call.key))
        asked = call.messages[-1].content if call.messages else "what the agent returned"
        print(f"\n{call.path}: {asked}\n  {call.output and call.output.text}\n  critique: {critique and critique.text}")
    for path, gradient in gradients.prompts.items():
        print(f"\nfeedback on {path}: {gradient.text}")
    for row in rows:
        print(f"row of {len(row.output_ids)} sampled tokens {row.output_ids[:4]}..., advantage {row.advantage:+.2f}")
