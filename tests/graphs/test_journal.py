import json
import os
import subprocess
import sys

import pytest

from textgrad_rl_graphs.errors import RecordsError
from textgrad_rl_graphs.journal import FileJournal


def filled(path, count=3):
    journal = FileJournal(path)
    for number in range(count):
        journal.put(f"k{number}", {"number": number})
    journal.close()
    return journal


def test_entries_are_there_at_once_and_after_a_restart(tmp_path):
    journal = filled(tmp_path / "new" / "j.jsonl")
    assert (len(journal), journal.get("k1"), journal.get("k9")) == (3, {"number": 1}, None)
    again = FileJournal(tmp_path / "new" / "j.jsonl")
    assert [again.get(f"k{number}") for number in range(3)] == [{"number": number} for number in range(3)]


def test_an_entry_is_on_disk_when_put_returns(tmp_path):
    journal = FileJournal(tmp_path / "j.jsonl")
    journal.put("k", {"text": "paid"})  # not closed, not flushed
    assert FileJournal(tmp_path / "j.jsonl").get("k") == {"text": "paid"}
    journal.close()


def test_a_journal_that_nothing_was_put_into_leaves_no_file(tmp_path):
    FileJournal(tmp_path / "j.jsonl").close()
    assert list(tmp_path.iterdir()) == []


def test_the_last_entry_of_a_key_counts(tmp_path):
    journal = FileJournal(tmp_path / "j.jsonl")
    journal.put("k", {"number": 1})
    journal.put("k", {"number": 2})
    journal.close()
    assert FileJournal(tmp_path / "j.jsonl").get("k") == {"number": 2}


def test_a_line_cut_short_is_dropped_wherever_the_kill_came(tmp_path):
    path = tmp_path / "j.jsonl"
    filled(path, 2)
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for end in range(second, len(whole)):
        path.write_bytes(whole[:end])
        journal = FileJournal(path)
        assert (len(journal), journal.get("k0")) == (1, {"number": 0})
        journal.put("k2", {"ü": "é"})
        journal.close()
        assert FileJournal(path).get("k2") == {"ü": "é"}
        assert path.read_bytes().startswith(whole[:second])


@pytest.mark.parametrize("line", ["{broken", "[]", '{"key": "k"}', "", '"text"', "3", "\\xff"])
def test_a_broken_line_in_the_middle_is_an_error_with_its_number(tmp_path, line):
    path = tmp_path / "j.jsonl"
    filled(path)
    lines = path.read_text("utf-8").split("\n")
    path.write_text("\n".join([lines[0], line, *lines[2:]]), "utf-8")
    with pytest.raises(RecordsError, match=r"j\.jsonl, line 2 is no journal entry: .*move the file away"):
        FileJournal(path)


@pytest.mark.parametrize("text", ["Zeile\nzwei", "\u2028 \u0085 \r", "漢字", "half an emoji \ud83d", "\x00"])
def test_any_text_comes_back_as_it_was(tmp_path, text):
    journal = FileJournal(tmp_path / "j.jsonl")
    journal.put("before", {})
    journal.put("k", {"text": text})
    journal.put("after", {})
    journal.close()
    assert FileJournal(tmp_path / "j.jsonl").get("k") == {"text": text}
    assert (tmp_path / "j.jsonl").read_bytes().count(b"\n") == 3


FULL_DISK = """
import resource, signal, sys
from textgrad_rl_graphs.errors import RecordsError
from textgrad_rl_graphs.journal import FileJournal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
journal = FileJournal(sys.argv[1])
count = 0
try:
    while True:
        journal.put(f"k{count}", {"text": "x" * int(sys.argv[3])})
        count += 1
except RecordsError as error:
    print(count, journal.get(f"k{count}"))
    print(error)
try:
    journal.put("again", {"text": "x" * int(sys.argv[3])})
except RecordsError:
    print("still full")
# Room again, and the same process goes on.
resource.setrlimit(resource.RLIMIT_FSIZE, (10 * size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
journal.put("later", {"text": "y"})
journal.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
@pytest.mark.parametrize("length", [200, 30_000])  # below and above the size of any buffer
def test_a_full_disk_says_what_to_do_and_leaves_a_journal_that_can_be_read(tmp_path, length):
    path = tmp_path / "j.jsonl"
    command = [sys.executable, "-W", "error", "-c", FULL_DISK, str(path), "100000", str(length)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
    first, message, again = found.stdout.strip().split("\n")
    count, missing = first.split()
    assert missing == "None"  # what could not be written is not remembered either
    assert f"cannot write {path}: File too large" in message
    assert "make room or fix the permissions, then start the same command again" in message
    assert again == "still full"
    journal = FileJournal(path)
    assert len(journal) == int(count) + 1 > 2
    assert journal.get("later") == {"text": "y"}
    assert journal.get("k0") == {"text": "x" * length}
    assert journal.get("again") is None


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordsError, match=r"cannot write .*file"):
        FileJournal(tmp_path / "file" / "j.jsonl").put("k", {})


def test_a_line_is_one_json_object(tmp_path):
    filled(tmp_path / "j.jsonl", 1)
    assert json.loads((tmp_path / "j.jsonl").read_text()) == {"key": "k0", "entry": {"number": 0}}
