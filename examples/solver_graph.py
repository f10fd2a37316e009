"""A graph with a loop, trained by hand; prints the critique at every call of one run and draws it to trace.svg."""

import re

import textgrad_rl as tgr

QUESTION = "State the final answer to the following arithmetic problem: 14 - 37 + 45 - 28 ="


def check(question: str, response: str) -> str:
    """Recompute every step and name the first wrong one."""
    given = [int(number) for number in re.findall(r"so (-?\d+)", response)]
    total, *terms = map(int, re.findall(r"[+-]?\d+", question.split(":")[1].replace(" ", "")))
    for step, term in enumerate(terms, start=1):
        total += term
        if given[step - 1 : step] != [total]:
            return f"Step {step}: {total - term} {term:+d}, so {total}, wrong. Verdict: wrong"
    return "Verdict: correct"


class CheckedSolver(tgr.Graph):
    """Two LLM nodes and a Function node; branches and loops are plain Python."""

    def __init__(self, policy: tgr.Model) -> None:
        short, template = tgr.Sampling(max_tokens=200), "Question: {question}\nResponse: {response}\nCritique: {report}"
        self.solve = tgr.LLM(policy, system=tgr.Prompt("Solve step by step."), template="{question}", sampling=short)
        self.check = tgr.Function(check, effects="none")  # nothing happens in the world: it may run again
        self.revise = tgr.LLM(policy, system="Revise the solution.", template=template, sampling=short)

    async def forward(self, question: tgr.Value) -> tgr.Value:
        response = await self.solve(question=question)
        for _ in range(2):
            report = await self.check(question, response)
            if report.text == "Verdict: correct":
                break
            response = await self.revise(question=question, response=response, report=report)
        return response


if __name__ == "__main__":
    policy = tgr.load_policy("pocket")
    graph, verifier, example = CheckedSolver(policy), tgr.critics.Verifier(), tgr.Example({"question": QUESTION}, "-6")
    critic = tgr.critics.Combine(verifier, verifier, tgr.critics.ChainOfThought(policy, sees="nothing"))
    traces = graph.run_many([example], samples=4)
    feedback = critic.critique([tgr.Case.of(trace) for trace in traces])
    gradients = tgr.backward(traces, feedback, model=policy)
    refinements = tgr.refine(traces, gradients, critic, plan=tgr.Refine(trigger="incorrect", node="solve", attempts=1))
    rows, method = tgr.advantages(traces, feedback, refinements)["solve.model"], tgr.CritiqueGRPO(learning_rate=1e-4)
    print(policy.forward_backward(rows, method.loss), policy.optimizer_step(method.optimizer), policy.publish())
    proposals = tgr.TextualGradientDescent(model=policy).propose(graph.parameters(), gradients)

    trace = min(zip(feedback, traces, strict=True), key=lambda pair: pair[0].score or 0)[1]  # one of the worst
    for call in trace.ordered():
        critique = gradients.values.get((trace.id, call.key))
        print(f"\n{call.path}: {call.output and call.output.text}\n  critique: {critique and critique.text}")
    for item in refinements:
        print(f"\nrefined: {item.completion and item.completion.text}\n  {item.feedback and item.feedback.correct = }")
    print(*(f"\nprompt: {item.text} {item.reason}" for item in proposals), f"\n{trace.to_networkx()}: see trace.svg")
    trace.draw("trace.svg")
