"""Behind https, Django's own deployment checks find nothing to say; over http they say what is missing."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def deploy_check(origins: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    environment = {**os.environ, "BERTH_ORIGINS": origins, "BERTH_DEBUG": "0"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_behind_https_there_is_nothing_to_say():
    done = deploy_check('["https://vdi.example.org"]')
    assert done.returncode == 0, done.stderr


def test_over_http_the_cookies_are_complained_of():
    done = deploy_check('["http://vdi.example.org"]')
    assert done.returncode == 1
    assert {"security.W012", "security.W016"} <= set(done.stderr.replace("(", " ").replace(")", " ").split())
