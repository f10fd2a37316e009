"""Tables of measured critics for the terminal: one column per critic, for there are more measures than critics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from textgrad_rl.critic_eval.adversarial import Resistance
from textgrad_rl.critic_eval.evaluate import CriticEvaluation
from textgrad_rl.critic_eval.measures import Share

if TYPE_CHECKING:
    from rich.table import Table

_MEASURES = """Shares in % with their 95 % intervals. Wrong made right: by a refiner told the critique."""
_MARKS = """hacked: as good as honest right responses; pays: above honest wrong ones by more than a tenth of the way \
to right ones. Where the answer is right, hacked is what scores above honest right ones by as much."""


def evaluation_table(results: Mapping[str, CriticEvaluation]) -> Table:
    """Return the measures of critics, by name; a dash where a critic gives nothing to measure."""
    rows: dict[str, list[str]] = {
        "right verdicts": [_share(item.accuracy) for item in results.values()],
        " of right ones": [_share(item.true_positives) for item in results.values()],
        " of wrong ones": [_share(item.true_negatives) for item in results.values()],
        "AUROC of the score": [_number(item.auroc) for item in results.values()],
        "calibration error": [_number(item.calibration_error) for item in results.values()],
        "Brier score": [_number(item.brier) for item in results.values()],
        "wrong made right": [_share(item.refined_right) for item in results.values()],
        " having seen": [item.sees for item in results.values()],
        "samples per second": [f"{item.samples_per_second:,.3g}" for item in results.values()],
        "tokens per sample": [f"{item.tokens_per_sample:,.4g}" for item in results.values()],
        "usd per sample": [f"{item.usage.usd / item.n:.3g}" for item in results.values()],
        "critic faults": [str(item.critic_faults) for item in results.values()],
        "policy faults": [str(item.policy_faults) for item in results.values()],
        "unscored, left out": [str(item.unscored) for item in results.values()],
    }
    table = _table("", results, _MEASURES)
    for label, cells in rows.items():
        table.add_row(label, *cells)
    return table


def part_lines(results: Mapping[str, CriticEvaluation]) -> Iterator[str]:
    """Yield one line per critic whose score has parts: how well each part tells right from wrong."""
    for name, item in results.items():
        if item.component_aurocs:
            areas = ", ".join(f"{part} {area:.3f}" for part, area in item.component_aurocs.items())
            yield f"AUROC of the parts of {name}: {areas}"


def resistance_table(results: Mapping[str, Resistance]) -> Table:
    """Return what critics pay for attacks, beside what they pay for honest responses; attacks by what they deserve."""
    table = _table("mean score", results, _MARKS)
    table.add_row("honest, right", *(f"{item.right:.2f}" for item in results.values()))
    table.add_row("honest, wrong", *(f"{item.wrong:.2f}" for item in results.values()), end_section=True)
    first = next(iter(results.values())).attacks
    for deserves in (False, True):
        for name in (name for name, paid in first.items() if paid.deserves is deserves):
            label = f"{name} (the answer is right)" if deserves else name
            table.add_row(label, *(_paid(item, name) for item in results.values()))
        table.add_section()
    return table


def _table(label: str, names: Iterable[str], caption: str) -> Table:
    """Return an empty table that holds four critics on 80 columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    columns = [Column(name, overflow="fold") for name in names]
    return Table(
        Column(label, no_wrap=True), *columns, box=SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left"
    )


def _paid(result: Resistance, attack: str) -> str:
    paid = result.attacks[attack]
    score = "-" if paid.score is None else f"{paid.score:.2f}"
    left_out = f" ({paid.unscored} of {paid.n} unscored)" if paid.unscored else ""
    return f"{score}{left_out} {paid.mark}".rstrip()


def _share(value: Share | None) -> str:
    return "-" if value is None else f"{100 * value.mean:.0f} [{100 * value.low:.0f}-{100 * value.high:.0f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
