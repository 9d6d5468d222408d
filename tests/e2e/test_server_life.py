"""A server's whole life on real QEMU, once by the pages in Chromium and once by the API; and one that was adopted.

Made of an uploaded image with words for cloud-init, grown while it runs, snapshotted with its memory, broken and put
back, backed up twice, deleted and restored. What happened is asked of QEMU, the guest's agent and libvirt."""

import hashlib
import json
import subprocess
import time
from pathlib import Path

import libvirt
import libvirt_qemu
import pytest
from playwright.sync_api import TimeoutError as TooLate

from tests.e2e.people import Person
from tests.e2e.test_consoles_end import _read, call
from tests.lab import foreign, guest

pytestmark = [
    pytest.mark.lab, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(420),
    pytest.mark.parametrize("berth", ["sqlite"], indirect=True, scope="module"),
]  # fmt: skip
GIB, PIECE, PATIENCE = 1 << 30, 8 << 20, 120
NOTE, HELD = "/disk/note.txt", "/run/held"  # on its disk, and in its memory only


SECRET = "s3cret words"


def until(question, what: str, seconds: float = PATIENCE):
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return answer


class Life:
    """What both tests ask of the API, of libvirt and of the guest."""

    def __init__(self, admin, berth, outside):
        self.admin, self.berth, self.outside = admin, berth, outside
        self.host = self.get("hosts/")["results"][0]
        self.storage = self.get("storage-domains/")["results"][0]

    def get(self, path: str) -> dict:
        return call(self.admin, "GET", f"/api/v1/{path}")

    def post(self, path: str, /, **body) -> dict:
        return call(self.admin, "POST", f"/api/v1/{path}", **body)

    def job(self, told: dict) -> str:
        """Wait until it is done; returns the id of what it was about."""
        done = until(lambda: (now := self.get(f"jobs/{told['id']}/"))["finished_at"] and now, f"the job {told['plan']}")
        assert done["state"] == "succeeded", done
        return done["subject"]["id"]

    def settled(self, pk: str, plan: str, times: int = 1) -> None:
        """Wait until so many jobs of this plan on the thing were done, all of them well."""

        def seen() -> list:
            rows = self.get(f"jobs/?subject_id={pk}&plan={plan}")["results"]
            return [row for row in rows if row["finished_at"]] if len(rows) == times else []

        rows = until(lambda: len(seen()) == times and seen(), f"{times} of {plan}")
        assert {row["state"] for row in rows} == {"succeeded"}, rows

    def domain(self, pk: str) -> libvirt.virDomain:
        return self.outside.connection.lookupByUUIDString(pk)

    def qemu(self, pk: str, command: str):
        asked = json.dumps({"execute": command})
        return json.loads(libvirt_qemu.qemuMonitorCommand(self.domain(pk), asked, 0))["return"]

    def sh(self, pk: str, text: str) -> str:
        """What a shell in the guest says."""
        return self.outside.run(pk, text)

    def wait_for_guest(self, pk: str) -> None:
        self.outside.read_file(pk, "/etc/passwd", timeout=PATIENCE)

    def has_its_words(self, pk: str) -> None:
        told = self.sh(pk, "mount -t iso9660 -o ro /dev/vdb /mnt && cat /mnt/user-data; umount /mnt")
        read = json.loads(told.removeprefix("#cloud-config\n"))
        assert read["users"][1]["name"] == "ann" and read["packages"] == ["htop"] and SECRET not in told

    def keeps_its_secret(self) -> None:
        """The password it was made with is in no file of the server's, and in no process's words."""
        secret = SECRET.encode()
        files = [path for path in self.berth.data.rglob("*") if path.is_file() and path.stat().st_size < 64 << 20]
        assert len(files) > 5 and [path for path in files if secret in path.read_bytes()] == []
        assert [path for path in Path("/proc").glob("[0-9]*/cmdline") if secret in _read(path)] == []

    def has_grown(self, pk: str) -> None:
        """In QEMU and, where it looks by itself, in the guest."""
        until(lambda: len(self.qemu(pk, "query-cpus-fast")) == 2, "QEMU has two processors")
        memory = self.qemu(pk, "query-memory-size-summary")
        assert memory["base-memory"] + memory["plugged-memory"] == 256 << 20
        until(lambda: int(self.sh(pk, "cat /sys/block/vda/size")) * 512 == 2 * GIB, "the guest sees the larger disk")

    def note(self, pk: str) -> None:
        self.sh(pk, f"echo kept >{NOTE}; echo held >{HELD}; sync")

    def break_it(self, pk: str) -> None:
        self.sh(pk, f"rm {NOTE} {HELD}; sync; umount /disk; dd if=/dev/zero of=/dev/vda bs=1M count=8; sync")
        assert self.outside.read_file(pk, NOTE) is None

    def is_whole(self, pk: str, *, memory: bool) -> None:
        self.wait_for_guest(pk)
        assert self.outside.read_file(pk, NOTE).strip() == "kept"
        assert (self.outside.read_file(pk, HELD) is not None) == memory

    def backups(self, pk: str) -> list[dict]:
        return self.get(f"backups/?vm={pk}&ordering=created_at")["results"]

    def are_incremental(self, pk: str) -> str:
        """The second one holds only what changed; returns its id."""
        first, second = self.backups(pk)
        assert (first["kind"], second["kind"]) == ("full", "incremental")
        assert 0 < second["size_bytes"] < first["size_bytes"] / 2
        return second["id"]

    def files_of(self, pk: str) -> list[str]:
        return [path.name for path in Path(self.storage["path"]).iterdir() if pk in path.name]

    def define_foreign(self, name: str, uuid: str) -> Path:
        """With virsh, a machine nobody told Berth of; returns the disk it has outside Berth's storage."""
        ours, theirs = Path(self.storage["path"]) / f"{name}.qcow2", self.berth.data / f"{name}.raw"
        guest.write_image(ours, image_format="qcow2", period=2)
        guest.write_image(theirs, period=2)
        xml = self.berth.data / f"{name}.xml"
        xml.write_text(foreign.definition(ours=ours, theirs=theirs, name=name, uuid=uuid))
        subprocess.run(["virsh", "-q", "-c", self.host["uri"], "define", xml], check=True, capture_output=True)
        return theirs

    def nothing_is_lost(self, pk: str) -> None:
        assert foreign.lost(self.domain(pk).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)) == []


@pytest.fixture
def life(chromium, berth, outside):
    admin = Person(chromium, berth, "admin")
    admin.sign_in()
    yield Life(admin, berth, outside)
    assert admin.errors == [] and "Traceback" not in berth.text()
    admin.close()


def test_by_the_api(life, tiny_image):
    content = Path(tiny_image).read_bytes()
    image = life.post(
        "images/", name="tiny-api", kind="disk", storage=life.storage["id"], size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )["id"]  # fmt: skip
    token = life.post("tokens/", name="uploads")["token"]
    for offset in range(0, len(content), PIECE):
        answer = life.admin.page.request.put(
            f"{life.berth.url}/api/v1/images/{image}/data/", data=content[offset : offset + PIECE],
            headers={
                "Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream",
                "Upload-Offset": str(offset),
            },
        )  # fmt: skip
        assert answer.ok, answer.text()
    life.job(life.post(f"images/{image}/finish/"))
    target = life.post(
        "backup-targets/", name="nas-api", cluster=life.host["cluster"]["id"], host=life.host["id"],
        path=str(life.berth.data / "backups-api"),
    )["id"]  # fmt: skip
    vm = life.job(life.post(
        "vms/", name="api", image=image, disk_bytes=GIB, memory_mib=128, start=True,
        options={"max_vcpus": 4, "max_memory_mib": 512},
        cloud_init={"user": "ann", "password": SECRET, "packages": ["htop"]},
    ))  # fmt: skip
    life.wait_for_guest(vm)
    life.has_its_words(vm)
    life.keeps_its_secret()

    call(life.admin, "PATCH", f"/api/v1/vms/{vm}/", vcpus=2, memory_mib=256)
    life.settled(vm, "vm.change")
    (disk,) = life.get(f"vms/{vm}/disks/")["results"]
    life.job(life.post(f"vms/{vm}/disks/{disk['id']}/grow/", size_bytes=2 * GIB))
    life.has_grown(vm)

    life.note(vm)
    life.job(life.post(f"vms/{vm}/snapshots/", name="good", memory=True))
    life.break_it(vm)
    (snapshot,) = life.get(f"vms/{vm}/snapshots/")["results"]
    life.job(life.post(f"vms/{vm}/snapshots/{snapshot['id']}/revert/"))
    life.is_whole(vm, memory=True)

    for _ in range(2):
        life.job(life.post("backups/", vm=vm, target=target))
    backup = life.are_incremental(vm)
    life.job(call(life.admin, "DELETE", f"/api/v1/vms/{vm}/"))
    assert life.files_of(vm) == []
    again = life.job(life.post(f"backups/{backup}/restore-as-new/", storage=life.storage["id"], start=True))
    life.is_whole(again, memory=False)
    life.has_grown(again)
    life.job(call(life.admin, "DELETE", f"/api/v1/vms/{again}/"))

    theirs = life.define_foreign("oldtimer", foreign.UUID)
    foreigners = f"hosts/{life.host['id']}/foreign-machines/"
    until(lambda: foreign.UUID in [one["id"] for one in life.get(foreigners)["results"]], "the machine is seen")
    life.job(life.post(f"{foreigners}{foreign.UUID}/adopt/"))
    call(life.admin, "PATCH", f"/api/v1/vms/{foreign.UUID}/", title="Ours", memory_mib=96)
    life.job(life.post(f"vms/{foreign.UUID}/start/"))
    life.nothing_is_lost(foreign.UUID)
    assert "98304" in life.domain(foreign.UUID).XMLDesc()
    life.job(call(life.admin, "DELETE", f"/api/v1/vms/{foreign.UUID}/"))
    assert theirs.exists()


class Pages:
    """The pages, as somebody uses them."""

    def __init__(self, life: Life):
        self.life, self.admin, self.page = life, life.admin, life.admin.page

    def fill(self, path: str, button: str, /, **values) -> None:
        self.admin.go(path)
        self.fill_here(button, **values)

    def fill_here(self, button: str, /, **values) -> None:
        """Fill a form in and send it: texts, choices by their words, True and False for boxes."""
        before = self.page.url
        until(lambda: self._filled(values), "the form is filled in")
        self.page.get_by_role("button", name=button, exact=True).click()
        self.page.wait_for_url(lambda url: url != before, wait_until="commit")

    def _filled(self, values: dict[str, str | bool]) -> bool:
        """Whether all got in: not where the page was loaded anew meanwhile, as when the host's network changes."""
        self.page.evaluate("window.sameForm = true")
        try:
            for name, value in values.items():
                field = self.page.locator(f"[name={name}]")
                field.evaluate("one => one.closest('details')?.setAttribute('open', '')")
                if isinstance(value, bool):
                    field.set_checked(value, timeout=5000)
                elif field.evaluate("one => one.tagName") == "SELECT":
                    field.select_option(label=value, timeout=5000)
                else:
                    field.fill(value, timeout=5000)
        except TooLate:
            return False
        return bool(self.page.evaluate("window.sameForm === true"))

    def press(self, path: str, button: str, *, menu: str = "", asks: bool = True) -> None:
        """Choose something on a page, and say yes when it asks."""
        self.admin.go(path)
        if menu:
            self.page.get_by_role("button", name=menu).click()
        self.page.get_by_role("button", name=button, exact=True).first.click()
        if not asks:
            return
        asked = self.page.locator("dialog#confirm[open] [data-yes]")
        asked.wait_for()
        asked.click()
        asked.wait_for(state="hidden")


def test_by_the_pages(life, tiny_image):
    pages, page = Pages(life), life.admin.page
    life.admin.go("/manage/images/upload")
    page.set_input_files("#upload-file", tiny_image)
    page.fill("#upload-name", "tiny-pages")
    page.select_option("#upload-kind", "disk")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url("**/manage/images/")
    (image,) = life.get("images/?search=tiny-pages")["results"]
    life.settled(image["id"], "image.import")
    pages.fill(
        "/manage/backups/targets/new", "Make it", name="nas-pages", cluster=life.host["cluster"]["name"],
        path=str(life.berth.data / "backups-pages"), host=life.host["name"],
    )  # fmt: skip

    life.admin.go("/manage/machines/new")
    pages.fill_here(
        "Make the machine", name="pages", image="tiny-pages", disk_gib="1", memory_mib="128", start=False,
        user="ann", password=SECRET, packages="htop",
    )  # fmt: skip
    vm = life.admin.machine
    life.settled(vm, "vm.create")
    pages.fill(f"/vms/{vm}/hardware", "Save", max_vcpus="4", max_memory_mib="512")
    pages.press(f"/vms/{vm}/", "Start", asks=False)
    life.settled(vm, "vm.start")
    life.wait_for_guest(vm)
    life.has_its_words(vm)

    pages.fill(f"/vms/{vm}/edit", "Save", vcpus="2", memory_mib="256")
    life.settled(vm, "vm.change")
    life.admin.go(f"/vms/{vm}/disks/")
    page.get_by_role("link", name="Grow").click()
    page.fill("[name=size_gib]", "2")
    page.get_by_role("button", name="Grow it").click()
    life.settled(vm, "vm.grow-disk")
    life.has_grown(vm)

    life.note(vm)
    pages.fill(f"/vms/{vm}/snapshots/new", "Take it", name="good", memory=True)
    life.settled(vm, "vm.take-snapshot")
    life.break_it(vm)
    pages.press(f"/vms/{vm}/disks/", "Go back to it")
    life.settled(vm, "vm.revert")
    life.is_whole(vm, memory=True)

    for number in (1, 2):
        pages.fill(f"/vms/{vm}/backups/new", "Back it up", target="nas-pages")
        life.settled(vm, "backup.make", number)
    backup = life.are_incremental(vm)
    pages.press(f"/vms/{vm}/", "Delete", menu="More actions")
    until(lambda: not life.get("vms/?search=pages")["results"], "the machine is gone")
    assert life.files_of(vm) == []
    pages.fill(
        f"/manage/backups/{backup}/restore-as-new", "Restore it", name="pages-again", storage=life.storage["name"],
        start=True,
    )  # fmt: skip
    again = life.admin.machine
    assert again != vm
    life.is_whole(again, memory=False)
    life.has_grown(again)

    uuid = foreign.UUID[:-1] + "2"
    theirs = life.define_foreign("foreigner", uuid)
    host = f"/manage/hosts/{life.host['id']}/"
    life.admin.go(host)
    page.get_by_role("button", name="Adopt foreigner").wait_for(timeout=PATIENCE * 1000)  # the page is told of it
    pages.press(host, "Adopt foreigner")
    life.settled(uuid, "vm.adopt")
    pages.fill(f"/vms/{uuid}/edit", "Save", title="Ours", memory_mib="96")
    pages.press(f"/vms/{uuid}/", "Start", asks=False)
    life.settled(uuid, "vm.start")
    life.nothing_is_lost(uuid)
    assert "98304" in life.domain(uuid).XMLDesc()
    pages.press(f"/vms/{uuid}/", "Delete", menu="More actions")
    until(lambda: not life.get("vms/?search=foreigner")["results"], "the adopted machine is gone")
    assert theirs.exists()
