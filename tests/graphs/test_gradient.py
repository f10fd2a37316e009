import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.gradient import Edge, FailedCall, Gradients, Note, TextGradient
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Usage

notes = st.builds(Note, st.sampled_from("abcdef"), st.text("xyz", min_size=1, max_size=2))
gradients = st.lists(notes, max_size=8).map(lambda items: TextGradient.sum(TextGradient((item,)) for item in items))


@pytest.fixture(params=[256, 3], ids=["unbounded", "cut at 3"], autouse=True)
def _bound(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TextGradient, "bound", request.param)


@given(gradients, gradients)
def test_addition_is_commutative(a: TextGradient, b: TextGradient) -> None:
    assert a + b == b + a


@given(gradients, gradients, gradients)
def test_addition_is_associative_also_where_the_bound_cuts(a: TextGradient, b: TextGradient, c: TextGradient) -> None:
    assert (a + b) + c == a + (b + c) == TextGradient.sum([c, a, b])


@given(gradients)
def test_zero_is_the_identity_and_adding_oneself_changes_nothing(a: TextGradient) -> None:
    assert a + TextGradient() == a == TextGradient() + a
    assert a + a == a


@given(gradients, gradients)
def test_a_sum_is_bounded_sorted_and_distinct(a: TextGradient, b: TextGradient) -> None:
    total = (a + b).notes
    assert len(total) <= TextGradient.bound
    assert list(total) == sorted(set(total))
    assert set(total) <= {*a.notes, *b.notes}
    if len({*a.notes, *b.notes}) <= TextGradient.bound:
        assert set(total) == {*a.notes, *b.notes}


def test_blank_text_is_zero_and_text_is_stripped() -> None:
    assert TextGradient.of("a", " \n ") == TextGradient()
    assert not TextGradient.of("a", "")
    assert TextGradient.of("a", " carry \n") == TextGradient.of("a", "carry")


def test_the_text_has_every_remark_once_and_counts_how_many_said_it() -> None:
    total = TextGradient.sum([TextGradient.of(source, "Carry.") for source in ("t1", "t2")])
    assert total.text == "Carry."
    assert (total + TextGradient.of("t0", "Brief.")).counted() == [("Carry.", 2), ("Brief.", 1)]


def edge(trace: str, call: str, target: str, kind: str = "prompt") -> Edge:
    return Edge(trace, call, kind, target)


edges = st.builds(
    edge,
    st.sampled_from("tu"),
    st.sampled_from("xyz"),
    st.sampled_from(["p", "q"]),
    st.sampled_from(["prompt", "value"]),
)
failures = st.builds(FailedCall, st.sampled_from("tu"), st.sampled_from("xyz"), st.just(Failure("a", "b")))
results = st.builds(
    Gradients,
    st.dictionaries(edges, gradients, max_size=5),
    st.dictionaries(st.sampled_from("tu"), st.just(Feedback(score=0.0))),
    st.lists(failures, max_size=3).map(tuple),
)


@given(results, results, results)
def test_merging_is_associative(a: Gradients, b: Gradients, c: Gradients) -> None:
    one, other = (a | b) | c, a | (b | c)
    assert one.edges == other.edges
    assert one.failed == other.failed
    assert one.prompts == other.prompts


@given(results, results)
def test_what_is_merged_again_counts_once_and_the_later_one_wins(a: Gradients, b: Gradients) -> None:
    merged = a | b
    assert (merged | b).edges == merged.edges
    assert (merged | b).values == merged.values
    assert all(merged.edges[key] == gradient for key, gradient in b.edges.items())
    assert set(merged.edges) == {*a.edges, *b.edges}


@given(results, results, results)
def test_adding_is_commutative_associative_and_counts_what_both_say_once(
    a: Gradients, b: Gradients, c: Gradients
) -> None:
    assert (a + b).edges == (b + a).edges
    assert ((a + b) + c).edges == (a + (b + c)).edges
    assert (a + a).edges == a.edges
    assert all((a + b).edges[key] == gradient + b.edges.get(key, TextGradient()) for key, gradient in a.edges.items())


@given(results, results)
def test_a_failure_is_dropped_exactly_when_its_call_is_settled(a: Gradients, b: Gradients) -> None:
    settled = {(item.trace_id, item.call_key) for item in (*a.edges, *b.edges)}
    expected = {(item.trace_id, item.call_key) for item in (*a.failed, *b.failed)} - settled
    failed = [(item.trace_id, item.call_key) for item in (a | b).failed]
    assert failed == sorted(expected)


def test_gradients_are_summed_by_target_and_zeros_are_left_out() -> None:
    carry, brief = TextGradient.of("t/x", "Carry."), TextGradient.of("u/x", "Brief.")
    merged = Gradients(
        {
            edge("t", "x", "solve.system"): carry,
            edge("u", "x", "solve.system"): brief,
            edge("u", "x", "plan.system"): TextGradient(),
            edge("t", "x", "k", "value"): carry,
            edge("t", "y", "k", "value"): brief,
            edge("u", "y", "k", "value"): TextGradient(),
        },
        usage=Usage(1, 2, 3),
    )
    assert merged.prompts == {"solve.system": carry + brief}
    assert merged.values == {("t", "k"): carry + brief}
    assert (merged | merged).usage == Usage(2, 4, 6)
