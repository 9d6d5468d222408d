"""Every action: keyword-only, actor first, asks for the right, and has a test of its access."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("broker", "pools", "portal")
ACTIONS = sorted(
    path
    for package in ("broker", "pools")
    for path in (ROOT / package).glob("**/actions/*.py")
    if path.name != "__init__.py" and not path.name.startswith("_")
)
ASKS = {(ROOT / "broker/access/require.py", name) for name in ("require", "find", "may", "visible_to")}


def public_functions(path: Path) -> list[ast.FunctionDef]:
    return [node for name, node in _functions(path).items() if not name.startswith("_")]


@cache
def _functions(path: Path) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


@cache
def _imported(path: Path) -> dict[str, tuple[Path, str]]:
    """What the module calls by a name of its own → the project's module it came from, and its name there."""
    found = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1] if node.level else ROOT
            parts = node.module.split(".") if node.module else []
            if node.level or parts[0] in PACKAGES:
                module = folder.joinpath(*parts)
                found |= {alias.asname or alias.name: (module, alias.name) for alias in node.names}
    return found


def _file(module: Path) -> Path | None:
    return next((path for path in (module.with_suffix(".py"), module / "__init__.py") if path.exists()), None)


def _called(path: Path, call: ast.expr) -> tuple[Path, str] | None:
    """Where the called function is defined, if that is in the project."""
    imported = _imported(path)
    if isinstance(call, ast.Name):
        if call.id in _functions(path):
            return path, call.id
        if call.id in imported:
            module, name = imported[call.id]
            return (file, name) if (file := _file(module)) else None
    if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id in imported:
        module, name = imported[call.value.id]
        return (file, call.attr) if (file := _file(module / name)) else None
    return None


def asks(path: Path, name: str) -> bool:
    """Whether the function, or a function of the project that it calls, asks broker.access for a right."""
    seen, todo = set(), [(path, name)]
    while todo:
        place = todo.pop()
        if place in ASKS:
            return True
        if place in seen:
            continue
        seen.add(place)
        file, name = place
        if name not in _functions(file):
            if name in _imported(file) and (origin := _file(_imported(file)[name][0])):
                todo.append((origin, _imported(file)[name][1]))
            continue
        calls = [node.func for node in ast.walk(_functions(file)[name]) if isinstance(node, ast.Call)]
        todo += [found for call in calls if (found := _called(file, call))]
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
        assert asks(path, node.name), f"{node.name} does not ask whether the actor may"


def test_the_check_sees_who_does_not_ask(tmp_path):
    module = tmp_path / "careless.py"
    module.write_text(
        "from broker.access.handing_out import ensure_may_hand_out\n"
        "from broker.core import clock\n"
        "def careful(*, actor):\n    ensure_may_hand_out(actor, None, None)\n"
        "def careless(*, actor):\n    require(actor)\n    return clock.now()\n"
        "def require(actor):\n    return True\n"
    )
    assert asks(module, "careful")
    assert not asks(module, "careless")


def _refused_in_tests() -> set[str]:
    """Names called where a test expects that somebody may not: there, or in a lambda that is called there."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for test in ast.walk(ast.parse(path.read_text())):
            if isinstance(test, ast.FunctionDef) and (expecting := list(filter(_expects_a_refusal, ast.walk(test)))):
                lambdas = [node for node in ast.walk(test) if isinstance(node, ast.Lambda)]
                for call in (node for part in (*expecting, *lambdas) for node in ast.walk(part)):
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                        found.add(call.func.id)
    return found


def _expects_a_refusal(node: ast.AST) -> bool:
    expected = [ast.unparse(item.context_expr) for item in node.items] if isinstance(node, ast.With) else []
    return any("Denied" in words or "Missing" in words for words in expected)


def test_every_action_is_refused_to_somebody_in_a_test():
    """Those of broker.virt, broker.backups and pools come from a table that misses none (their test_access.py)."""
    tabled = {ROOT / package / "actions" for package in ("broker/virt", "broker/backups", "pools")}
    names = {node.name for path in ACTIONS if path.parent not in tabled for node in public_functions(path)}
    assert names - _refused_in_tests() == set()
