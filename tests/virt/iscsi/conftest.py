"""Two hosts and a target that both reach."""

from contextlib import closing

import pytest

from broker.virt.driver import StorageSpec
from broker.virt.drivers import load
from tests.lab.fixtures import remove_machines
from tests.lab.target import Target


@pytest.fixture(params=[(16, 20, 64)], ids=["luns"])
def site(request, lab_hosts, tmp_path):
    """Two hosts' connections, the target, and the storages on it and beside it."""
    address = f"{lab_hosts.subnet}.1"
    first, second, _ = lab_hosts.hosts.values()
    with Target(tmp_path, address, luns=request.param, user="berth", password="twelve-chars-x") as target:
        luns = StorageSpec(
            name="berth-0a1b2c3d", kind="iscsi", path="/berth-iscsi/berth-0a1b2c3d", export=target.name,
            server=f"{address}:1,{target.portal}", user=target.user, password=target.password,
        )  # fmt: skip
        files = StorageSpec(name="files", kind="dir", path=str(lab_hosts.shared))
        connect = load("libvirt").connect
        with closing(connect(first.uri, timeout=20)) as here, closing(connect(second.tcp_uri, timeout=20)) as there:
            yield here, there, second, luns, files, target
            for line in (here, there):
                remove_machines(line)
                line.release_storage(luns)
