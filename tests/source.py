"""The repository's own text for the tests that hold code and words together: each file is read and parsed once."""

import ast
import io
import tokenize
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def code(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def text(path: Path) -> str:
    return path.read_text()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a module."""
    return tuple(ast.walk(tree(path)))


@cache
def strings(path: Path) -> frozenset[str]:
    """All constant strings of a module."""
    return frozenset(n.value for n in nodes(path) if isinstance(n, ast.Constant) and isinstance(n.value, str))


@cache
def docstring(path: Path) -> str:
    """What a module opens with; without parsing the rest."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING)
    tokens = tokenize.generate_tokens(io.StringIO(text(path)).readline)
    first = next(token for token in tokens if token.type not in skipped)
    return ast.literal_eval(first.string).strip() if first.type == tokenize.STRING else ""


def last_name(node: ast.AST) -> str:
    """`owner` of `self.owner`; nothing for what has no name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
