"""Only the state machines write a state column: nobody else sets or updates one."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    path
    for package in ("broker", "pools", "portal")
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts and path.name != "states.py"
]
# Step rows are a log of a job, without a life of their own; the engine itself writes the column.
EXEMPT = {"broker/jobs/runner.py", "broker/core/states.py"}


def _writes(tree: ast.AST) -> list[int]:
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == "state" and not _own(target):
                    lines.append(node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {
            "update", "bulk_update", "update_or_create"
        } and any(keyword.arg == "state" for keyword in node.keywords):  # fmt: skip
            lines.append(node.lineno)
    return lines


def _own(target: ast.Attribute) -> bool:
    return isinstance(target.value, ast.Name) and target.value.id == "self"


def test_only_state_machines_write_states():
    found = {}
    for path in FILES:
        name = str(path.relative_to(ROOT))
        if name in EXEMPT:
            continue
        if lines := _writes(ast.parse(path.read_text())):
            found[name] = lines
    assert found == {}


def test_the_check_sees_a_write():
    assert _writes(ast.parse("vm.state = 'ready'")) == [1]
    assert _writes(ast.parse("rows.update(state='ready')")) == [1]
