"""The peers of text_step.py, each driven as its documentation does; runs with the Python that has them installed.

    python _text_peers.py SIDE URL

Says its version in one line of JSON, then reads one workload per line, e.g. {"batch": 16}, and answers each with the
``seconds`` of one step and ``cpu`` seconds of this process, or with an ``error``. What is built before the clock starts
is what a user builds once; caches are off unless the side is named so.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from pathlib import Path
from typing import Any

Workload = dict[str, Any]
Step = Callable[[Workload], dict[str, float]]


def timed(run: Callable[[], object]) -> dict[str, float]:
    """Return the seconds of a step, by the clock and of this process."""
    started, cpu = time.perf_counter(), time.process_time()
    run()
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}


def question(index: int) -> str:
    return f"A box holds {index + 3} red and {2 * index + 5} blue pens. How many pens are in {index + 2} boxes?"


def answer(index: int) -> str:
    return str((3 * index + 8) * (index + 2))


def textgrad(url: str, *, cache: bool = False) -> Step:
    """One prompt per stage, updated from the losses of a batch.

    A workload may name ``stages`` (1), ``critic`` (false: the loss is a Python function; true: a model judges) and
    ``threads`` (1: as documented; more: what a user who knows that the losses are independent writes by hand).
    """
    import textgrad as tg
    from openai import OpenAI
    from textgrad.autograd import StringBasedFunction
    from textgrad.engine.local_model_openai_api import ChatExternalClient

    engine = ChatExternalClient(client=OpenAI(base_url=url, api_key="-"), model_string="stub")
    if not cache:
        engine._check_cache = lambda prompt: None
        engine._save_cache = lambda prompt, response: None
    tg.set_backward_engine(engine, override=True)

    def compare(prediction: Any, reference: Any) -> str:
        right = prediction.value.endswith(f"Answer: {reference.value}")
        return "right" if right else f"This solution is wrong. The answer is {reference.value}."

    def step(workload: Workload) -> dict[str, float]:
        prompts = [
            tg.Variable("Solve it.", role_description=f"instructions of stage {stage}")
            for stage in range(workload.get("stages", 1))
        ]
        models = [tg.BlackboxLLM(engine, prompt) for prompt in prompts]
        optimizer = tg.TextualGradientDescent(engine=engine, parameters=prompts)
        judge = tg.TextLoss("You judge solutions: say what is wrong.", engine=engine)
        rule = StringBasedFunction(compare, function_purpose="compares a prediction with the right answer")

        def loss(index: int) -> Any:
            value = tg.Variable(question(index), requires_grad=False, role_description="question")
            for model in models:
                value = model(value)
            if workload.get("critic"):
                return judge(value)
            reference = tg.Variable(answer(index), requires_grad=False, role_description="right answer")
            return rule(inputs={"prediction": value, "reference": reference})

        def run() -> None:
            indices = range(workload["batch"])
            if (threads := workload.get("threads", 1)) == 1:
                tg.sum([loss(index) for index in indices]).backward()
            else:
                with ThreadPoolExecutor(threads) as pool:
                    losses = list(pool.map(loss, indices))
                    list(pool.map(lambda item: item.backward(), losses))
            optimizer.step()

        return timed(run)

    return step


def gepa(url: str) -> Step:
    """One iteration: the seed on the validation set, a minibatch, one reflection, the candidate on the minibatch."""
    from gepa import optimize
    from gepa.adapters.default_adapter.default_adapter import DefaultAdapter

    os.environ |= {"OPENAI_API_BASE": url, "OPENAI_API_KEY": "-"}

    def step(workload: Workload) -> dict[str, float]:
        batch = workload["batch"]
        data = [
            {"input": question(n), "additional_context": {}, "answer": f"Answer: {answer(n)}."} for n in range(batch)
        ]
        run = partial(
            optimize,
            seed_candidate={"system_prompt": "Solve it."},
            trainset=data,
            valset=data,
            adapter=DefaultAdapter(model="openai/stub", max_litellm_workers=batch),
            reflection_lm="openai/stub",
            reflection_minibatch_size=batch,
            max_metric_calls=batch + 1,
        )
        return timed(run)

    return step


def dspy(url: str) -> Step:
    """One iteration of dspy.GEPA on one predictor."""
    import dspy

    lm = dspy.LM("openai/stub", api_base=url, api_key="-", cache=False)
    dspy.configure(lm=lm)

    def metric(gold: Any, prediction: Any, *_: Any) -> Any:
        right = getattr(prediction, "answer", "") == gold.answer
        return dspy.Prediction(score=float(right), feedback=f"The answer is {gold.answer}.")

    def step(workload: Workload) -> dict[str, float]:
        batch = workload["batch"]
        data = [dspy.Example(question=question(n), answer=answer(n)).with_inputs("question") for n in range(batch)]
        optimizer = dspy.GEPA(
            metric=metric,
            reflection_lm=lm,
            max_metric_calls=batch + 1,
            num_threads=batch,
            reflection_minibatch_size=batch,
        )
        student = dspy.Predict("question -> answer")
        return timed(lambda: optimizer.compile(student, trainset=data, valset=data))

    return step


def trace(url: str) -> Step:
    """OptoPrime: the whole graph of a batch, with one feedback, in one call."""
    os.environ |= {
        "TRACE_DEFAULT_LLM_BACKEND": "LiteLLM", "TRACE_LITELLM_MODEL": "openai/stub",
        "OPENAI_API_BASE": url, "OPENAI_API_KEY": "-",
    }  # fmt: skip
    from opto.optimizers import OptoPrime
    from opto.trace import node
    from opto.trace.operators import call_llm, concat

    def step(workload: Workload) -> dict[str, float]:
        prompt = node("Solve it.", name="prompt", trainable=True)
        optimizer = OptoPrime([prompt])

        def run() -> None:
            whole = reduce(concat, [call_llm(prompt, question(n)) for n in range(workload["batch"])])
            optimizer.zero_feedback()
            optimizer.backward(whole, "All of these solutions are wrong.")
            optimizer.step()

        return timed(run)

    return step


def adalflow(url: str) -> Step:
    """Forward on threads and backward one after the other, as its trainer does; then a proposal."""
    import litellm.litellm_core_utils.default_encoding  # noqa: F401  # first: has the tokens adalflow would download

    # isort: split
    import adalflow as adal
    from adalflow.core.generator import BackwardEngine
    from adalflow.optim.parameter import ParameterType
    from adalflow.optim.text_grad.text_loss_with_eval_fn import EvalFnToTextLoss
    from adalflow.optim.text_grad.tgd_optimizer import TGDOptimizer

    model = {"model_client": adal.OpenAIClient(api_key="-", base_url=url), "model_kwargs": {"model": "stub"}}
    engine = BackwardEngine(**model, use_cache=False)

    def step(workload: Workload) -> dict[str, float]:
        prompt = adal.Parameter(
            data="Solve it.", role_desc="instructions", requires_opt=True, param_type=ParameterType.PROMPT
        )
        solver = adal.Generator(
            **model, template="{{instructions}} {{question}}", prompt_kwargs={"instructions": prompt}, use_cache=False
        )
        solver.set_backward_engine(engine)
        solver.train()
        rule = EvalFnToTextLoss(lambda y, y_gt: float(y == y_gt), "compares with the answer", backward_engine=engine)
        optimizer = TGDOptimizer([prompt], **model)

        def forward(index: int) -> Any:
            value = solver.forward({"question": question(index)}, id=str(index))
            value.eval_input = value.data.data
            right = adal.Parameter(data=answer(index), role_desc="right answer", requires_opt=False)
            right.eval_input = answer(index)
            return rule.forward({"y": value, "y_gt": right}, id=str(index), gt=answer(index))

        def run() -> None:
            with ThreadPoolExecutor(workload["batch"]) as pool:
                losses = list(pool.map(forward, range(workload["batch"])))
            for loss in losses:
                loss.backward()
            optimizer.propose()
            optimizer.step()

        return timed(run)

    return step


SIDES: dict[str, tuple[str, Callable[[str], Step]]] = {
    "textgrad": ("textgrad", textgrad),
    "textgrad cached": ("textgrad", partial(textgrad, cache=True)),
    "adalflow": ("adalflow", adalflow),
    "gepa": ("gepa", gepa),
    "dspy": ("dspy", dspy),
    "trace": ("trace-opt", trace),
}
"""By name, the distribution and what builds a step."""


def main(side: str, url: str) -> None:
    """Answer workloads until there are no more; what the peer prints is dropped."""
    out = sys.stdout
    distribution, build = SIDES[side]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.environ.setdefault("XDG_CACHE_HOME", folder)
        os.environ |= {"TEXTGRAD_LOG_DIR": folder, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "DSPY_CACHEDIR": folder}
        os.chdir(folder)
        try:
            step: Step | Exception = build(url)
            first: dict[str, Any] = {"version": importlib.metadata.version(distribution)}
        except Exception as error:
            step, first = error, {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(first), file=out, flush=True)
        for line in sys.stdin:
            try:
                if isinstance(step, Exception):
                    raise step
                result: dict[str, Any] = {**step(json.loads(line))}
            except Exception as error:
                result = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(result), file=out, flush=True)
        os.chdir(Path(folder).parent)


if __name__ == "__main__":
    main(*sys.argv[1:])
