"""What a mutant may change in a file: one place of its text, the rest stays as it is.

Not changed is what the type checker or a person reads, and no test can: annotations, docstrings, assertions,
the arguments of `@dataclass`, the wording of log lines, and what runs only for the type checker.
"""

import ast
import re
from dataclasses import dataclass
from itertools import pairwise

COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "is not": ("is",),
    "is": ("is not",),
    "not in": ("in",),
    "in": ("not in",),
    "and": ("or",),
    "or": ("and",),
}
ARITHMETIC = {
    "+": "-",
    "-": "+",
    "*": "/",
    "//": "*",
    "/": "*",
    "%": "*",
    "**": "*",
    "|": "&",
    "&": "|",
    "<<": ">>",
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any"}
OPERATOR = re.compile(r"is\s+not\b|not\s+in\b|is\b|in\b|and\b|or\b|<<|>>|<=|>=|==|!=|\*\*|//|[-<>+*/%|&]")
SMALL = 10
SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|JOIN|FROM)\s")
SQL_CHANGES = (
    (r"<=", "<"),
    (r">=", ">"),
    (r"(?<![<>=-])<(?![=<>])", "<="),
    (r"(?<![<>=-])>(?![=<>])", ">="),
    (r"\bAND\b", "OR"),
    (r"\bOR\b", "AND"),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bNOT (?!NULL|MATERIALIZED)", ""),
    (r"\bASC\b", "DESC"),
    (r"\bDESC\b", "ASC"),
    (r"\bmin\(", "max("),
    (r"\bmax\(", "min("),
    (r"\bleast\(", "greatest("),
    (r"\bgreatest\(", "least("),
    (r"\bDISTINCT ", ""),
    (r"\bLEFT JOIN\b", "JOIN"),
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r" ON CONFLICT DO NOTHING", ""),
    (r" FOR UPDATE", ""),
    (r"(?<![\w$.'])0(?![\w.'])", "1"),
    (r"(?<![\w$.'])1(?![\w.'])", "2"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """Characters from `start` to `end` become `new`; `lines` are those of the statement around them."""

    start: int
    end: int
    new: str
    lines: range

    def apply(self, source: str) -> str:
        return source[: self.start] + self.new + source[self.end :]

    def shown(self, source: str) -> tuple[str, str]:
        """Return the line or lines before and after, each as one line."""
        begin = source.rfind("\n", 0, self.start) + 1
        end = source.find("\n", self.end)
        after = source[begin : self.start] + self.new + source[self.end : end]
        return " ".join(source[begin:end].split()), " ".join(after.split())


def changes(source: str) -> list[Change]:
    """Return all that compile, in the order of the text."""
    found = _Changes(source)
    found.visit(ast.parse(source))
    return sorted(set(found.found), key=lambda change: (change.start, change.end, change.new))


def compiles(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


class _Changes(ast.NodeVisitor):
    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[Change] = []
        self.lines = range(1, 2)
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.texts = source.splitlines()

    # Places in the text.

    def begin(self, node: ast.expr | ast.stmt) -> int:
        return self._place(node.lineno, node.col_offset)

    def finish(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._place(node.end_lineno, node.end_col_offset)

    def _place(self, line: int, column: int) -> int:
        text = self.texts[line - 1] if line <= len(self.texts) else ""
        return self.starts[line - 1] + len(text.encode()[:column].decode())

    def replace(self, node: ast.expr | ast.stmt, *news: str) -> None:
        for new in news:
            self.put(self.begin(node), self.finish(node), new)

    def put(self, start: int, end: int, new: str) -> None:
        if self.source[start:end] != new:
            self.found.append(Change(start, end, new, self.lines))

    def swap(self, left: ast.expr, right: ast.expr, table: dict[str, tuple[str, ...]]) -> None:
        """Change the operator between two operands."""
        start = self.finish(left)
        between = OPERATOR.search(self.source, start, self.begin(right))
        if between:
            for new in table.get(" ".join(between[0].split()), ()):
                self.put(*between.span(), new)

    def drop(self, parts: list[ast.expr], dropped: int) -> None:
        """Take one of several out, with its comma."""
        if dropped:
            if not self.source[self.finish(parts[dropped - 1]) : self.begin(parts[dropped])].strip(", \n"):
                self.put(self.finish(parts[dropped - 1]), self.finish(parts[dropped]), "")
        elif len(parts) > 1:
            self.put(self.begin(parts[0]), self.begin(parts[1]), "")

    # Statements.

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.stmt):
            around, self.lines = self.lines, _header(node)
            super().visit(node)
            self.lines = around
        else:
            super().visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        for name, value in ast.iter_fields(node):
            if name not in {"annotation", "returns", "type_params"}:
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if not isinstance(node, ast.ClassDef):
            self.visit(node.args)
        for statement in node.body:
            self.visit(statement)
        for decorator in node.decorator_list:
            if not ast.unparse(decorator).startswith(("dataclass", "overload")):
                self.visit(decorator)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - named by `ast`
    visit_ClassDef = visit_FunctionDef  # noqa: N815 - named by `ast`

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node.value, ast.Call | ast.Await):
            self.replace(node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
            self.replace(node, "pass")
        if not (isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr)):  # a type
            self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.replace(node, "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.replace(node, "pass")
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self.replace(node, "continue", "pass")

    def visit_Continue(self, node: ast.Continue) -> None:
        self.replace(node, "break", "pass")

    def visit_Assert(self, _node: ast.Assert) -> None:
        """Leave it: it tells the type checker what is so."""

    def visit_Return(self, node: ast.Return) -> None:
        if node.value and not isinstance(node.value, ast.Constant):
            self.replace(node, "return None")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.replace(node.test, "True", "False")
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.replace(node.test, "True", "False")
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.replace(node.test, "False")
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self.replace(node.iter, "()")
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for condition in node.ifs:
            self.replace(condition, "True")
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        around, self.lines = self.lines, range(node.lineno, node.body[0].lineno)
        if isinstance(node.type, ast.Tuple):
            for number in range(len(node.type.elts)):
                self.drop(node.type.elts, number)
        elif node.type:
            self.replace(node.type, "()")
        self.lines = around
        for statement in node.body:
            self.visit(statement)

    # Expressions.

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, right in pairwise([node.left, *node.comparators]):
            self.swap(left, right, COMPARISONS)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in pairwise(node.values):
            self.swap(left, right, COMPARISONS)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if not any(isinstance(side, ast.JoinedStr) or _is_text(side) for side in (node.left, node.right)):
            self.swap(node.left, node.right, {old: (new,) for old, new in ARITHMETIC.items()})
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self.put(self.begin(node), self.begin(node.operand), "")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name in {"TypeVar", "NewType", "cast", "getLogger", "logging.getLogger"}:
            return
        if name in FUNCTIONS:
            self.replace(node.func, FUNCTIONS[name])
        if name.rpartition(".")[2] in {"timeout", "timeout_at"} and len(node.args) == 1:
            self.replace(node.args[0], "None")
        self._drop_arguments(node)
        self.visit(node.func)
        for argument in node.args[name.startswith("_log.") :]:
            self.visit(argument)
        for keyword in node.keywords:
            self.visit(keyword.value)

    def _drop_arguments(self, node: ast.Call) -> None:
        if len(node.args) > 1:
            self.drop(node.args, len(node.args) - 1)
        for keyword in node.keywords:
            comma = re.compile(r"\s*,\s*").match(self.source, self.finish(keyword.value))
            start = self._place(keyword.lineno, keyword.col_offset)
            self.put(start, comma.end() if comma else self.finish(keyword.value), "")

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.replace(node, str(not node.value))
        elif isinstance(node.value, float):
            self.replace(node, repr(node.value * 2 or 1.0), repr(node.value / 2))
        elif isinstance(node.value, int):
            step = 1 if node.value < SMALL else node.value // 2  # of a size, one more or less is no matter
            self.replace(node, str(node.value + step), str(node.value - step))
        elif isinstance(node.value, str):
            self._text(node)
        elif isinstance(node.value, bytes):
            self.replace(node, 'b""' if node.value else 'b"X"')

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._text(node)

    def _text(self, node: ast.Constant | ast.JoinedStr) -> None:
        """Empty it, or make it longer; SQL is changed as code is."""
        start, end = self.begin(node), self.finish(node)
        text = self.source[start:end]
        if not SQL.search(text):
            self.put(start, end, '""')
            self.put(end, end, ' "X"')
        for pattern, new in SQL_CHANGES if SQL.search(text) else ():
            for found in re.finditer(pattern, text):
                self.put(start + found.start(), start + found.end(), new)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _header(node: ast.stmt) -> range:
    """Return the lines of a statement without those of the statements in it."""
    body = getattr(node, "body", None)
    if body:
        return range(node.lineno, max(node.lineno + 1, body[0].lineno))
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
