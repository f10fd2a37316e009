from itertools import combinations

import pytest
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text

from textgrad_rl.critic_eval.labels import place_labels

NAMES = ["verifier", "math-verify", "indicative", "semantic-similarity", "generative-reward", "rank", "majority"]


@pytest.fixture
def axes():
    axes = Figure(figsize=(5, 4)).add_subplot()
    axes.set(xlim=(1e-4, 1), ylim=(0.8, 1.05), xscale="log")
    return axes


def extent(label):
    """The box of a text, without the line to its point."""
    return Text.get_window_extent(label)


@pytest.mark.parametrize(
    "points",
    [
        [(0.01, 0.9)] * 7,
        [(0.01 * 1.1**number, 1.0) for number in range(7)],
        [(1e-4, 1.05), (1, 1.05), (1e-4, 0.8), (1, 0.8), (0.01, 0.8), (0.01, 1.05), (1, 0.9)],
    ],
    ids=["in one place", "close together", "in the corners"],
)
def test_all_are_readable(axes, points):
    labels = place_labels(axes, points, NAMES)
    texts = [extent(label) for label in labels]
    assert not any(one.overlaps(other) for one, other in combinations(texts, 2))
    inside = axes.get_window_extent()
    assert all(inside.contains(text.x0, text.y0) and inside.contains(text.x1, text.y1) for text in texts)
    assert [label.xy for label in labels] == points


def test_a_name_stands_to_the_right_of_a_lonely_point_and_keeps_off_lines(axes):
    (free,) = place_labels(axes, [(0.01, 0.9)], ["free"])
    assert free.get_position()[0] > 0
    assert free.get_position()[1] == pytest.approx(0)
    (beside,) = place_labels(axes, [(0.01, 0.9)], ["beside"], lines=[((0.01, 0.9), (1, 0.9))])
    assert beside.get_position()[1] != pytest.approx(0)


def test_lines_to_points_do_not_cross_others(axes):
    points = [(0.01, 0.9), (0.02, 0.9), (0.04, 0.9)]
    labels = place_labels(axes, points, ["a long name", "another long name", "the longest name of all"])
    pixels = axes.transData.transform(points)
    for label, own in zip(labels, pixels, strict=True):
        text = extent(label)
        line = Path([own, ((text.x0 + text.x1) / 2, (text.y0 + text.y1) / 2)])
        others = [pixel for pixel in pixels if tuple(pixel) != tuple(own)]
        assert not any(line.intersects_path(Path([pixel - 1, pixel + 1])) for pixel in others)


def test_where_nothing_is_free_it_stands_beside_its_point():
    axes = Figure(figsize=(0.5, 0.5)).add_subplot()
    (label,) = place_labels(axes, [(0.5, 0.5)], ["a name far too long for axes this small"])
    assert label.get_position()[0] > 0
