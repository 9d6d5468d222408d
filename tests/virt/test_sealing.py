"""Sealing from outside: real ext4 file systems, looked at with debugfs and by their bytes afterwards."""

import os
import re
import struct
import subprocess
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.virt.sealing import confined, partitions, rules
from broker.virt.sealing.confined import OutOfBounds
from broker.virt.sealing.inside import script
from broker.virt.sealing.seal import seal

MIB = 1 << 20
SECRETS = {
    "etc/ssh/ssh_host_ed25519_key": "KEY-OF-THE-HOST",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/udev/rules.d/70-persistent-net.rules": "CARD-OF-OLD",
    "var/lib/dbus/machine-id": "0123456789abcdef0123456789abcdef\n",
    "var/lib/systemd/random-seed": "SEED-OF-OLD",
    "var/lib/dhcp/dhclient.eth0.leases": "LEASE-OF-OLD",
    "var/lib/cloud/instances/i-1/user-data.txt": "CLOUD-OF-OLD",
    "var/log/syslog": "LOG-OF-OLD",
    "var/log/syslog.1": "LOG-PUT-AWAY",
    "var/log/apt/history.log": "LOG-BELOW",
    "var/log/journal/0123/system.journal": "JOURNAL-OF-OLD",
    "root/.bash_history": "TYPED-BY-ROOT",
    "home/ann/.bash_history": "TYPED-BY-ANN",
    'home/be"n/.bash_history': "TYPED-BY-BEN",
    "home/ann/.ssh/known_hosts": "KNOWN-TO-ANN",
    "tmp/left over": "LEFT-IN-TMP",
}
KEPT = {"etc/hostname": "golden", "home/ann/work.txt": "WORK-OF-ANN", "home/ann/.ssh/authorized_keys": "KEY-OF-ANN"}


@pytest.fixture
def tree(tmp_path):
    """A small Linux system as a directory, with everything in it that has to go."""
    root = tmp_path / "root"
    for path, text in (SECRETS | KEPT).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text * 50 if path in SECRETS and "machine-id" not in path else text)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/ssh-keygen").write_text("#!")
    (root / "usr/bin/ssh-keygen").chmod(0o755)
    (root / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (root / "etc/fstab").write_text("LABEL=root / ext4 rw 0 0\n")
    os.symlink("/etc", root / "var/log/trap")  # leads to what must stay
    return root


def make_disk(path, tree, *, start=MIB, size=32 * MIB, options=()):
    """A raw disk with one partition that holds `tree` as ext4."""
    with path.open("wb") as disk:
        disk.truncate(start + size + MIB)
    table = struct.pack("<B3sB3sII", 0x80, b"", 0x83, b"", start // 512, size // 512)
    with path.open("r+b") as disk:
        disk.seek(440)
        disk.write(b"\x12\x34\x56\x78")
        disk.seek(446)
        disk.write(table)
        disk.seek(510)
        disk.write(b"\x55\xaa")
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-d", tree, *options, "-E", f"offset={start}", path,
         f"{size // 1024}k"],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


def debugfs(disk, command, start=MIB):
    done = subprocess.run(
        ["debugfs", "-R", command, f"{disk}?offset={start}"], check=True, capture_output=True, text=True
    )
    return done.stdout


def listed(disk, path):
    lines = debugfs(disk, f'ls -p "{path}"').splitlines()
    return {line.split("/")[5] for line in lines if line.startswith("/")} - {".", ".."}


def sound(disk, start=MIB):
    return subprocess.run(["e2fsck", "-fn", f"{disk}?offset={start}"], capture_output=True).returncode == 0


def test_what_makes_a_machine_itself_is_gone_from_the_bytes(tmp_path, tree):
    disk = make_disk(tmp_path / "disk.raw", tree)
    texts = [text.strip() for path, text in SECRETS.items()]
    assert all(text.encode() in disk.read_bytes() for text in texts)  # else the test would look for nothing
    report = seal(disk)
    assert (report.outcome, report.left) == ("sealed", [])
    raw = disk.read_bytes()
    assert [text for text in texts if text.encode() in raw] == []
    assert all(text.encode() in raw for text in KEPT.values())
    assert sound(disk)


def test_what_is_left_works(tmp_path, tree):
    disk = make_disk(tmp_path / "disk.raw", tree)
    seal(disk)
    assert "Size: 0" in debugfs(disk, "stat /etc/machine-id")
    assert listed(disk, "/var/log") == {"syslog", "apt", "journal", "trap"}
    assert listed(disk, "/var/lib/cloud") == listed(disk, "/var/log/journal") == listed(disk, "/tmp") == set()
    assert "ssh_host_ed25519_key" not in listed(disk, "/etc/ssh")
    assert "fstab" in listed(disk, "/etc")  # the link in /var/log was not followed
    assert debugfs(disk, f"cat {rules.KEYS_UNIT_PATH}") == rules.KEYS_UNIT
    assert rules.KEYS_UNIT_PATH in debugfs(disk, f"stat {rules.KEYS_UNIT_LINK}")


def test_sealing_again_changes_nothing(tmp_path, tree):
    disk = make_disk(tmp_path / "disk.raw", tree)
    seal(disk)
    again = seal(disk)
    assert again.outcome == "sealed"
    assert debugfs(disk, f"cat {rules.KEYS_UNIT_PATH}") == rules.KEYS_UNIT
    assert sound(disk)


def test_a_file_system_that_was_not_closed_is_replayed_first(tmp_path, tree):
    """As after a power cut: the flag that the journal has to be replayed is set."""
    disk = make_disk(tmp_path / "disk.raw", tree)
    subprocess.run(
        ["debugfs", "-w", "-R", "feature needs_recovery", f"{disk}?offset={MIB}"], check=True, capture_output=True
    )
    assert seal(disk).outcome == "sealed"
    assert sound(disk)


def test_a_damaged_file_system_is_left_and_told_of(tmp_path, tree):
    disk = make_disk(tmp_path / "disk.raw", tree)
    with disk.open("r+b") as file:
        file.seek(MIB + 4096)  # the group descriptors
        file.write(os.urandom(65536))
    report = seal(disk)
    assert report.outcome == "unsealed"
    assert any("partition 1" in one["message"] % one["params"] for one in report.left)


@pytest.mark.parametrize(
    ("offset", "signature", "word"), [(0, b"XFSB", "XFS"), (512, b"LABELONE", "LVM"), (0, b"LUKS\xba\xbe", "encrypted")]
)
def test_what_cannot_be_sealed_from_outside_is_said(tmp_path, tree, offset, signature, word):
    disk = make_disk(tmp_path / "disk.raw", tree)
    with disk.open("r+b") as file:
        file.seek(MIB)
        file.write(bytes(65536))
        file.seek(MIB + offset)
        file.write(signature)
    report = seal(disk)
    assert report.outcome == "unsealed"
    assert word in report.left[0]["message"] % report.left[0]["params"]


def test_an_image_without_anything_is_told_of(tmp_path):
    disk = tmp_path / "empty.raw"
    disk.write_bytes(bytes(4 * MIB))
    assert seal(disk).outcome == "unsealed"


def test_file_systems_of_their_own_are_sealed_as_what_they_are_mounted_as(tmp_path, tree):
    """/home on a partition of its own, found by the label in fstab."""
    (tree / "etc/fstab").write_text("LABEL=root / ext4 rw 0 0\nLABEL=people /home ext4 rw 0 0\n")
    home = tmp_path / "home"
    (tree / "home").rename(home)
    (tree / "home").mkdir()
    disk = make_disk(tmp_path / "disk.raw", tree)
    start, size = 33 * MIB, 16 * MIB
    with disk.open("r+b") as file:
        file.truncate(start + size)
        file.seek(446 + 16)
        file.write(struct.pack("<B3sB3sII", 0, b"", 0x83, b"", start // 512, size // 512))
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "people", "-d", home, "-E", f"offset={start}", disk,
         f"{size >> 10}k"],
        check=True, capture_output=True,
    )  # fmt: skip
    report = seal(disk)
    assert report.outcome == "sealed"
    raw = disk.read_bytes()
    assert b"TYPED-BY-ANN" not in raw and b"WORK-OF-ANN" in raw


def test_swap_is_wiped_and_its_header_stays(tmp_path):
    disk = tmp_path / "swap.raw"
    page = bytearray(4096)
    page[4086:] = b"SWAPSPACE2"
    disk.write_bytes(bytes(page) + b"MEMORY-OF-OLD" * 1000)
    size = disk.stat().st_size
    seal(disk)
    raw = disk.read_bytes()
    assert raw[4086:4096] == b"SWAPSPACE2" and b"MEMORY-OF-OLD" not in raw and len(raw) == size


# -- what a hostile image may try ---------------------------------------------------------------------------


@given(st.binary(max_size=4096), st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_partition_table_leads_outside_of_the_image(tmp_path_factory, junk, gpt):
    disk = tmp_path_factory.getbasetemp() / f"junk-{os.getpid()}.raw"
    head = bytearray(junk.ljust(4096, b"\0"))
    head[510:512] = b"\x55\xaa"
    if gpt:
        head[512:520] = b"EFI PART"
    disk.write_bytes(bytes(head))
    with disk.open("rb") as file:
        found = partitions.find(file.fileno())
    assert len(found) <= partitions.MOST
    assert all(0 <= one.start < 4096 and 0 < one.size <= 4096 - one.start for one in found)


def test_a_chain_of_extended_partitions_that_bites_its_tail_ends(tmp_path):
    disk = tmp_path / "ring.raw"
    table = bytearray(64 * 512)
    for sector in (0, 10, 20):
        table[sector * 512 + 510 : sector * 512 + 512] = b"\x55\xaa"
    struct.pack_into("<B3sB3sII", table, 446, 0, b"", 0x05, b"", 10, 50)
    for sector, following in ((10, 10), (20, 0)):
        struct.pack_into("<B3sB3sII", table, sector * 512 + 446, 0, b"", 0x83, b"", 1, 5)
        struct.pack_into("<B3sB3sII", table, sector * 512 + 462, 0, b"", 0x05, b"", following, 5)
    disk.write_bytes(bytes(table))
    with disk.open("rb") as file:
        assert [one.number for one in partitions.find(file.fileno())] == [5, 6]


def test_a_gpt_names_its_partitions(tmp_path):
    disk = tmp_path / "gpt.raw"
    own = uuid.uuid4()
    head = bytearray(64 * 512)
    head[512:520] = b"EFI PART"
    struct.pack_into("<QII", head, 512 + 72, 2, 128, 128)
    head[1024:1040] = uuid.uuid4().bytes_le
    head[1040:1056] = own.bytes_le
    struct.pack_into("<QQ", head, 1056, 40, 47)
    disk.write_bytes(bytes(head))
    with disk.open("rb") as file:
        (one,) = partitions.find(file.fileno())
    assert (one.number, one.start, one.size, one.partuuid) == (1, 40 * 512, 8 * 512, str(own))


def test_a_tool_that_talks_without_end_is_ended():
    with pytest.raises(OutOfBounds):
        confined.run(["yes"])


def test_a_tool_that_takes_too_long_is_ended():
    with pytest.raises(OutOfBounds):
        confined.run(["sleep", "600"], seconds=0.2)


def test_whoever_waits_can_end_a_tool():
    class Enough(Exception):
        pass

    def tick():
        raise Enough

    with pytest.raises(Enough):
        confined.run(["sleep", "600"], tick=tick)


def test_a_tool_gets_little_memory():
    ended = confined.run(["python3", "-c", f"bytearray({confined.MEMORY * 2})"])
    assert ended.code != 0 and "MemoryError" in ended.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_a_tool_of_roots_is_nobodys():
    ended = confined.run(["sh", "-c", "id -u; grep -c CapEff:.0000000000000000 /proc/self/status"])
    assert ended.output.split() == [str(confined.NOBODY), "1"]


# -- the same inside ----------------------------------------------------------------------------------------


def test_the_script_for_inside_takes_out_the_same(tree):
    """Run over a directory: what is an absolute path in the script is one below it here."""
    text = re.sub(r"([ >])/(etc|var|root|home|tmp|usr)\b", rf"\1{tree}/\2", script())
    done = subprocess.run(["sh", "-s"], input=text, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
    left = {
        str(path.relative_to(tree)): path.read_text(errors="replace")
        for path in tree.rglob("*")
        if path.is_file() and not path.is_symlink()
    }
    assert not [path for path, text in SECRETS.items() if left.get(path)]
    assert left["home/ann/work.txt"] == "WORK-OF-ANN" and left["etc/hostname"] == "golden"
    assert left[rules.KEYS_UNIT_PATH.lstrip("/")] == rules.KEYS_UNIT
