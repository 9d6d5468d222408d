"""What a definition says of pages and NUMA is read as far as Berth says such things itself, and else left alone."""

import pytest

from broker.virt.driver import Hardware
from broker.virt.drivers.libvirt.domain_xml import numa
from broker.virt.drivers.libvirt.domain_xml.machine import Machine

SIZE = '<memory unit="KiB">1048576</memory><vcpu>3</vcpu>'
HALF = '<cell id="{}" cpus="{}" memory="524288" unit="KiB"/>'
PAGES = "<memoryBacking><hugepages>{}</hugepages></memoryBacking>"


def machine(inside: str) -> Machine:
    return Machine.parse(f"<domain>{SIZE}{inside}</domain>")


@pytest.mark.parametrize(
    ("cells", "count"),
    [
        ("", 0),
        ('<cell id="0" cpus="0-2" memory="1048576" unit="KiB"/>', 0),  # only what memory is plugged into
        (HALF.format(0, "0-1") + HALF.format(1, "2"), 2),
        (HALF.format(0, "0") + HALF.format(1, "1-2"), 0),
        (HALF.format(0, "0,2") + HALF.format(1, "1"), 0),
        (HALF.format(0, "0-1") + HALF.format(1, "2").replace("524288", "524287"), 0),
    ],
)
def test_equal_cells_are_known(cells, count):
    assert numa.cells_of(machine(f"<cpu><numa>{cells}</numa></cpu>")) == count


@pytest.mark.parametrize(
    ("pages", "size"),
    [
        ('<page size="2048" unit="KiB"/>', 2048),
        ("", None),  # of the size that the host likes
        ('<page size="2" unit="MiB"/>', None),
        ('<page size="2048" unit="KiB" nodeset="0"/>', None),
        ('<page size="2048" unit="KiB"/><page size="1048576" unit="KiB" nodeset="1"/>', None),
    ],
)
def test_pages_of_one_size_are_known(pages, size):
    one = machine(PAGES.format(pages))
    assert numa.pages_of(one) == size
    before = one.xml()
    numa.apply(Hardware(hugepages_kib=size), one)
    assert one.xml() == before  # None: not spoken of
    numa.apply(Hardware(hugepages_kib=0), one)
    assert numa.pages_of(one) == 0 and "memoryBacking" not in one.xml()


@pytest.mark.parametrize(
    ("tune", "found"),
    [
        ("", ("none", "")),
        ('<numatune><memory mode="interleave" nodeset="0-1"/></numatune>', ("interleave", "0-1")),
        ('<numatune><memory nodeset="0"/></numatune>', ("strict", "0")),
        ('<numatune><memory mode="strict" placement="auto"/></numatune>', None),
        ('<numatune><memory mode="strict" nodeset="0"/><memnode cellid="0" nodeset="0"/></numatune>', None),
    ],
)
def test_where_its_memory_comes_from_is_known(tune, found):
    one = machine(tune)
    assert numa.host_nodes_of(one) == found
    before = one.xml()
    numa.apply(Hardware(), one)
    assert one.xml() == before
    numa.apply(Hardware(numa_mode="preferred", numa_host_nodes="1"), one)
    assert numa.host_nodes_of(one) == ("preferred", "1")


def test_what_cannot_be_divided_is_in_the_first():
    assert numa.shares(machine(""), 2, 1024) == [("0-1", 512 << 10), ("2", 512 << 10)]
    assert numa.shares(machine("").parse("<domain><memory>3145728</memory><vcpu>5</vcpu></domain>"), 2, 1 << 20) == [
        ("0-2", 2 << 20), ("3-4", 1 << 20),
    ]  # fmt: skip


def test_other_words_beside_huge_pages_stay():
    one = machine('<memoryBacking><nosharepages/><hugepages><page size="2048" unit="KiB"/></hugepages></memoryBacking>')
    numa.apply(Hardware(hugepages_kib=0), one)
    assert "<nosharepages/>" in one.xml() and "hugepages" not in one.xml()
