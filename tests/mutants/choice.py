"""Which tests should notice a change: those that reach its line.

A line that runs when its module is imported is reached by what mentions the names that it defines.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import PurePath

from tests.mutants.changes import Change
from tests.mutants.reach import Reach

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """A file: which of its lines run when a function is called, and what the others define."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source
        self._bodies: dict[int, range] = {}
        self._names: dict[int, set[str]] = {}
        self._walk(ast.parse(source), set())

    def _walk(self, node: ast.AST, names: set[str]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                named = names | _defined(child)
                for line in range(child.lineno, (child.end_lineno or child.lineno) + 1):
                    self._names[line] = _defined(child) or names
                if isinstance(child, Function):
                    body = range(child.body[0].lineno, (child.end_lineno or 0) + 1)
                    self._bodies |= dict.fromkeys(body, body)
                else:
                    self._walk(child, named)

    def body(self, line: int) -> range | None:
        """Return the lines of the function that this line is in."""
        return self._bodies.get(line)

    def defined(self, line: int) -> set[str]:
        return self._names.get(line, set())

    @cached_property
    def words(self) -> dict[str, set[int]]:
        """Where each word is."""
        found: dict[str, set[int]] = {}
        for number, text in enumerate(self.source.splitlines(), 1):
            for word in re.findall(r"\w+", text):
                found.setdefault(word, set()).add(number)
        return found

    def mentions(self, names: set[str]) -> Iterator[int]:
        for name in names:
            yield from self.words.get(name, ())


def _defined(statement: ast.stmt) -> set[str]:
    if isinstance(statement, Function | ast.ClassDef):
        return {statement.name}
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return {
        node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name)
    }


def choose(modules: Mapping[str, Module], reach: Reach, path: str, change: Change) -> list[str]:
    """Return the tests in the order in which they run: the file's own first, the fastest first."""
    module = modules[path]
    body = module.body(change.lines[0])
    if body:
        tests = reach.of(path, change.lines) or reach.of(path, body)
    else:
        tests = _of_names(modules, reach, module, change.lines[0])
    file = PurePath(path)
    own = str(PurePath("tests", *file.parts[1:-1], f"test_{file.stem}"))
    return sorted(tests, key=lambda test: (not test.startswith(own), reach.took_s.get(test, 0.0), test))


def _of_names(modules: Mapping[str, Module], reach: Reach, module: Module, line: int) -> set[str]:
    names, known = module.defined(line), set[str]()
    while names != known:  # a constant in a table is used where the table is
        known = names
        others = {mention for mention in module.mentions(names) if not module.body(mention)}
        names = names.union(*(module.defined(other) for other in others))
    return {
        test
        for each in modules.values()
        for test in reach.of(each.path, (mention for mention in each.mentions(names) if each.body(mention)))
    }
