"""Short writing for cases of placement.

A host: "a 16/8 m3 l50" = name, memory/free in GiB; m machines, l load in percent, c processors, v given processors,
g given GiB, r GiB reserved, p GiB promised; words: off (maintenance), dead (lost), error, stale, new (never seen);
cpus=0-3 those that it has online, pages=0/2048/64 of node 0 so many free huge pages of so many KiB,
node=0/4 with so many GiB.
A machine: "x@a 2 ha" = name@host, GiB; ha, p priority, b busy processors, c processors; still (cannot be moved),
down (does not run); pin=0-3 processors of a host that it is pinned to, page=2048 its memory is in such pages,
from=0-1 comes from these NUMA nodes, strict from them alone.
A group: "apart x y", "together x y", "on x : a", "not-on x : a", with "~" in front for a wish.
"""

from uuid import NAMESPACE_DNS, UUID, uuid5

from broker.virt.cpu_pinning import numbers
from broker.virt.placement import HostFacts, Request
from broker.virt.placement.facts import MIB, OVERHEAD_MIB
from broker.virt.placement.picture import Group, MachineFacts, Picture
from broker.virt.placement.policy import Policy

GIB = 1024**3
CLUSTER, DISKS = UUID(int=1), UUID(int=2)


def key(name: str) -> UUID:
    return uuid5(NAMESPACE_DNS, name)


def _numbers(words: list[str], letters: str) -> dict[str, float]:
    return {word[0]: float(word[1:]) for word in words if word[0] in letters and word[1:].replace(".", "").isdigit()}


def _set(words: list[str], name: str) -> frozenset[int]:
    found = [word.removeprefix(name) for word in words if word.startswith(name)]
    return numbers(found[0], field=name) if found else frozenset()


def host(text: str) -> HostFacts:
    name, size, *words = text.split()
    memory, free = (float(part) for part in size.split("/"))
    number = _numbers(words, "mlcvgrp")
    new = "new" in words
    return HostFacts(
        id=key(name),
        name=name,
        cluster=CLUSTER if "foreign" not in words else UUID(int=99),
        schedulable="off" not in words,
        error="no answer" if "error" in words else "",
        seen_ago=None if new else 120.0 if "stale" in words else 3.0,
        memory=0 if new else int(memory * GIB),
        memory_free=int(free * GIB),
        promised=int(number.get("p", 0) * GIB),
        machines=int(number.get("m", 0)),
        graphics=frozenset({"vnc", "spice"} if "spice" in words else {"vnc"}),
        storages=frozenset() if "blind" in words else frozenset({DISKS}),
        cpus=int(number.get("c", 8)),
        vcpus=int(number.get("v", 0)),
        given_mib=int(number.get("g", 0) * 1024),
        load=number.get("l"),
        online=_set(words, "cpus="),
        nodes=tuple(
            (int(node), int(size) * GIB)
            for node, size in (word[5:].split("/") for word in words if word.startswith("node="))
        ),
        on_nodes={
            _set([nodes], ""): int(float(size) * 1024)
            for nodes, size in (word[6:].split("/") for word in words if word.startswith("taken="))
        },
        pages=tuple(
            (int(node), int(kib), int(count))
            for node, kib, count in (word[6:].split("/") for word in words if word.startswith("pages="))
        ),
        models=frozenset(word[4:] for word in words if word.startswith("cpu=")),
        lost="dead" in words,
        reserved=int(number.get("r", 0) * GIB),
    )


def hosts(text: str) -> list[HostFacts]:
    return [host(part.strip()) for part in text.split(";") if part.strip()]


def machine(text: str) -> MachineFacts:
    place, memory, *words = text.split()
    name, _, on = place.partition("@")
    number = _numbers(words, "pbc")
    request = Request(
        cluster=CLUSTER,
        memory_mib=int(float(memory) * 1024) - OVERHEAD_MIB,
        storages=frozenset({DISKS}),
        vcpus=int(number.get("c", 1)),
        available="ha" in words,
        host_cpus=_set(words, "pin="),
        memory_nodes=_set(words, "from="),
        memory_strict="strict" in words,
        page_kib=next((int(word[5:]) for word in words if word.startswith("page=")), 0),
        host=key(words[words.index("bound") + 1]) if "bound" in words else None,
    )
    return MachineFacts(
        id=key(f"vm {name}"),
        name=name,
        host=key(on) if on else None,
        request=request,
        priority=int(number.get("p", 50)),
        running="down" not in words,
        movable="still" not in words and "down" not in words,
        busy=number.get("b", 0.0),
    )


def group(text: str) -> Group:
    kind, *words = text.split()
    hard, kind = not kind.startswith("~"), kind.lstrip("~")
    machines, _, places = " ".join(words).partition(":")
    return Group(
        name=text,
        machines=frozenset(key(f"vm {one}") for one in machines.split()),
        hosts=frozenset(key(one) for one in places.split()),
        machines_together={"together": True, "apart": False}.get(kind),
        machines_hard=hard,
        hosts_together={"on": True, "not-on": False}.get(kind),
        hosts_hard=hard,
    )


def picture(places: str, machines: str = "", groups: str = "", **policy: object) -> Picture:
    """The hosts' figures are taken as given: what their machines use is counted in already."""
    return Picture(
        Policy(**policy),  # type: ignore[arg-type]
        hosts(places),
        [machine(part.strip()) for part in machines.split(";") if part.strip()],
        [group(part.strip()) for part in groups.split(";") if part.strip()],
    )


def mib(gib: float) -> int:
    return int(gib * GIB) // MIB
