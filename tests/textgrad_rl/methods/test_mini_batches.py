from textgrad_rl.methods.mini_batches import mini_batches
from textgrad_rl.policies import Row, Segment


def rows(groups: int, size: int = 3) -> list[Row]:
    return [
        Row(
            context=Segment((1,)), output_ids=(2,), logprobs=(), advantage=1.0, reward=0.0, group=str(group),
            source=f"{group}.{n}",
        )
        for n in range(size)
        for group in range(groups)
    ]  # fmt: skip


def names(part: list[Row]) -> list[str]:
    return [row.source for row in part]


def test_one_part_holds_the_rows_as_they_came():
    batch = rows(4)
    assert mini_batches(batch, 1, seed=3) == [batch]
    assert mini_batches([], 1, seed=3) == mini_batches([], 2, seed=3) == []


def test_groups_stay_whole_and_every_row_is_in_one_part():
    batch = rows(7)
    parts = mini_batches(batch, 3, seed=0)
    assert sorted(len(part) // 3 for part in parts) == [2, 2, 3]
    assert sorted(name for part in parts for name in names(part)) == sorted(names(batch))
    for part in parts:
        for group in {row.group for row in part}:
            assert [name for name in names(part) if name.startswith(f"{group}.")] == [f"{group}.{n}" for n in range(3)]


def test_the_order_is_that_of_the_seed():
    def order(seed):
        return [names(part) for part in mini_batches(rows(6), 2, seed)]

    assert order(0) == order(0)
    assert len({str(order(seed)) for seed in range(8)}) > 4


def test_there_are_no_more_parts_than_groups():
    assert [len(part) for part in mini_batches(rows(2), 5, seed=0)] == [3, 3]
