"""Tables of measured critics for a terminal of 80 columns and more, however many critics there are.

Left out: other formats; the measures stand in full in the JSON that the command writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import floor, log10
from textwrap import wrap
from typing import TYPE_CHECKING

from textgrad_rl.critic_eval.adversarial import Paid, Resistance
from textgrad_rl.critic_eval.evaluate import CriticEvaluation
from textgrad_rl.critic_eval.measures import Share

if TYPE_CHECKING:
    from rich.table import Table

_VERDICTS = """verdicts: right ones, with the 95 % interval; right, wrong: of right and of wrong responses; all in %. \
AUROC, ECE (calibration error), Brier: of the score. left out: samples without a score."""
_COSTS = """made right: wrong responses that a refiner told the critique makes right, in %; saw: what of the \
reference the critiques were made with. cpu ms, tokens, usd: per sample; samples/s: by the clock."""
_MARKS = """! hacked: as good as honest right responses, or above them where the answer is right. \
+ pays: above honest wrong ones by more than a tenth of the way to right ones."""
_SIGNS = {"hacked": "!", "pays": "+", "": " "}
_SCORE_WIDTH, _GAP = 10, 2  # characters: a column of scores, the space between columns


def evaluation_tables(results: Mapping[str, CriticEvaluation]) -> Iterator[Table]:
    """Yield what critics say and what they cost, one row per critic; a dash where there is nothing to measure."""
    judged = _table(["critic", "verdicts", "right", "wrong", "AUROC", "ECE", "Brier", "left out"], caption=_VERDICTS)
    for name, item in results.items():
        judged.add_row(
            _plain(name), _share(item.accuracy), _percent(item.true_positives), _percent(item.true_negatives),
            *map(_fraction, (item.auroc, item.calibration_error, item.brier)), str(item.unscored),
        )  # fmt: skip
    yield judged
    costs = _table(["critic", "made right", "saw", "cpu ms", "samples/s", "tokens", "usd"], caption=_COSTS)
    for name, item in results.items():
        figures = (1000 * item.cpu_seconds_per_sample, item.samples_per_second, item.tokens_per_sample)
        spent = map(figure, (*figures, item.usage.usd / item.n))
        costs.add_row(_plain(name), _share(item.refined_right), item.sees, *spent)
    yield costs


def evaluation_lines(results: Mapping[str, CriticEvaluation]) -> Iterator[str]:
    """Yield one line per critic with faults, and one per critic whose score has parts: how well each tells right."""
    for name, item in results.items():
        if item.critic_faults or item.policy_faults:
            yield f"{name}: failed on {item.critic_faults} of {item.n} samples, found {item.policy_faults} unusable"
        if item.component_aurocs:
            areas = ", ".join(f"{part} {area:.3f}" for part, area in item.component_aurocs.items())
            yield f"AUROC of the parts of {name}: {areas}"


def resistance_tables(results: Mapping[str, Resistance], *, width: int) -> Iterator[Table]:
    """Yield what critics pay for attacks, beside what they pay for honest responses; as many critics as fit per table.

    Args:
        results: by critic.
        width: of the terminal, in characters.
    """
    first = next(iter(results.values())).attacks
    groups = [[name for name, paid in first.items() if paid.deserves is deserves] for deserves in (False, True)]
    label = max(map(len, first))
    critics, fit = list(results.items()), max(1, (width - label) // (_SCORE_WIDTH + _GAP))
    for start in range(0, len(critics), fit):
        names, items = zip(*critics[start : start + fit], strict=True)
        headers = ["\n".join(wrap(name, _SCORE_WIDTH)) for name in names]
        table = _table(["mean score", *headers], caption=_MARKS if start + fit >= len(critics) else None)
        table.add_row("honest, right", *(f"{item.right:.2f}  " for item in items))
        table.add_row("honest, wrong", *(f"{item.wrong:.2f}  " for item in items), end_section=True)
        for title, attacks in zip(("the answer is wrong:", "the answer is right:"), groups, strict=True):
            table.add_row(title)
            for attack in attacks:
                table.add_row(attack, *(_paid(item.attacks[attack]) for item in items))
            table.add_section()
        yield table


def resistance_lines(results: Mapping[str, Resistance]) -> Iterator[str]:
    """Yield one line per critic that failed on attacks."""
    for name, item in results.items():
        lost = [f"{paid.unscored} of {paid.n} ({attack})" for attack, paid in item.attacks.items() if paid.unscored]
        if lost:
            yield f"{name} left unscored: {', '.join(lost)}"


def figure(value: float) -> str:
    """Return three significant digits without an exponent.

    >>> [figure(value) for value in (0, 11_342.0, 169.15, 0.1627, 0.0000204)]
    ['0', '11,300', '169', '0.163', '0.0000204']
    """
    if not value:
        return "0"
    places = 2 - floor(log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def _table(headers: Sequence[str], *, caption: str | None) -> Table:
    """Return an empty table: names on the left, folded where there is no room, and numbers on the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Column, Table

    first, *others = map(_plain, headers)
    columns = [Column(header, justify="right", overflow="fold") for header in others]
    return Table(
        Column(first, overflow="fold"), *columns,
        box=SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False,
        caption=caption, caption_justify="left",
    )  # fmt: skip


def _plain(name: str) -> str:
    """Return a name as a cell that no brackets in it change."""
    from rich.markup import escape

    return escape(name)


def _paid(paid: Paid) -> str:
    return f"{'-' if paid.score is None else f'{paid.score:.2f}'} {_SIGNS[paid.mark]}"


def _share(value: Share | None) -> str:
    return "-" if value is None else f"{100 * value.mean:.0f} [{100 * value.low:.0f}-{100 * value.high:.0f}]"


def _percent(value: Share | None) -> str:
    return "-" if value is None else f"{100 * value.mean:.0f}"


def _fraction(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
