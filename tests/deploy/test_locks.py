"""The locked package lists: complete, hashed, free of what Debian brings, and true for what is installed."""

import re
from importlib import metadata
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return {package.lower().replace("_", "-"): version for package, version in PIN.findall((DEPLOY / name).read_text())}


def wanted(name: str) -> set[str]:
    lines = [line.split("#")[0].strip() for line in (DEPLOY / name).read_text().splitlines()]
    return {
        re.split(r"[\[=<>~!]", line)[0].lower().replace("_", "-")
        for line in lines
        if line and not line.startswith("-r")
    }


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_lock_holds_everything_asked_for_with_hashes(name: str) -> None:
    assert wanted(f"{name}.in") <= set(pins(f"{name}.lock"))
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (DEPLOY / f"{name}.lock").read_text())
    assert [block.split()[0] for block in blocks[1:] if "--hash=sha256:" not in block] == []


def test_both_locks_agree() -> None:
    runtime, everything = pins("requirements.lock"), pins("requirements-dev.lock")
    assert {package: everything.get(package) for package in runtime} == runtime


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_lock_names_no_server_and_nothing_that_needs_a_compiler(name: str) -> None:
    assert "//" not in (DEPLOY / name).read_text()
    assert not {"python-ldap", "libvirt-python"} & set(pins(name))


def test_what_is_installed_is_what_is_locked() -> None:
    runtime = pins("requirements.lock")
    assert {package: metadata.version(package) for package in runtime} == runtime
