"""Uploads and starts of machines through the API, beside `virsh vol-upload` and parallel `virsh start`.

    python -m tests.lab.cage -- python -m tests.bench.servers [--quick]

`make run` over a private libvirtd. A qcow2 of one gigabyte that does not compress goes up in pieces of 32 MiB as the
browser sends them, until Berth has looked at it and it lies on the storage; memory is by how much the peak of any
process of ours grew meanwhile. virsh makes a volume and uploads the same file. Then twelve machines with the 512-byte
guest are started at once, by twelve clients of the API or by twelve `virsh start`, until each echoes what is written to
its serial line; between two rounds they are powered off. Rounds alternate, medians are compared.
"""

import argparse
import contextlib
import http.client
import http.cookiejar
import json
import mmap
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench.idle import DEMO_SECONDS, Server, tree
from tests.bench.report import table

UPLOAD_BAR, MEMORY_BAR, START_BAR = 1.3, 64.0, 1.10
PIECE, PATIENCE = 32 << 20, 300.0
MACHINES = 12


class Api:
    """The API as somebody with a token of the admin's."""

    def __init__(self, server: Server):
        self.port, self.token = server.port, ""
        found = re.search(r"│ admin +(\S+)", server.log.read_text())
        assert found, "the demo told no password"
        jar = http.cookiejar.CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        home = f"http://127.0.0.1:{server.port}"
        page = browser.open(f"{home}/sign-in").read().decode()
        hidden = dict(re.findall(r'name="(csrfmiddlewaretoken)" value="([^"]+)"', page))
        form = urllib.parse.urlencode({"username": "admin", "password": found[1], **hidden}).encode()
        headers = {"Referer": f"{home}/sign-in", "X-CSRFToken": hidden.get("csrfmiddlewaretoken", "")}
        browser.open(urllib.request.Request(f"{home}/sign-in", form, headers)).read()
        headers |= {"Content-Type": "application/json", "X-CSRFToken": _cookie(jar, "csrftoken")}
        made = browser.open(urllib.request.Request(f"{home}/api/v1/tokens/", b'{"name": "bench"}', headers))
        self.token = json.loads(made.read())["token"]

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def call(self, method: str, path: str, body: Any = None, *, line: Any = None, **headers: str) -> Any:
        raw = isinstance(body, (bytes, memoryview))
        told = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"} | headers
        line = line or self.connection()
        line.request(method, f"/api/v1/{path}", body if raw else json.dumps(body) if body else b"", told)
        answer = line.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text) if text else None

    def wait(self, job: dict[str, Any]) -> dict[str, Any]:
        ends = time.monotonic() + PATIENCE
        while not (now := self.call("GET", f"jobs/{job['id']}/"))["finished_at"]:
            assert time.monotonic() < ends, now
            time.sleep(0.02)
        assert now["state"] == "succeeded", now
        return dict(now)

    def upload(self, path: Path, name: str, storage: str) -> str:
        """Until it may be used; returns the image's id."""
        wish = {"name": name, "kind": "disk", "storage": storage, "size_bytes": path.stat().st_size}
        image = str(self.call("POST", "images/", wish)["id"])
        line = self.connection()
        # As a browser does, and virsh: the bytes go from the file into the connection, not by way of a copy of a piece.
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as whole,
        ):
            for offset in range(0, len(whole), PIECE):
                headers = {"Content-Type": "application/octet-stream", "Upload-Offset": str(offset)}
                with whole[offset : offset + PIECE] as piece:
                    self.call("PUT", f"images/{image}/data/", piece, line=line, **headers)
        line.close()
        self.wait(self.call("POST", f"images/{image}/finish/"))
        return image


def _cookie(jar: http.cookiejar.CookieJar, name: str) -> str:
    return next(cookie.value or "" for cookie in jar if cookie.name == name)


@contextlib.contextmanager
def grown(server: Server) -> Iterator[Callable[[], float]]:
    """By how many MiB the peak of the process that grew most has grown, of those that were there at the beginning."""
    pids = [pid for pid in tree(server.process.pid) if b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    before = {}
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): the peak begins anew
        before[pid] = _peak(pid)
    yield lambda: max(_peak(pid) - before[pid] for pid in pids if Path(f"/proc/{pid}").exists())


def _peak(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def big_image(folder: Path, size: int) -> Path:
    """A qcow2 whose data are as large as `size`, and no zeros."""
    raw, target = folder / "big.raw", folder / "big.qcow2"
    block = os.urandom(1 << 20)
    with raw.open("wb") as file:
        for number in range(size >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, target], check=True)
    raw.unlink()
    return target


def virsh(uri: str, *words: object) -> None:
    subprocess.run(["virsh", "-q", "-c", uri, *map(str, words)], check=True, capture_output=True)


def uploads(api: Api, server: Server, uri: str, folder: Path, *, size: int, rounds: int) -> dict[str, Any]:
    path, storage = big_image(folder, size), api.call("GET", "storage-domains/")["results"][0]["id"]
    virsh(uri, "pool-create-as", "beside", "dir", "--target", folder)
    ours, theirs, memory = [], [], []
    for number in range(rounds):
        os.sync()
        began = time.perf_counter()
        virsh(uri, "vol-create-as", "beside", "theirs", path.stat().st_size, "--format", "raw")
        virsh(uri, "vol-upload", "theirs", path, "--pool", "beside")
        theirs.append(time.perf_counter() - began)
        virsh(uri, "vol-delete", "theirs", "--pool", "beside")
        os.sync()
        with grown(server) as growth:
            began = time.perf_counter()
            image = api.upload(path, f"big-{number}", storage)
            ours.append(time.perf_counter() - began)
            memory.append(growth())
        api.wait(api.call("DELETE", f"images/{image}/"))
    path.unlink()
    return {"ours_s": ours, "virsh_s": theirs, "memory_mib": memory, "bytes": size}


class Twelve:
    """Machines with the 512-byte guest, and whether each answers."""

    def __init__(self, api: Api, uri: str, folder: Path, count: int):
        import libvirt

        from tests.lab import guest

        libvirt.registerErrorHandler(lambda _, error: None, None)  # it is asked before the line is there
        self.api, self.uri, self.connection = api, uri, libvirt.open(uri)
        storage = api.call("GET", "storage-domains/")["results"][0]["id"]
        image = api.upload(guest.write_image(folder / "guest.raw"), "guest", storage)
        jobs = [
            api.call("POST", "vms/", {"name": f"bench-{number}", "image": image, "memory_mib": 16})
            for number in range(count)
        ]
        self.machines = [api.wait(job)["subject"]["id"] for job in jobs]
        self.by_api()  # the first start brings each definition up to date
        self.off()

    def by_api(self) -> float:
        return self._all(lambda pk: self.api.call("POST", f"vms/{pk}/start/"))

    def by_virsh(self) -> float:
        return self._all(lambda pk: virsh(self.uri, "start", pk))

    def off(self) -> None:
        for pk in self.machines:
            self.connection.lookupByUUIDString(pk).destroy()
        ends = time.monotonic() + PATIENCE
        while any(self.api.call("GET", f"vms/{pk}/")["power_state"] != "off" for pk in self.machines):
            assert time.monotonic() < ends, "Berth does not see that they are off"
            time.sleep(0.1)

    def _all(self, start: Callable[[str], object]) -> float:
        began, wrong = time.perf_counter(), list[BaseException]()

        def one(pk: str) -> None:
            try:
                start(pk)
                self._answers(pk)
            except BaseException as error:  # told by the thread that waits for this one
                wrong.append(error)

        threads = [threading.Thread(target=one, args=(pk,)) for pk in self.machines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]
        return time.perf_counter() - began

    def _answers(self, pk: str) -> None:
        import libvirt

        domain, ends = self.connection.lookupByUUIDString(pk), time.monotonic() + PATIENCE
        while True:
            stream = self.connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
            try:
                domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
                break
            except libvirt.libvirtError:  # it is not started yet, or QEMU has not told the line
                assert time.monotonic() < ends, "it does not start"
                time.sleep(0.02)
        said = b""
        while b"?" not in said:
            assert time.monotonic() < ends, said
            stream.send(b"?")
            time.sleep(0.02)
            got = stream.recv(256)
            said += got if isinstance(got, bytes) else b""
        stream.abort()


def measure(*, size: int, rounds: int, machines: int, starts: int) -> dict[str, Any]:
    from tests.lab.host import LabHost

    with tempfile.TemporaryDirectory(prefix="srv-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with LabHost(folder, "host") as host:
            server = Server(folder, host.uri)
            try:
                server.until_said("waits for its user", DEMO_SECONDS)
                api = Api(server)
                sent = uploads(api, server, host.uri, folder, size=size, rounds=rounds)
                twelve, ours, theirs = Twelve(api, host.uri, folder, machines), [], []
                for _ in range(starts):
                    theirs.append(twelve.by_virsh())
                    twelve.off()
                    ours.append(twelve.by_api())
                    twelve.off()
            finally:
                server.stop()
    return sent | {"starts_s": ours, "virsh_starts_s": theirs, "machines": machines}


def bars(told: dict[str, Any]) -> list[dict[str, Any]]:
    ours, theirs = statistics.median(told["ours_s"]), statistics.median(told["virsh_s"])
    starts, beside = statistics.median(told["starts_s"]), statistics.median(told["virsh_starts_s"])
    memory, size = max(told["memory_mib"]), told["bytes"] / 2**30
    return [
        {
            "what": f"Upload of {size:g} GiB through the API until it may be used, against `virsh vol-upload`",
            "ours": f"{ours:.2f} s", "baseline": f"{theirs:.2f} s", "value": f"{ours / theirs:.2f}",
            "bar": f"≤ {UPLOAD_BAR:g}", "met": ours / theirs <= UPLOAD_BAR,
        },
        {
            "what": "The same: growth of the largest of our processes", "ours": f"{memory:.0f} MiB", "baseline": "",
            "value": f"{memory:.0f} MiB", "bar": f"≤ {MEMORY_BAR:g} MiB", "met": memory <= MEMORY_BAR,
        },
        {
            "what": f"{told['machines']} small guests started through the API until they answer, against `virsh start`",
            "ours": f"{starts:.2f} s", "baseline": f"{beside:.2f} s", "value": f"{starts / beside:.2f}",
            "bar": f"≤ {START_BAR:g}", "met": starts / beside <= START_BAR,
        },
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller and once: to see that it runs")
    options = parser.parse_args()
    wish = {"size": 1 << 30, "rounds": 2, "machines": MACHINES, "starts": 3}
    if options.quick:
        wish |= {"size": 64 << 20, "rounds": 1, "machines": 3, "starts": 1}
    told = measure(**wish)
    told["bars"] = bars(told)
    if target := os.environ.get("BENCH_JSON"):
        Path(target).write_text(json.dumps(told))
    print(table(told["bars"]))
    return 0 if all(line["met"] for line in told["bars"]) else 1


if __name__ == "__main__":
    sys.exit(main())
