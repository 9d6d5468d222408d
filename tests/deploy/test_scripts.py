"""The shell scripts: they parse, refuse clearly, and leave nothing half-made."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
IMAGE = DEPLOY / "image"
SCRIPTS = sorted(
    path
    for path in [ROOT / ".ci" / "run", *DEPLOY.rglob("*")]
    if path.is_file() and path.read_bytes()[:4] in (b"#!/b",)
)


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, env={**os.environ, **env}
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_script_parses_and_may_be_run(script: Path) -> None:
    shell = script.read_text().splitlines()[0].removeprefix("#!")
    assert run(shell, "-n", script).stderr == ""
    assert os.access(script, os.X_OK)


def test_scripts_are_found() -> None:
    names = {path.name for path in SCRIPTS}
    builders = {"build-desktop", "build-tiny", "build-server", "build-host"}
    assert {"run", "install.sh", "lock.sh", "ensure", "init", *builders} <= names


@pytest.mark.parametrize("command", [("install.sh", "everything"), ("image/ensure", "windows"), ("image/ensure",)])
def test_unknown_argument_shows_the_usage(command: tuple[str, ...]) -> None:
    done = run(DEPLOY / command[0], *command[1:])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what install.sh reads, so that its stamp can be played with."""
    deploy = tmp_path / "deploy"
    deploy.mkdir()
    for name in ("install.sh", "packages.sh", "requirements.lock", "requirements-dev.lock"):
        (deploy / name).write_bytes((DEPLOY / name).read_bytes())
    (deploy / "install.sh").chmod(0o755)
    return tmp_path


def stamp(tree: Path, lock: str) -> str:
    """What install.sh writes when it is through: the hash of everything that decides what is installed."""
    parts = [tree / "deploy" / name for name in (lock, "packages.sh", "install.sh")]
    data = b"".join(part.read_bytes() for part in parts)
    return subprocess.run(["sha256sum"], input=data, capture_output=True, check=True).stdout.decode()[:64]


def installed(tree: Path, mode: str, lock: str) -> None:
    python = tree / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    (tree / ".venv" / f".installed-{mode}").write_text(stamp(tree, lock) + "\n")


def other_system(tree: Path) -> str:
    """A PATH on which dpkg names a processor Berth does not run on: install.sh must stop before it changes anything."""
    tools = tree / "tools"
    tools.mkdir()
    (tools / "dpkg").write_text("#!/bin/sh\necho riscv64\n")
    (tools / "dpkg").chmod(0o755)
    return f"{tools}:{os.environ['PATH']}"


def test_install_has_nothing_to_do_when_nothing_changed(tree: Path) -> None:
    installed(tree, "run", "requirements.lock")
    done = run(tree / "deploy" / "install.sh", "run", PATH=other_system(tree))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_install_starts_anew_when_the_lock_changed(tree: Path) -> None:
    installed(tree, "run", "requirements.lock")
    with (tree / "deploy" / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    done = run(tree / "deploy" / "install.sh", "run", PATH=other_system(tree), TMPDIR=str(tree))
    assert done.returncode == 1
    assert done.stdout.startswith("[1/5] ")


def test_install_of_the_product_does_not_count_for_the_tests(tree: Path) -> None:
    installed(tree, "run", "requirements.lock")
    done = run(tree / "deploy" / "install.sh", "test", PATH=other_system(tree), TMPDIR=str(tree))
    assert done.returncode == 1


def test_install_refuses_a_foreign_machine_in_one_sentence(tree: Path) -> None:
    done = run(tree / "deploy" / "install.sh", "run", PATH=other_system(tree), TMPDIR=str(tree))
    assert done.returncode == 1
    assert done.stderr.startswith("Berth cannot be installed: ")
    assert done.stderr.count("\n") == 1
    assert not (tree / ".venv").exists()


def test_install_says_when_there_is_no_space(tree: Path) -> None:
    tools = tree / "tools"
    tools.mkdir()
    (tools / "df").write_text("#!/bin/sh\nprintf 'Avail\\n 12M\\n'\n")
    (tools / "df").chmod(0o755)
    done = run(tree / "deploy" / "install.sh", "run", PATH=f"{tools}:{os.environ['PATH']}", TMPDIR=str(tree))
    assert done.returncode == 1
    assert "12 MiB free" in done.stderr and done.stderr.count("\n") == 1
    assert not (tree / ".venv").exists()


@pytest.mark.parametrize("builder", ["build-tiny", "build-desktop", "build-server", "build-host"])
def test_builder_refuses_a_full_disk(tmp_path: Path, builder: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, says in (("df", "printf 'Avail\\n 12M\\n'"), ("mmdebstrap", "exit 1"), ("id", "echo 0")):
        (tools / name).write_text(f"#!/bin/sh\n{says}\n")
        (tools / name).chmod(0o755)
    output = tmp_path / "out" / "image.qcow2"
    done = run(IMAGE / builder, output, PATH=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "12 MiB" in done.stderr or "missing packages" in done.stderr
    assert not output.exists()


def test_ensure_says_which_directory_it_cannot_write(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = run(IMAGE / "ensure", "tiny", BERTH_CACHE_DIR=str(file / "cache"))
    assert done.returncode == 1
    assert str(file / "cache") in done.stderr


def test_ensure_builds_once_for_callers_at_the_same_time(tmp_path: Path) -> None:
    """With a builder that counts its runs: both callers get the same complete file."""
    for name in ("ensure", "common.sh"):
        (tmp_path / name).write_bytes((IMAGE / name).read_bytes())
        (tmp_path / name).chmod(0o755)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "build-tiny").write_text('#!/bin/sh\necho run >>"$(dirname "$0")/runs"\nsleep 0.5\necho image >"$1"\n')
    (tmp_path / "build-tiny").chmod(0o755)
    cache = tmp_path / "cache"
    calls = [
        subprocess.Popen(
            [str(tmp_path / "ensure"), "tiny"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "BERTH_CACHE_DIR": str(cache)},
        )
        for _ in range(3)
    ]
    answers = {call.communicate(timeout=60)[0].strip() for call in calls}
    assert len(answers) == 1
    assert Path(answers.pop()).read_text() == "image\n"
    assert (tmp_path / "runs").read_text() == "run\n"


def test_ensure_builds_anew_when_the_builder_changed(tmp_path: Path) -> None:
    for name in ("ensure", "common.sh"):
        (tmp_path / name).write_bytes((IMAGE / name).read_bytes())
        (tmp_path / name).chmod(0o755)
    (tmp_path / "tiny").mkdir()
    builder = tmp_path / "build-tiny"
    answers = []
    for content in ("one", "two", "two"):
        builder.write_text(f'#!/bin/sh\necho {content} >"$1"\n')
        builder.chmod(0o755)
        done = run(tmp_path / "ensure", "tiny", BERTH_CACHE_DIR=str(tmp_path / "cache"))
        answers.append(done.stdout.strip())
    assert answers[0] != answers[1] == answers[2]
    assert Path(answers[2]).read_text() == "two\n"
