"""Every action: keyword-only, actor first, asks for the right, and has a test of its access."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = sorted(
    path
    for package in ("broker", "pools")
    for path in (ROOT / package).glob("**/actions/*.py")
    if path.name != "__init__.py" and not path.name.startswith("_")
)
ASKS = {"require", "find", "may", "visible_to"}


def public_functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def asks(path: Path, node: ast.FunctionDef) -> bool:
    """Whether the function, or a function of its module that it calls, asks for a right."""
    functions = {item.name: item for item in ast.parse(path.read_text()).body if isinstance(item, ast.FunctionDef)}
    seen, todo = set(), [node.name]
    while todo:
        name = todo.pop()
        if name in ASKS:
            return True
        if name in seen or (name not in functions and name != node.name):
            continue
        seen.add(name)
        for call in ast.walk(functions.get(name, node)):
            if isinstance(call, ast.Call):
                called = call.func
                todo.append(called.id if isinstance(called, ast.Name) else getattr(called, "attr", ""))
    return False


@pytest.mark.parametrize("path", ACTIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_action_has_the_house_shape(path):
    functions = public_functions(path)
    assert functions, "a module in actions/ offers an action"
    for node in functions:
        arguments = node.args
        assert not arguments.args, f"{node.name} takes positional arguments"
        assert arguments.kwonlyargs[0].arg == "actor", f"{node.name} does not take the actor first"
        assert ast.get_docstring(node), f"{node.name} does not say what it does"
        assert asks(path, node), f"{node.name} does not ask whether the actor may"
