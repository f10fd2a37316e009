import json

from textgrad_rl_critics.review_folder import ReviewFolder
from textgrad_rl_critics.sheet import Opinion, Sheet

SHEETS = [Sheet("a", "6 * 7?", "41\u2028é\ud800", answer="42"), Sheet("b", "1 + 1?", "2")]


def test_what_is_pending(tmp_path):
    folder = ReviewFolder(tmp_path / "new" / "reviews")
    assert folder.read() == {}
    folder.publish(SHEETS)
    lines = [json.loads(line) for line in folder.pending.read_text("utf-8").split("\n")[:-1]]
    assert lines == [sheet.record() for sheet in SHEETS]
    folder.publish([])
    assert folder.pending.read_text("utf-8") == ""


def test_the_last_answer_holds(tmp_path):
    folder = ReviewFolder(tmp_path)
    folder.add(SHEETS[0], Opinion(1.0, True))
    folder.add(SHEETS[0], Opinion(0.0, False, "Carry\u2028the ten."))
    folder.add(SHEETS[1], Opinion(0.5))
    assert ReviewFolder(tmp_path).read() == {"a": Opinion(0.0, False, "Carry\u2028the ten."), "b": Opinion(0.5)}


def test_a_pending_line_that_is_not_filled_in_is_no_answer(tmp_path):
    folder = ReviewFolder(tmp_path)
    folder.publish(SHEETS)
    folder.answers.write_bytes(folder.pending.read_bytes())
    assert folder.read() == {}


def test_a_line_that_cannot_be_read_is_told_once(tmp_path, caplog):
    folder = ReviewFolder(tmp_path)
    lines = [
        '{"id": "a", "score": 1',
        "3",
        '{"correct": true}',
        '{"id": "b", "score": 2}',
        "",
        '{"id": "c", "score": 1}',
    ]
    folder.answers.write_text("\n".join(lines), "utf-8")
    assert folder.read() == folder.read() == {"c": Opinion(1.0)}
    told = [record.getMessage() for record in caplog.records]
    assert [f"line {number} is no answer" in text for number, text in enumerate(told, 1)] == [True] * 4
