"""Which tests should notice a change: those that reach its line.

A line that runs when a module is imported, maybe in a function, is reached by what mentions the names that it
defines: lines of functions in the program, and test files.
"""

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePath

from tests.mutants.changes import Change
from tests.mutants.reach import Reach, sources

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Module:
    """A file: which of its lines run when a function is called, and what the others define."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source
        self._bodies: dict[int, range] = {}
        self._names: dict[int, set[str]] = {}
        self._classes: dict[int, set[str]] = {}
        self._walk(ast.parse(source), set())

    def _walk(self, node: ast.AST, classes: set[str]) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                lines = range(child.lineno, (child.end_lineno or child.lineno) + 1)
                self._names |= dict.fromkeys(lines, _defined(child))
                self._classes |= dict.fromkeys(lines, classes)
                if isinstance(child, Function):
                    body = range(child.body[0].lineno, lines.stop)
                    self._bodies |= dict.fromkeys(body, body)
                else:
                    self._walk(
                        child, classes | _defined(child) if isinstance(child, ast.ClassDef) else classes
                    )

    def body(self, line: int) -> range | None:
        """Return the lines of the function that this line is in."""
        return self._bodies.get(line)

    def defined(self, line: int) -> set[str]:
        return self._names.get(line, set())

    def around(self, line: int) -> set[str]:
        """Return the names of the classes that this line is in."""
        return self._classes.get(line, set())

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


class Choice:
    """The tests of a tree, by what they reach and what they mention."""

    def __init__(self, tree: Path, reach: Reach) -> None:
        self._reach = reach
        self._modules = {path: Module(path, text) for path, text in sources(tree).items()}
        files = {test.partition("::")[0] for test in reach.took_s}
        self._words = {file: set(re.findall(r"\w+", (tree / file).read_text())) for file in files}

    def tests(self, path: str, change: Change) -> list[str]:
        """Return the tests in the order in which they run: the file's own first, the fastest first."""
        module, lines = self._modules[path], change.lines
        body = module.body(lines[0])
        found = self._reach.of(path, lines) or self._reach.of(path, body or lines)
        if not body or self._reach.at_import(path, lines):
            named = self._of_names(module, lines[0])
            found = named | found if body else named or found
        file = PurePath(path)
        own = str(PurePath("tests", *file.parts[1:-1], f"test_{file.stem}"))
        took_s = self._reach.took_s
        return sorted(found, key=lambda test: (not test.startswith(own), took_s.get(test, 0.0), test))

    def _of_names(self, module: Module, line: int) -> set[str]:
        names, known = module.defined(line), set[str]()
        while names != known:  # a constant in a table is used where the table is
            known = names
            others = {mention for mention in module.mentions(names) if not module.body(mention)}
            names = names.union(*(module.defined(other) for other in others))
        reached = {
            test
            for each in self._modules.values()
            for test in self._reach.of(each.path, filter(each.body, each.mentions(names)))
        }
        said = names | module.around(line)
        return reached | {test for test in self._reach.took_s if said & self._words[test.partition("::")[0]]}
