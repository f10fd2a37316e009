"""Processes that share an update: real ones, joined by torch.distributed over gloo."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[3]
WORKER = ROOT / "tests" / "support" / "rank_worker.py"


@pytest.mark.slow
def test_any_number_of_processes_makes_the_update_of_one(tmp_path: Path) -> None:
    roots = os.pathsep.join(str(ROOT / name) for name in (".", "graphs", "critics"))
    environment = os.environ | {"PYTHONPATH": roots, "GLOO_SOCKET_IFNAME": "lo"}
    for ranks in (1, 2, 3):
        processes = [
            subprocess.Popen(
                [sys.executable, str(WORKER), str(rank), str(ranks), str(tmp_path)], env=environment,
                stderr=subprocess.PIPE, text=True,
            )
            for rank in range(ranks)
        ]  # fmt: skip
        told = [process.communicate(timeout=240)[1] for process in processes]
        assert [process.returncode for process in processes] == [0] * ranks, told
        (tmp_path / "meet").unlink(missing_ok=True)
    gradient, weights = torch.load(tmp_path / "0-of-1.pt")
    for ranks in (2, 3):
        for rank in range(ranks):
            shared, moved = torch.load(tmp_path / f"{rank}-of-{ranks}.pt")
            assert (shared - gradient).norm() <= 1e-6 * gradient.norm()
            assert (moved - weights).norm() <= 1e-5 * weights.norm()
