"""Why a step cannot learn, in words."""

from __future__ import annotations

from collections.abc import Mapping


class TrainingWarning(UserWarning):
    """Something keeps a run from learning."""


def problems(metrics: Mapping[str, float]) -> list[str]:
    """Return what is wrong with a step, worst first; empty when it could learn.

    Args:
        metrics: of the step, as in :class:`textgrad_rl.trainer.report.StepReport`.
    """
    found = []
    samples, groups = metrics["samples"], metrics["groups"]
    long = sum(value for name, value in metrics.items() if name.endswith("too_long_rows"))
    if metrics["unscored"] == samples:
        found.append("every sample is unscored: the critic failed on all of them, so nothing can be learned")
    elif metrics["unscored"] > 0.05 * samples:
        found.append(f"the critic failed on {metrics['unscored']:.0f} of {samples:.0f} samples (alarm above 5 %)")
    if metrics["trains_weights"]:
        live = [value for name, value in metrics.items() if name.endswith("live_rows")]  # of every policy
        if groups and metrics["dead_groups"] == groups and not any(live):
            found.append(
                f"all {groups:.0f} groups are dead: every sample of a question got the same reward, so every advantage "
                "is 0. Use easier or harder questions, more samples, a graded critic, or refinements (Refine)"
            )
        elif live and not any(live):
            found.append(
                "no response teaches anything: the method found no right response, refinement or critique to learn from"
            )
        elif not long and 0 in [value for name, value in metrics.items() if name.endswith("grad_norm")]:
            found.append("the gradient is exactly zero although advantages are not: check the loss and the clip range")
    if long:
        found.append(
            f"{long:.0f} rows are longer than the model reads and were left out: shorten prompts, reference solutions "
            "or critiques, or take a model with a longer context"
        )
    if metrics["policy_faults"] > 0.5 * samples:
        found.append(
            f"{metrics['policy_faults']:.0f} of {samples:.0f} samples are unusable (empty, cut off or unparsable): "
            "raise max_tokens or look at the outputs"
        )
    return found
