"""Everything that Berth puts into its data directory is either kept or left out for a reason."""

import re

from portal.keeping import places
from tests.prepared import ROOT

_MENTION = re.compile(r"""(?:DATA_DIR|data_dir)\)?(?:,| /) f?"([^"{]+)["{]""")
TESTS_OWN = "test-"


def mentioned() -> set[str]:
    found = set()
    for package in ("broker", "pools", "portal"):
        for path in (ROOT / package).rglob("*.py"):
            found |= set(_MENTION.findall(path.read_text()))
    return found - {TESTS_OWN}


def test_each_place_that_the_code_names_is_known():
    assert mentioned() >= {"pki", "ssh", "uploads", "secret.key", "berth.sqlite3", "recordings"}
    assert mentioned() <= {*places.KEPT, *places.LEFT_OUT}


def test_what_somebody_might_miss_is_told(tmp_path):
    for name in ("recordings", "pki", "run", "mine", "berth.sqlite3", "berth.sqlite3-wal", "secret.key", "storage"):
        (tmp_path / name).mkdir()
    assert [name for name, _ in places.left_out(tmp_path)] == ["mine", "recordings", "storage"]
    assert places.left_out(tmp_path / "nowhere") == []
