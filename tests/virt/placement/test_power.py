"""Which hosts sleep and which are woken: golden cases reasoned by hand, and what holds whatever the cluster is like.

A host's power: "+" may be switched off; "z" asleep, "w" on its way up, "v" on its way down, "t" woke in vain lately;
"h" held; then the minutes for which it has been empty. Expected: "-a" is switched off, "+a" woken.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.virt.placement.picture import Picture
from broker.virt.placement.policy import Policy
from broker.virt.placement.power import SLEEP, WAKE, HostPower, decide
from tests.virt.placement.table import GIB, key, picture

ON = {"policy": "power_saving", "host_power_management": True}


def power(text: str) -> HostPower:
    signs = text.rstrip("0123456789")
    minutes = text[len(signs) :]
    return HostPower(
        able="+" in signs,
        held="held" if "h" in signs else "",
        asleep=bool(set("zwvt") & set(signs)),
        falling="v" in signs,
        waking="w" in signs,
        empty_for=float(minutes) * 60 if minutes else None,
        failed_ago=60.0 if "t" in signs else None,
    )


def scene(places, powers, machines="", groups="", waiting="", **policy):
    """A picture in which what sleeps is as its rows say: not schedulable, silent for hours."""
    known = {key(name): power(text) for name, text in (part.split("=") for part in powers.split())}
    seen = picture(places, "; ".join(part for part in (machines, waiting) if part), groups, **{**ON, **policy})
    hosts = [
        replace(one, schedulable=False, asleep=True, error="silent", seen_ago=9e4) if known[one.id].asleep else one
        for one in seen.hosts.values()
    ]
    names = [part.split("@")[0].strip() for part in waiting.split(";") if part.strip()]
    there = Picture(seen.policy, hosts, seen.machines.values(), seen.groups)
    return there, known, [there.machines[key(f"vm {name}")] for name in names]


def told(acts) -> str:
    return " ".join(("-" if act.kind == SLEEP else "+") + act.host.name for act in acts)


TWO, THREE = "a 16/8 m1 l30; b 16/16 l0", "a 16/8 m1 l30; b 16/16 l0; c 16/16 l0"
# (policy, hosts, their power, machines, groups, waiting, expected)
CASES = [
    # one empty host more than are to stay on, for long enough
    ({}, THREE, "a=+ b=+10 c=+10", "", "", "", "-b"),
    ({}, THREE, "a=+ b=+10 c=+11", "", "", "", "-c"),  # the one that has been empty longest
    ({}, THREE, "a=+ b=+9 c=+9", "", "", "", ""),
    ({"power_off_after_minutes": 30}, THREE, "a=+ b=+29 c=+29", "", "", "", ""),
    ({}, THREE, "a=+ b=+ c=+", "", "", "", ""),  # nobody has seen yet since when
    ({}, TWO, "a=+ b=+99", "", "", "", ""),  # the reserve
    ({"hosts_in_reserve": 0}, TWO, "a=+ b=+99", "", "", "", "-b"),
    ({"hosts_in_reserve": 2}, THREE, "a=+ b=+99 c=+99", "", "", "", ""),
    # a host that may not be counts as reserve
    ({}, THREE, "a=+ b=99 c=+99", "", "", "", "-c"),
    ({}, THREE, "a=+ b=99 c=99", "", "", "", ""),
    ({}, THREE, "a=+ b=+h99 c=+99", "", "", "", "-c"),
    ({}, THREE, "a=+ b=+h99 c=+h99", "", "", "", ""),
    # never the last
    ({"hosts_in_reserve": 0}, "a 16/16 l0", "a=+99", "", "", "", ""),
    ({"hosts_in_reserve": 0}, "a 16/16 l0; b 16/16 l0", "a=+99 b=+99", "", "", "", "-a"),
    ({"hosts_in_reserve": 0}, "a 16/16 l0; b 16/16 l0 off", "a=+99 b=+99", "", "", "", ""),
    ({"hosts_in_reserve": 0}, "a 16/16 l0; b 16/16 l0 error", "a=+99 b=+99", "", "", "", ""),
    ({"hosts_in_reserve": 0}, "a 16/16 l0; b 16/16 l0 dead", "a=+99 b=+99", "", "", "", ""),
    # never one with machines
    ({"hosts_in_reserve": 0}, "a 16/8 m1 l0; b 16/8 m2 l0", "a=+99 b=+99", "", "", "", ""),
    # one at a time
    ({}, "a 16/8 m1; b 16/16; c 16/16; d 16/16", "a=+ b=+99 c=+99 d=v", "", "", "", ""),
    ({}, "a 16/8 m1; b 16/16; c 16/16; d 16/16", "a=+ b=+99 c=+99 d=w", "", "", "", ""),
    # not while a host has more than it should
    ({}, "a 16/8 m1 l90; b 16/16 l0; c 16/16 l0", "a=+ b=+99 c=+99", "", "", "", ""),
    # nor one in maintenance, whose machines may come to the host that would stay on
    ({}, "a 16/8 m1 l90 off; b 16/16 l0; c 16/16 l0", "a=+ b=+99 c=+99", "x@a 1 b0.5", "", "", ""),
    # hosts that may fail
    ({"hosts_in_reserve": 0, "reserve_hosts": 1}, TWO, "a=+ b=+99", "", "", "", ""),
    ({"hosts_in_reserve": 0, "reserve_hosts": 1}, THREE, "a=+ b=+99 c=+99", "", "", "", "-b"),
    ({"reserve_hosts": 2}, THREE, "a=+ b=+99 c=+99", "", "", "", ""),
    ({"hosts_in_reserve": 0, "reserve_hosts": 1}, "a 16/2 m1; b 16/16; c 16/1 m1", "a=+ b=+99 c=+",
     "x@a 4 ha; y@c 4 ha", "", "", ""),
    # a highly available machine keeps the room it would have
    ({"hosts_in_reserve": 0}, "a 16/8 m1; b 16/16; c 16/1 m1", "a=+ b=+99 c=+", "x@a 4 ha", "", "", ""),
    ({"hosts_in_reserve": 0}, "a 16/8 m1; b 16/16; c 16/9 m1", "a=+ b=+99 c=+", "x@a 4 ha", "", "", "-b"),
    ({"hosts_in_reserve": 0}, "a 16/8 m1; b 16/16; c 16/1 m1", "a=+ b=+99 c=+", "x@a 4", "", "", "-b"),
    # an affinity group that demands its hosts
    ({}, THREE, "a=+ b=+99 c=+98", "", "on x : b", "", "-c"),
    ({}, THREE, "a=+ b=+99 c=+98", "", "on x : a b", "", "-b"),
    ({}, THREE, "a=+ b=+99 c=+98", "", "~on x : b", "", "-b"),
    # awake again: the reserve
    ({}, "a 16/8 m1; b 16/16", "a=+ b=z", "", "", "", "+b"),
    ({"hosts_in_reserve": 0}, "a 16/8 m1; b 16/16", "a=+ b=z", "", "", "", ""),
    ({}, "a 16/8 m1; b 16/16; c 16/16", "a=+ b=+5 c=z", "", "", "", ""),
    ({}, "a 16/8 m1; b 16/16; c 16/16", "a=+ b=w c=z", "", "", "", ""),  # one is coming
    ({"hosts_in_reserve": 2}, "a 16/8 m1; b 16/16; c 16/16", "a=+ b=z c=z", "", "", "", "+b +c"),
    ({}, "a 16/8 m1; b 16/16; c 16/16", "a=+ b=t c=z", "", "", "", "+c"),  # b woke in vain
    ({}, "a 16/8 m1; b 16/16", "a=+ b=t", "", "", "", ""),
    ({}, "a 16/8 m1; b 16/16", "a=+ b=v", "", "", "", ""),  # first it has to be off
    # overload
    ({"hosts_in_reserve": 0}, "a 16/8 m1 l90; b 16/16 l0", "a=+ b=z", "x@a 2 b1", "", "", "+b"),
    ({"hosts_in_reserve": 0}, "a 16/8 m1 l90; b 16/16 l0; c 16/16 l10 m1", "a=+ b=z c=+", "x@a 2 b1", "", "", ""),
    ({"hosts_in_reserve": 0}, "a 16/8 m1 l90; b 16/16 l0; c 16/16 l75 m1", "a=+ b=z c=+", "x@a 2 b1", "", "", "+b"),
    ({"hosts_in_reserve": 0}, "a 16/8 m1 l90; b 16/16 l0", "a=+ b=z", "x@a 2 b1 still", "", "", ""),
    ({"hosts_in_reserve": 0}, "a 16/8 m1 l90; b 16/1 l0", "a=+ b=z", "x@a 2 b1", "", "", ""),  # no room there either
    ({"hosts_in_reserve": 0}, "a 16/8 m1 l90; b 16/16 l0", "a=+ b=w", "x@a 2 b1", "", "", ""),
    # highly available machines that find no room
    ({"hosts_in_reserve": 0}, "a 16/1 m1; b 16/16", "a=+ b=z", "", "", "x@ 4 ha", "+b"),
    ({"hosts_in_reserve": 0}, "a 16/8 m1; b 16/16", "a=+ b=z", "", "", "x@ 4 ha", ""),
    ({"hosts_in_reserve": 0}, "a 16/1 m1; b 16/16; c 16/16", "a=+ b=z c=z", "", "", "x@ 4 ha; y@ 4 ha", "+b"),
    ({"hosts_in_reserve": 0}, "a 16/1 m1; b 16/5; c 16/5", "a=+ b=z c=z", "", "", "x@ 4 ha; y@ 4 ha", "+b +c"),
    ({"hosts_in_reserve": 0}, "a 16/1 m1; b 16/16; c 16/16", "a=+ b=w c=z", "", "", "x@ 4 ha", ""),
    ({"hosts_in_reserve": 0}, "a 16/1 m1; b 16/2; c 16/16", "a=+ b=z c=z", "", "", "x@ 4 ha", "+c"),
    ({"hosts_in_reserve": 0}, "a 16/1 m1; b 16/2; c 16/16", "a=+ b=+99 c=t", "", "", "x@ 4 ha", ""),  # and none sleeps
    # whoever does not save power any more has all his hosts back, one after the other
    ({"policy": "none"}, "a 16/8 m1; b 16/16; c 16/16", "a=+ b=z c=z", "", "", "", "+b"),
    ({"host_power_management": False}, "a 16/8 m1; b 16/16; c 16/16", "a=+ b=w c=z", "", "", "", ""),
    ({"policy": "evenly_distributed"}, THREE, "a=+ b=+99 c=+99", "", "", "", ""),
    ({"host_power_management": False}, THREE, "a=+ b=+99 c=+99", "", "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "places", "powers", "machines", "groups", "waiting", "expected"), CASES)
def test_cases(policy, places, powers, machines, groups, waiting, expected):
    acts = decide(*scene(places, powers, machines, groups, waiting, **policy))
    assert told(acts) == expected
    assert all(act.why % dict(act.params) for act in acts)


a_host = st.fixed_dictionaries(
    {
        "free": st.integers(1, 16), "load": st.integers(0, 99), "word": st.sampled_from(["", "", "", "off", "error"]),
        "power": st.sampled_from(["+99", "+99", "+99", "+3", "99", "+h99", "z", "z", "t", "w", "v"]),
        "sizes": st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=3),
    }
)  # fmt: skip


def built(rows, policy):
    places, powers, machines = [], [], []
    for name, row in zip("abcdefgh", rows, strict=False):
        held = row["sizes"] if not set("zwtv") & set(row["power"]) else []
        load = row["load"] if held else 0
        places.append(f"{name} 16/{row['free']} m{len(held)} l{load} {row['word']}")
        powers.append(f"{name}={row['power']}")
        machines += [f"{name}{n}@{name} {size} b0.5{' ha' if ha else ''}" for n, (size, ha) in enumerate(held)]
    return scene("; ".join(places), " ".join(powers), "; ".join(machines), **policy)


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(a_host, min_size=1, max_size=6), reserve=st.integers(0, 3), failing=st.integers(0, 2))
def test_whatever_the_cluster_is_like(rows, reserve, failing):
    """One direction, never below the reserve, nobody's host; and what was decided is not undone by the next look."""
    there, powers, waiting = built(rows, {"hosts_in_reserve": reserve, "reserve_hosts": failing})
    acts = decide(there, powers, waiting)
    assert acts == decide(there, powers, waiting)
    assert len({act.kind for act in acts}) <= 1 and len({act.host.id for act in acts}) == len(acts)
    usable = [one for one in there.hosts.values() if one.schedulable and not one.error]
    for act in acts:
        if act.kind == WAKE:
            assert powers[act.host.id].ready
            continue
        assert len(acts) == 1 and not any(one.waking or one.falling for one in powers.values())
        power_ = powers[act.host.id]
        assert power_.able and not power_.held and not power_.asleep and power_.empty_for >= 600
        assert act.host in usable and not act.host.machines and not there.on(act.host.id)
        assert sum(not one.machines for one in usable) - 1 >= reserve
        assert len(usable) - 1 > failing and len(usable) > 1
        after = {**powers, act.host.id: HostPower(able=True, asleep=True)}
        off = replace(act.host, schedulable=False, asleep=True, error="silent", seen_ago=9e4)
        later = Picture(there.policy, [*there.hosts.values(), off], there.machines.values())
        assert all(next_.kind == SLEEP for next_ in decide(later, after, waiting))


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(a_host, min_size=1, max_size=6), reserve=st.integers(0, 3))
def test_a_cluster_left_alone_comes_to_rest(rows, reserve):
    """Decided again and again, with all that was decided done: after as many looks as there are hosts nothing is left,
    and no host went both ways."""
    there, powers, waiting = built(rows, {"hosts_in_reserve": reserve})
    powers = {pk: replace(one, waking=False, falling=False) for pk, one in powers.items()}
    went: dict = {}
    for _ in range(2 * len(rows) + 1):
        acts = decide(there, powers, waiting)
        if not acts:
            return
        for act in acts:
            assert went.setdefault(act.host.id, act.kind) == act.kind
            asleep = act.kind == SLEEP
            powers[act.host.id] = HostPower(able=True, asleep=asleep, empty_for=None if asleep else 0.0)
            there.hosts[act.host.id] = replace(
                act.host, schedulable=not asleep, asleep=asleep, error="silent" if asleep else "",
                seen_ago=9e4 if asleep else 3.0,
            )  # fmt: skip
    raise AssertionError("it does not come to rest")


def test_a_large_cluster_is_decided_at_once():
    """64 hosts with 640 machines, many of them highly available; the picture is the one that balancing reads."""
    places = "; ".join(
        f"h{n:02} 256/{256 if n > 40 else 100} m{0 if n > 40 else 16} l{0 if n > 40 else 40}" for n in range(64)
    )
    machines = "; ".join(f"m{n:03}@h{n % 40:02} 4 ha" for n in range(640))
    there, powers, _ = scene(places, " ".join(f"h{n:02}=+{99 if n > 40 else ''}" for n in range(64)), machines)
    assert there.hosts[key("h41")].memory == 256 * GIB and there.policy == Policy(**ON)
    assert len(decide(there, powers)) == 1
