"""Modules stay small enough to be read at one sitting, classes small enough to be held in the head."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES, MOST_METHODS = 400, 15
MODULES = sorted(
    path
    for package in ("broker", "pools", "portal", "tests")
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts
)


def test_there_are_modules():
    assert len(MODULES) > 50


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_can_be_read(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    tree = ast.parse(text)
    if text.strip() and "tests" not in path.parts:
        assert ast.get_docstring(tree), "a module says what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and "tests" not in path.parts and not _is_protocol(node):
            public = [
                item.name
                for item in node.body
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and not item.name.startswith("_")
            ]
            assert len(public) <= MOST_METHODS, f"{node.name} has {len(public)} public methods"


def _is_protocol(node: ast.ClassDef) -> bool:
    return any("Protocol" in ast.unparse(base) for base in node.bases)
