"""Which statements are tests, and what they expect of the code."""

import pytest

from textgrad_rl_critics.python_tests import read_tests

CASE = """
import unittest
class TestDouble(unittest.TestCase):
    def setUp(self): self.one = 1
    def test_one(self): self.assertEqual(double(self.one), 2)
    def test_two(self): self.assertEqual(double(2), 4)
    def helper(self): pass
if __name__ == "__main__":
    unittest.main()
"""
CALLED = "def judge(x): assert x\ndef judge_all(): judge(double(1) == 2)\ndef fill(): x.append(1)\n"


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        ("import math\nfrom os import path", []),
        ("x = double(2)\nx += 1\ny: int = 3", []),
        ("def check(candidate): assert candidate(2) == 4", []),
        ("class A:\n    def check(self): assert False", []),
        ("double(2)\nprint(2)", []),
        ("assert double(2) == 4", ["assert double(2) == 4"]),
        ("double(2) == 4", ["assert double(2) == 4"]),
        ("not double(0)", ["assert not double(0)"]),
        ("double(2) == 4 and double(1) == 2", ["assert double(2) == 4 and double(1) == 2"]),
        ("x and double(2)", []),
        ("for x in [1]: double(x) == 2 * x", ["for x in [1]:\n    assert double(x) == 2 * x"]),
        ("if double(2) != 4: raise ValueError", ["if double(2) != 4:\n    raise ValueError"]),
        (f"{CALLED}judge(1)\nfill()\njudge_all()", ["judge(1)", "judge_all()"]),
        ("def test_one(): assert double(1) == 2\ndef test_two(x): assert x\nx = 1", ["test_one()"]),
        ("def test_one(): assert double(1) == 2\ntest_one()", ["test_one()"]),
        (CASE, [f"__import__('unittest').TestSuite([TestDouble('test_{name}')]).debug()" for name in ("one", "two")]),
    ],
)
def test_what_judges_is_a_test_and_what_prepares_is_none(source, tests):
    assert [step for step, counts in read_tests(source).steps if counts] == tests
    assert read_tests(source).total == len(tests)


def test_check_is_called_once_with_the_entry_point():
    source = "def check(candidate): assert candidate(2) == 4"
    assert read_tests(source, "double").steps[-1] == ("check(double)", True)
    assert read_tests(f"{source}\ncheck(double)", "double").total == 1
    assert read_tests(source).total == 0


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("assert double(2) == abs(-4)", {"double"}),
        ("import math as m\nfrom os import path\nassert m.pi and path", set()),
        ("stack = Stack()\nassert len(stack) == size", {"Stack", "size"}),
        (
            "def check(candidate):\n    wanted = 4\n    assert candidate(one) == wanted\ncheck(double)",
            {"one", "double"},
        ),
        ("def start():\n    global x\n    x = 1\nstart()\nassert x", set()),
        ("class A:\n    y = 1\n    z = y\nassert [w for w in A.z if w == v]", {"v"}),
        ("try:\n    double(1)\nexcept ValueError as error:\n    assert error", {"double"}),
        ("assert (x := double(1)) and x", {"double"}),
        ("from math import *\nassert sqrt(double(2)) == 2", set()),
    ],
)
def test_names_that_the_code_has_to_define(source, names):
    assert read_tests(source).names == names


def test_imports_wherever_they_stand_except_guarded_ones():
    source = (
        "import math\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\ndef f():\n    from os import path"
    )
    assert read_tests(source).imports == ("import math", "from os import path")


@pytest.mark.parametrize(
    "source",
    [
        "try: pop()\nexcept (ValueError, Empty): pass\nelse: assert False",
        "class Twice(Stack): pass\nassert Twice()",
        "assert isinstance(make(), Stack)",
        "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertRaises(Empty, pop)",
    ],
)
def test_classes_of_the_code_cannot_be_used_as_classes(source):
    with pytest.raises(ValueError, match=r"^(Empty|Stack) is a class of the code"):
        read_tests(source)
