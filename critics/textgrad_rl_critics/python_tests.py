"""Read Python tests: which of their statements are tests, and which names they expect of the code.

A statement is a test when it asserts or raises, itself or through a function of the tests. Imports, assignments,
definitions and other calls prepare those that follow. Left out: pytest's fixtures and parameters, and doctest.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import final

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@final
@dataclass(frozen=True, slots=True)
class PythonTests:
    """Tests to run in order.

    Attributes:
        steps: statements, each with whether it is a test.
        imports: all import statements of the tests, except those that a ``try`` guards.
        names: what the tests use and neither they nor Python define: the code has to.
    """

    steps: tuple[tuple[str, bool], ...] = ()
    imports: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()

    @property
    def total(self) -> int:
        """The number of tests."""
        return sum(counts for _, counts in self.steps)


def read_tests(source: str, entry_point: str | None = None) -> PythonTests:
    """Return the tests of Python source.

    Beside statements that assert, tests are: functions ``test_...`` without parameters, methods ``test...`` of a
    ``unittest.TestCase``, and ``check(candidate)`` with the entry point as its candidate. What would do nothing, a
    comparison without ``assert``, is asserted.

    Args:
        source: of the tests.
        entry_point: the name of what is tested.

    Raises:
        SyntaxError: for source that is no Python.
        ValueError: for tests that catch, inherit or ask for a class of the code, which stays in its own process.

    >>> tests = read_tests("import math; double(2) == 4; assert double(math.pi) > 6")
    >>> tests.steps
    (('import math', False), ('assert double(2) == 4', True), ('assert double(math.pi) > 6', True))
    >>> tests.imports, tests.names
    (('import math',), frozenset({'double'}))
    """
    module = _Asserted().visit(ast.parse(source))
    judging = _judging(module.body)
    steps = [(ast.unparse(node), _judges(node, judging)) for node in module.body]
    called = {name for node in module.body if not isinstance(node, _Function | ast.ClassDef) for name in _names(node)}
    steps += [(call, True) for call in _calls(module.body, entry_point, called)]
    names = _undefined("\n".join(step for step, _ in steps))
    if classes := sorted(name for node in _classes(module) for name in _names(node) & names):
        raise ValueError(f"{classes[0]} is a class of the code: tests can call it, not catch it or ask isinstance")
    imports = tuple(ast.unparse(node) for node in _imports(module))
    return PythonTests(tuple(steps), imports, frozenset(names))


class _Asserted(ast.NodeTransformer):
    """Asserts the comparisons that stand alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.Assert(test=node.value, msg=None) if _compares(node.value) else node


def _compares(node: ast.expr) -> bool:
    if isinstance(node, ast.BoolOp):
        return all(map(_compares, node.values))
    return isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not))


def _judging(body: Sequence[ast.stmt]) -> set[str]:
    """Return the functions that assert or raise, themselves or through one another."""
    functions = {node.name: node for node in body if isinstance(node, _Function)}
    found = {name for name, node in functions.items() if _may_fail(node)}
    while more := {name for name, node in functions.items() if _names(node) & found} - found:
        found |= more
    return found


def _judges(node: ast.stmt, judging: Collection[str]) -> bool:
    if isinstance(node, _Function | ast.ClassDef):
        return False
    return _may_fail(node) or not _names(node).isdisjoint(judging)


def _may_fail(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Assert | ast.Raise) for part in ast.walk(node))


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _calls(body: Sequence[ast.stmt], entry_point: str | None, called: Collection[str]) -> Iterator[str]:
    """Yield the calls that run what the tests define and do not call themselves."""
    for node in body:
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("TestCase") for base in node.bases):
            for method in node.body:
                if isinstance(method, _Function) and method.name.startswith("test"):
                    yield f"__import__('unittest').TestSuite([{node.name}({method.name!r})]).debug()"
        if isinstance(node, ast.FunctionDef) and node.name not in called:
            if node.name.startswith("test") and not node.args.args:
                yield f"{node.name}()"
            if node.name == "check" and entry_point:
                yield f"check({entry_point})"


def _imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    for child in ast.iter_child_nodes(node) if not isinstance(node, ast.Try) else ():
        yield from _imports(child)


def _classes(module: ast.Module) -> Iterator[ast.expr]:
    """Yield what has to be a class of this process: to be caught, inherited, or asked for."""
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler) and node.type:
            yield node.type
        elif isinstance(node, ast.ClassDef):
            yield from node.bases
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            yield from node.args[1:]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".assertRaises"):
            yield from node.args[:1]


def _undefined(source: str) -> set[str]:
    """Return the global names that are read and never bound; none where an import of ``*`` binds names unseen."""
    if any(alias.name == "*" for node in _imports(ast.parse(source)) for alias in node.names):
        return set()
    module = symtable.symtable(source, "tests.py", "exec")
    symbols = [(table, symbol) for table in _tables(module) for symbol in table.get_symbols()]
    here = [symbol for table, symbol in symbols if table is module or symbol.is_global()]
    bound = {symbol.get_name() for symbol in here if symbol.is_assigned() or symbol.is_imported()}
    return {symbol.get_name() for symbol in here if symbol.is_referenced()} - bound - {*dir(builtins), "__file__"}


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)
