import subprocess
import sys

import pytest

from textgrad_rl_graphs.errors import RecordsError
from textgrad_rl_graphs.lock import exclusive

pytest.importorskip("fcntl")

HOLD = """
import sys, time
from pathlib import Path
from textgrad_rl_graphs.lock import exclusive
with exclusive(Path(sys.argv[1]), "it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_once_and_free_again_afterwards(tmp_path):
    path = tmp_path / "new" / "lock"
    for _ in range(2):
        with (
            exclusive(path, "the run"),
            pytest.raises(RecordsError, match="the run is being written already, by another process"),
            exclusive(path, "the run"),
        ):
            pass
    assert path.read_text() == ""


def test_another_process_is_kept_out_until_the_holder_dies(tmp_path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{HOLD}", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RecordsError, match="it is being written already"), exclusive(path, "it"):
            pass
        holder.kill()
    with exclusive(path, "it"):
        pass


def test_the_content_of_a_locked_file_stays(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text("kept")
    with exclusive(path, "it"):
        pass
    assert path.read_text() == "kept"


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordsError, match=r"cannot write .*file"), exclusive(tmp_path / "file" / "lock", "it"):
        pass
