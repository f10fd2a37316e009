"""Progress on the terminal: one line per step with the numbers that matter."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, final

from textgrad_rl.trainer.report import StepReport

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = ("step", "held-out accuracy", "reward", "dead groups", "refined right", "tokens", "time left")
_WIDTHS = (9, 26, 7, 12, 14, 8, 10)


@final
class Progress:
    """A callback of the trainer that prints a line per step.

    Args:
        console: where to print; a new one on standard output by default.
        every: print every so many steps; steps with an evaluation or news of a prompt are always printed.
    """

    def __init__(self, console: Console | None = None, *, every: int = 1) -> None:
        """Print nothing yet."""
        from rich.console import Console

        self.console = console or Console(highlight=False)
        self.every = every
        self._seconds: list[float] = []
        self._started = False

    def __call__(self, report: StepReport) -> None:
        """Print a step."""
        if not self._started:
            self._print(_line(_COLUMNS), "bold")
            self._started = True
        if report.step:
            self._seconds.append(report.seconds)
        if (
            report.step % self.every == 0
            or report.evaluation is not None
            or report.prompts
            or report.step == report.steps
        ):
            self._print(_line(_cells(report, self._left(report))))
        for line in report.prompts:
            self._print(f"         {line}", "dim")

    def _print(self, line: str, style: str = "") -> None:
        self.console.print(line, style=style, markup=False, soft_wrap=True)

    def _left(self, report: StepReport) -> str:
        if not self._seconds:
            return ""
        seconds = round(fmean(self._seconds[-8:]) * (report.steps - report.step))
        return f"{seconds // 60}:{seconds % 60:02d}"


def _line(cells: tuple[str, ...]) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _cells(report: StepReport, left: str) -> tuple[str, ...]:
    metrics, found = report.metrics, report.evaluation
    accuracy = "" if found is None else f"{found.mean:6.1%} [{found.low:.1%}, {found.high:.1%}]"
    if not report.step:
        return ("0", accuracy, "", "", "", "0", "")
    refined = f"{metrics['refined_right']:.0f}/{metrics['refined']:.0f}" if metrics["refined"] else ""
    tokens = report.usage.generated_tokens
    return (
        f"{report.step}/{report.steps}",
        accuracy,
        f"{metrics['reward']:.3f}",
        f"{metrics['dead_groups']:.0f}/{metrics['groups']:.0f}",
        refined,
        f"{tokens / 1000:.0f}k" if tokens >= 1000 else str(tokens),
        left,
    )
