"""Every refusal says which rule refused and what would help: looked up in the source, so that none is forgotten."""

import ast
from pathlib import Path

import pytest

from broker.core import errors

ROOT = Path(__file__).resolve().parents[2]
# Those whose class has a rule of its own need not repeat it; an Invalid has the rule of its field.
RULED = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.BerthError) and kind.usual_rule
}
REFUSALS = {"Conflict", "OverQuota", "NoCapacity", "Unavailable", "Invalid", *RULED}


def modules() -> list[Path]:
    """What decides: the broker without its drivers (a hypervisor's own words), and the pools."""
    found = [path for package in ("broker", "pools") for path in (ROOT / package).rglob("*.py")]
    return sorted(path for path in found if "drivers" not in path.parts and "migrations" not in path.parts)


def refusals(source: str) -> list[tuple[int, str, set[str | None]]]:
    """Line, kind and keywords of every refusal that is made in the source."""
    return [
        (node.lineno, node.func.id, {keyword.arg for keyword in node.keywords})
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REFUSALS
    ]


def lacking(source: str) -> list[str]:
    found = []
    for line, kind, keywords in refusals(source):
        if None in keywords:  # **more: what is in it is not seen from here
            continue
        if "fix" not in keywords:
            found.append(f"{line}: this {kind} does not say what would help (fix=)")
        if "rule" not in keywords and kind not in RULED and kind != "Invalid":
            found.append(f"{line}: this {kind} does not name the rule that refused (rule=)")
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_refusal_names_its_rule_and_what_would_help(path):
    assert lacking(path.read_text()) == []


def test_the_check_sees_what_is_lacking():
    assert len(refusals("raise Conflict('a', fix='b', rule='c')")) == 1
    assert lacking("raise Conflict('a', fix='b', rule='c')") == []
    assert len(lacking("raise Conflict('a')")) == 2
    assert len(lacking("raise Denied('a')")) == 1
    assert lacking("raise Invalid('a', field='x', fix='b')") == []


@pytest.mark.parametrize("kind", [errors.Denied, errors.Missing, errors.Busy, errors.Invalid, errors.Conflict])
def test_no_refusal_is_without_a_rule_when_it_is_told(kind):
    assert kind("no").as_dict()["rule"]
