"""A second Berth with a database and a secret of its own, in a process of its own, that does what it is told.

`with Second(tmp_path) as berth: berth("add", …)`. A refusal comes back as {"rule": …, "message": …, "fix": …}.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import prepared


class Second:
    def __init__(self, base: Path) -> None:
        self.data = base / "second"
        self.data.mkdir()
        prepared.copy(prepared.sqlite_file(), self.data / "berth.sqlite3")

    def __enter__(self) -> "Second":
        own = {name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "DJANGO_"))}
        words = {"BERTH_DATA_DIR": str(self.data), "BERTH_DEBUG": "1", "BERTH_SECRET_KEY": "another-" + "k" * 60}
        words |= {"BERTH_ORIGINS": '["https://second.example.org"]', "DJANGO_SETTINGS_MODULE": "broker.settings"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.virt.iscsi.second_berth"], cwd=prepared.ROOT, env=own | words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._process.stdout.close()

    def __call__(self, what: str, **words: Any) -> Any:
        self._process.stdin.write(json.dumps({"what": what, "words": words}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Berth:
    """The other side: a cluster with one host."""

    def __init__(self) -> None:
        from tests.virt.actions.stage import SYSTEM

        self.actor = SYSTEM

    def host(self, uri: str) -> None:
        from broker.core import clock
        from broker.virt.models import Cluster, Host

        self.cluster = Cluster.objects.create(name="far")
        Host.objects.create(
            cluster=self.cluster, name="far-host", driver="libvirt", uri=uri, cpus=2, memory_bytes=4 << 30,
            memory_free_bytes=4 << 30, graphics=["vnc"], observed_at=clock.now(),
        )  # fmt: skip

    def add(self, **wish: Any) -> str:
        from broker.virt.actions.create_storage import create_storage

        create_storage(actor=self.actor, cluster=self.cluster, name="san-here", kind="iscsi", **wish)
        return self.notes()

    def notes(self) -> str:
        """Does the duty; who holds the storage."""
        from broker.virt import storage_duty
        from broker.virt.storage_notes import holder

        storage_duty.keep_notes()
        return holder(self._storage.found) if self._storage.held_by else ""

    def blank(self) -> None:
        from broker.virt.actions.create_vm import create_vm

        create_vm(actor=self.actor, name="blank", storage=self._storage, disk_bytes=4 << 20)

    def found(self) -> list[str]:
        from broker.virt import storage_found

        return [f"{one.kind} {one.name}" for one in storage_found.on(self._storage)]

    def take_in(self) -> str:
        """Everything that was found; the machine's id once it runs."""
        from broker.virt import storage_found
        from broker.virt.actions.import_found import import_found
        from broker.virt.actions.start_vm import start_vm
        from tests.jobs_help import finish

        for one in storage_found.on(self._storage):
            made = import_found(actor=self.actor, storage=self._storage, found=one.id)
        job = finish(start_vm(actor=self.actor, vm=made))
        assert job.state == "succeeded", job.cause
        return str(made.pk)

    @property
    def _storage(self) -> Any:
        from broker.virt.models import StorageDomain

        return StorageDomain.objects.get()


def main() -> None:
    import django

    django.setup()
    from broker.core.errors import BerthError

    berth = Berth()
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(berth, asked["what"])(**asked["words"])
        except BerthError as error:
            answer = {"rule": error.rule, "message": str(error), "fix": error.fix}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
