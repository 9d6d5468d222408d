"""Lab hosts that enrol with the command that Berth prints, as an administrator would run it, and their agents."""

import json
import subprocess
from pathlib import Path

from tests.lab.host import LabHost


def inside(host: LabHost, folder: Path) -> list[str]:
    """The beginning of a command line that runs on the host, in this folder."""
    spaces = ["-m", "-n", "-p", "-i", "-u"]
    return ["nsenter", "-t", str(host.init_pid), *spaces, f"--wd={folder}", "--"]


class Joining:
    """One host on its way in: `begin` runs the command, `agent` waits for its end and starts the agent."""

    def __init__(self, host: LabHost, base: Path):
        self.host, self.folder = host, base / host.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "agent.json"
        self.config.write_text(
            json.dumps({"state": str(self.folder / "run")})
        )  # /run is the laboratory's, not a host's

    def begin(self, command: str, code: str) -> "Joining":
        words = inside(self.host, self.folder)
        subprocess.run([*words, "mount", "-t", "tmpfs", "none", "/usr/local/lib"], check=True)  # nothing stays here
        environment = ["env", f"BERTH_AGENT_CONFIG={self.config}"]
        self._joining = subprocess.Popen(
            [*words, *environment, "sh", "-c", command.replace("sudo ", "")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert self._joining.stdin
        self._joining.stdin.write(f"{code}\n")
        self._joining.stdin.close()
        return self

    def agent(self) -> None:
        """Dies with its host."""
        assert self._joining.stdout
        said = self._joining.stdout.read()
        assert self._joining.wait(120) == 0, said
        with (self.folder / "log").open("wb") as log:
            words = ["python3", "/usr/local/lib/berth/agent.pyz", str(self.config)]
            subprocess.Popen([*inside(self.host, self.folder), *words], stdout=log, stderr=log)
