"""What a host fetches: the agent as one file that Python runs, and the script that installs it."""

import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

import broker.virt.agent
from broker.settings import BASE_DIR

START = "from berth_agent.__main__ import main\n\nmain()\n"
SCRIPT = Path(BASE_DIR) / "deploy" / "host" / "enrol.sh"


@cache
def agent() -> bytes:
    """The agent as a zip application; the same bytes from every process of this version."""
    packed = io.BytesIO()
    folder = Path(broker.virt.agent.__file__).parent
    files = {f"berth_agent/{path.name}": path.read_text() for path in sorted(folder.glob("*.py"))}
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {"__main__.py": START, **files}.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return packed.getvalue()


def script(manager: str) -> bytes:
    """The script for the hosts of this manager: it takes no other agent than this."""
    text = SCRIPT.read_text().replace("@MANAGER@", manager)
    return text.replace("@DIGEST@", hashlib.sha256(agent()).hexdigest()).encode()


def command(manager: str, invitation: str) -> str:
    """What is to be run on the host. It proves what it fetched before it runs it; the code is asked for."""
    digest = hashlib.sha256(script(manager)).hexdigest()
    return (
        f"curl -fsS {manager}/agent/enrol.sh -o berth-enrol.sh && echo '{digest}  berth-enrol.sh' | sha256sum -c "
        f"&& sudo sh berth-enrol.sh {invitation}"
    )
