"""What a guest is told at its first start: what may be said, how it is kept, and what the CD says."""

import json
from io import BytesIO
from types import SimpleNamespace

import pycdlib
import pytest

from broker.core.errors import Invalid
from broker.virt import cloud_init

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKtq2n3nJ0pXv5rJ4VZ8kA3sJ0yqk0c1m2n3o4p5q6r7 alice@home"
WISH = {
    "hostname": "web.example.org", "user": "alice", "password": "correct horse", "ssh_keys": [KEY],
    "packages": ["nginx", "htop"], "script": "#!/bin/sh\necho 'hi: {there}' > /root/hi\n",
    "address": "10.0.0.5/24", "gateway": "10.0.0.1", "nameservers": ["10.0.0.2"],
}  # fmt: skip


def test_the_cd_says_what_was_asked_for_and_never_the_password(settings):
    words = cloud_init.checked(WISH, name="web")
    assert "correct horse" not in json.dumps(words) and words["password_hash"].startswith("$6$")
    kept = cloud_init.sealed(words)
    assert "alice" not in kept
    nics = SimpleNamespace(all=lambda: [SimpleNamespace(mac="52:54:00:00:00:01")])
    with cloud_init.seed(SimpleNamespace(pk="one", name="web", cloud_init=kept, nics=nics)) as path:
        found = _read(path)
        assert path.parent.stat().st_mode & 0o077 == 0
    assert not path.exists()
    assert found["user-data"].startswith(b"#cloud-config\n")
    config = json.loads(found["user-data"].split(b"\n", 1)[1])
    assert json.loads(found["meta-data"]) == {"instance-id": "one", "local-hostname": "web.example.org"}
    assert config["users"][1]["hashed_passwd"] == words["password_hash"] and config["users"][1][
        "ssh_authorized_keys"
    ] == [KEY]
    assert config["packages"] == ["nginx", "htop"] and config["write_files"][0]["content"] == WISH["script"]
    card = json.loads(found["network-config"])["ethernets"]["berth0"]
    assert (card["match"]["macaddress"], card["addresses"]) == ("52:54:00:00:00:01", ["10.0.0.5/24"])


def _read(path):
    disc = pycdlib.PyCdlib()
    disc.open(str(path))
    assert disc.pvd.volume_identifier.decode().strip() == "CIDATA"
    found = {}
    for name in ("user-data", "meta-data", "network-config"):
        into = BytesIO()
        disc.get_file_from_iso_fp(into, rr_path=f"/{name}")
        found[name] = into.getvalue()
    disc.close()
    return found


def test_several_users_are_told_each_with_what_is_said_of_it_alone():
    users = [
        {"name": "bob", "full_name": "Bob Ö. Builder", "groups": "staff, video", "password": "another horse"},
        {"name": "eve", "groups": ["staff"], "ssh_keys": [KEY], "sudo": True},
    ]
    words = cloud_init.checked({"user": "alice", "password": "correct horse", "users": users}, name="web")
    assert not {"another horse", "correct horse"} & set(json.dumps(words).split('"'))
    config = json.loads(cloud_init.files("one", words, [])["user-data"].split(b"\n", 1)[1])
    default, alice, bob, eve = config["users"]
    shell, sudo = "/bin/bash", "ALL=(ALL) NOPASSWD:ALL"
    assert default == "default" and (alice["name"], alice["sudo"]) == ("alice", sudo)
    assert bob.pop("hashed_passwd").startswith("$6$") and bob.pop("lock_passwd") is False
    assert bob == {"name": "bob", "shell": shell, "gecos": "Bob Ö. Builder", "groups": ["staff", "video"]}
    assert eve == {"name": "eve", "shell": shell, "groups": ["staff"], "sudo": sudo, "ssh_authorized_keys": [KEY]}


def test_what_an_older_version_sealed_is_still_told():
    words = cloud_init.checked(WISH, name="web")
    del words["users"]
    config = json.loads(cloud_init.files("one", words, [])["user-data"].split(b"\n", 1)[1])
    assert [one if isinstance(one, str) else one["name"] for one in config["users"]] == ["default", "alice"]


def test_the_machine_s_name_is_the_host_s_and_lines_are_a_list():
    words = cloud_init.checked({"user": "bob", "ssh_keys": f"{KEY}\n\n  {KEY}  \n"}, name="web-1")
    assert words["hostname"] == "web-1" and words["ssh_keys"] == [KEY, KEY]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"surprise": 1}, "cloud_init"),
        ({"hostname": "a b"}, "hostname"),
        ({"hostname": "a" * 400}, "hostname"),
        ({"user": "root; rm"}, "user"),
        ({"password": "correct horse"}, "user"),
        ({"user": "alice", "password": "short"}, "password"),
        ({"user": "alice", "password": "two\nlines of it"}, "password"),
        ({"user": "alice", "ssh_keys": ["nonsense"]}, "ssh_keys"),
        ({"user": "alice", "ssh_keys": [KEY + "\nruncmd: [x]"]}, "ssh_keys"),
        ({"users": "bob"}, "users"),
        ({"users": ["bob"]}, "users"),
        ({"users": [{"full_name": "Bob"}]}, "users"),
        ({"users": [{"name": "Bob"}]}, "users"),
        ({"users": [{"name": "bob\n"}]}, "users"),
        ({"users": [{"name": "bob", "uid": 0}]}, "users"),
        ({"users": [{"name": "bob"}, {"name": "bob"}]}, "users"),
        ({"user": "bob", "users": [{"name": "bob"}]}, "users"),
        ({"users": [{"name": f"u{number}"} for number in range(33)]}, "users"),
        ({"users": [{"name": "bob", "full_name": "a:0:0"}]}, "users"),
        ({"users": [{"name": "bob", "full_name": "two\nlines"}]}, "users"),
        ({"users": [{"name": "bob", "groups": ["-G root"]}]}, "users"),
        ({"users": [{"name": "bob", "groups": 7}]}, "users"),
        ({"users": [{"name": "bob", "ssh_keys": [KEY + "\nruncmd: [x]"]}]}, "users"),
        ({"users": [{"name": "bob", "password": "short"}]}, "users"),
        ({"users": [{"name": "bob", "sudo": "yes"}]}, "users"),
        ({"packages": ["-oProxy"]}, "packages"),
        ({"packages": ["a"] * 65}, "packages"),
        ({"script": "echo hi"}, "script"),
        ({"script": "#!/bin/sh\n" + "x" * 70_000}, "script"),
        ({"address": "10.0.0.5"}, "address"),
        ({"address": "10.0.0.5/99"}, "address"),
        ({"gateway": "10.0.0.1"}, "address"),
        ({"nameservers": ["dns.example.org"]}, "address"),
    ],
)
def test_what_cannot_be_said_is_refused(wish, field):
    with pytest.raises(Invalid) as caught:
        cloud_init.checked(wish, name="web")
    assert caught.value.field == field and caught.value.fix
