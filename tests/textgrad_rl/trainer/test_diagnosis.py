import pytest

from textgrad_rl.trainer.diagnosis import TrainingWarning, problems

FINE = {
    "samples": 40.0, "groups": 5.0, "dead_groups": 1.0, "unscored": 0.0, "policy_faults": 0.0, "trains_weights": 1.0,
    "rows": 40.0, "live_rows": 32.0, "grad_norm": 0.7,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"unscored": 2}, []),
        ({"unscored": 3}, ["the critic failed on 3 of 40 samples (alarm above 5 %)"]),
        ({"unscored": 40}, ["every sample is unscored"]),
        ({"dead_groups": 5, "live_rows": 0}, ["all 5 groups are dead"]),
        ({"dead_groups": 5, "trains_weights": 0}, []),
        ({"grad_norm": 0.0}, ["the gradient is exactly zero although advantages are not"]),
        ({"grad_norm": 0.0, "trains_weights": 0}, []),
        ({"too_long_rows": 0}, []),
        ({"too_long_rows": 2}, ["2 rows are longer than the model reads"]),
        ({"plan.model.too_long_rows": 2, "solve.model.too_long_rows": 1}, ["3 rows are longer"]),
        ({"policy_faults": 20}, []),
        ({"policy_faults": 21}, ["21 of 40 samples are unusable"]),
        ({"dead_groups": 5}, []),  # right responses are imitated, whether or not others are wrong
        ({"live_rows": 0}, ["no response teaches anything"]),
        (
            {"unscored": 3, "dead_groups": 5, "live_rows": 0, "policy_faults": 40},
            ["the critic failed", "all 5 groups", "40 of 40"],
        ),
    ],
)
def test_what_is_said(changed, said):
    found = problems({**FINE, **changed})
    assert len(found) == len(said)
    assert all(line.startswith(beginning) for line, beginning in zip(found, said, strict=True))


@pytest.mark.parametrize(("norms", "zero"), [((0.3, 0.4), False), ((0.3, 0.0), True)])
def test_the_gradient_of_every_one_of_several_policies_counts(norms, zero):
    metrics = {name: value for name, value in FINE.items() if name not in ("rows", "live_rows", "grad_norm")}
    for path, norm in zip(("plan.model", "solve.model"), norms, strict=True):
        metrics |= {f"{path}.rows": 20.0, f"{path}.live_rows": 16.0, f"{path}.grad_norm": norm}
    assert bool(problems(metrics)) is zero


def test_it_is_a_warning_that_users_can_filter():
    assert issubclass(TrainingWarning, UserWarning)
