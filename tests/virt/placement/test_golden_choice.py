"""Golden cases of the choice of a host: what is expected was reasoned by hand, not taken from a run.

"b" is the host chosen; "a=memory b=state" the rules that refuse each when none will do.
"""

import pytest

from broker.core.errors import NoCapacity
from broker.virt.placement import choose
from tests.virt.placement.table import key, picture

TWO = "a 16/8; b 16/8"
EVEN, SAVING, BY_NUMBER = (
    {"policy": "evenly_distributed"},
    {"policy": "power_saving"},
    {"policy": "vm_evenly_distributed"},
)
OVER = {"memory_overcommit": 200}

# (policy, hosts, other machines, groups, the machine, expected)
CASES = [
    # memory: exactly enough is enough, a little less is not; promises and reserves count
    ({}, "a 16/2", "", "", "x 2", "a"),
    ({}, "a 16/1.99", "", "", "x 2", "a=memory"),
    ({}, "a 16/4 p2", "", "", "x 2", "a"),
    ({}, "a 16/4 p2.01", "", "", "x 2", "a=memory"),
    ({}, "a 16/0", "", "", "x 2", "a=memory"),
    ({}, "a 16/1 p4", "", "", "x 1", "a=memory"),
    ({}, "a 16/1; b 16/2", "", "", "x 2", "b"),
    ({}, "a 16/1; b 16/1.5", "", "", "x 2", "a=memory b=memory"),
    ({}, "a 16/4 r2", "", "", "x 2", "a"),
    ({}, "a 16/4 r2.1", "", "", "x 2", "a=memory"),
    ({}, "a 16/4 r4", "", "", "x 1", "a=memory"),
    ({}, "a 16/8 r7; b 16/3", "", "", "x 2", "b"),
    ({}, "a 16/8; b 16/4", "", "", "x 2", "a"),
    ({}, "a 16/4; b 16/8", "", "", "x 2", "b"),
    ({}, "a 32/8; b 8/7", "", "", "x 2", "b"),  # the larger share, not the larger number
    ({}, "a 16/0 new; b 16/8", "", "", "x 2", "b"),
    ({}, "a 16/0 new", "", "", "x 2", "a"),  # never observed: it gets its chance
    # overcommit: what was given out counts, and the part that machines are expected to touch must be free
    (OVER, "a 16/4 g16", "", "", "x 4", "a"),
    (OVER, "a 16/1 g16", "", "", "x 4", "a=memory"),
    (OVER, "a 16/2 g16", "", "", "x 4", "a"),
    (OVER, "a 16/8 g29", "", "", "x 4", "a=memory"),
    (OVER, "a 16/8 g28", "", "", "x 4", "a"),
    (OVER, "a 16/8 g28.1", "", "", "x 4", "a=memory"),
    ({"memory_overcommit": 150}, "a 16/8 g20", "", "", "x 4", "a"),
    ({"memory_overcommit": 150}, "a 16/8 g21", "", "", "x 4", "a=memory"),
    ({"memory_overcommit": 400}, "a 16/1 g16", "", "", "x 4", "a"),
    ({}, "a 16/8 g40", "", "", "x 4", "a"),  # without overcommit only what is free counts
    # the host's condition
    ({}, "a 16/8 off", "", "", "x 2", "a=state"),
    ({}, "a 16/8 dead", "", "", "x 2", "a=state"),
    ({}, "a 16/8 error", "", "", "x 2", "a=reachable"),
    ({}, "a 16/8 stale", "", "", "x 2", "a=reachable"),
    ({}, "a 16/8 off; b 16/2", "", "", "x 2", "b"),
    ({}, "a 16/8 error; b 16/2", "", "", "x 2", "b"),
    ({}, "a 16/8 stale; b 16/2", "", "", "x 2", "b"),
    ({}, "a 16/8 dead; b 16/2", "", "", "x 2", "b"),
    ({}, "a 16/8 foreign; b 16/2", "", "", "x 2", "b"),
    ({}, "a 16/8 foreign", "", "", "x 2", "a=cluster"),
    ({}, "a 16/8 blind", "", "", "x 2", "a=storage"),
    ({}, "a 16/8 blind; b 16/3", "", "", "x 2", "b"),
    ({}, "a 16/8 off; b 16/8 error; c 16/1", "", "", "x 2", "a=state b=reachable c=memory"),
    ({}, "a 16/1 off", "", "", "x 2", "a=memory,state"),
    ({}, TWO, "", "", "x 2 bound b", "b"),
    ({}, "a 16/8; b 16/1", "", "", "x 2 bound b", "a=cluster b=memory"),
    ({}, "a 16/8; b 16/8 off", "", "", "x 2 bound b", "a=cluster b=state"),
    ({}, "", "", "", "x 2", ""),
    # processors
    ({"vcpu_ratio": 1}, "a 16/8 c4 v3", "", "", "x 1", "a"),
    ({"vcpu_ratio": 1}, "a 16/8 c4 v4", "", "", "x 1", "a=processors"),
    ({"vcpu_ratio": 2}, "a 16/8 c4 v4", "", "", "x 1 c4", "a"),
    ({"vcpu_ratio": 2}, "a 16/8 c4 v5", "", "", "x 1 c4", "a=processors"),
    ({"vcpu_ratio": 8}, "a 16/8 c4 v0", "", "", "x 1 c5", "a=processors"),
    ({"vcpu_ratio": 8}, "a 16/8 c4; b 16/2 c8", "", "", "x 1 c5", "b"),
    ({}, "a 16/8 c4 v400", "", "", "x 1 c5", "a"),  # 0: as many as wanted
    ({"vcpu_ratio": 1}, "a 16/0 c0 new", "", "", "x 1 c2", "a"),
    # pinned to processors of a host
    ({}, "a 16/8 cpus=0-3", "", "", "x 2 pin=0-3", "a"),
    ({}, "a 16/8 cpus=0-3", "", "", "x 2 pin=3-4", "a=pinning"),
    ({}, "a 16/8 cpus=0-1,3", "", "", "x 2 pin=2", "a=pinning"),  # as many, but that one is off
    ({}, "a 16/8 cpus=0-1; b 16/2 cpus=0-7", "", "", "x 2 pin=5", "b"),
    ({}, "a 16/8", "", "", "x 2 pin=700", "a"),  # not observed yet
    # huge pages: 2 GiB less 64 MiB are 992 of 2 MiB; of the other memory it takes next to nothing
    ({}, "a 16/1 cpus=0 pages=0/2048/992", "", "", "x 2 page=2048", "a"),
    ({}, "a 16/8 cpus=0 pages=0/2048/991", "", "", "x 2 page=2048", "a=huge_pages"),
    ({}, "a 16/8 cpus=0 pages=0/2048/500 pages=1/2048/492", "", "", "x 2 page=2048", "a"),
    ({}, "a 16/8 cpus=0 pages=0/1048576/8", "", "", "x 2 page=2048", "a=huge_pages"),
    ({}, "a 16/8 cpus=0; b 16/2 cpus=0 pages=0/2048/992", "", "", "x 2 page=2048", "b"),
    ({}, "a 16/0.01 cpus=0 pages=0/2048/992", "", "", "x 2 page=2048", "a=memory"),
    ({}, "a 16/8", "", "", "x 2 page=2048", "a"),  # not observed yet
    # memory from NUMA nodes of a host
    ({}, "a 16/8 node=0/2 node=1/4", "", "", "x 2 from=1 strict", "a"),
    ({}, "a 16/8 node=0/2", "", "", "x 2 from=0-1", "a=numa"),
    ({}, "a 16/8 node=0/1 node=1/4", "", "", "x 2 from=0 strict", "a=numa"),
    ({}, "a 16/8 node=0/4 node=1/4 taken=0/3", "", "", "x 2 from=0 strict", "a=numa"),
    ({}, "a 16/8 node=0/4 node=1/4 taken=0/3", "", "", "x 2 from=1 strict", "a"),
    ({}, "a 16/8 node=0/4 node=1/4 taken=0/3", "", "", "x 2 from=0-1 strict", "a"),
    ({}, "a 16/8 node=0/4 node=1/4 taken=0/3", "", "", "x 2 from=0", "a"),
    ({}, "a 16/8 node=0/4 node=1/4 taken=0-1/3", "", "", "x 2 from=0 strict", "a"),
    ({}, "a 16/8 node=0/4 node=1/4 taken=0-1/3 taken=1/4", "", "", "x 2 from=0 strict", "a=numa"),
    ({}, "a 16/8 node=0/1 node=1/4", "", "", "x 2 from=0", "a"),  # what does not fit there lies elsewhere
    ({}, "a 16/8 node=0/1 node=1/4", "", "", "x 2 from=0-1 strict", "a"),
    ({}, "a 16/8 node=0/1; b 16/2 node=0/1 node=1/4", "", "", "x 2 from=1", "b"),
    ({}, "a 16/8", "", "", "x 2 from=7 strict", "a"),  # not observed yet
    ({}, "a 16/8 cpus=0 node=0/8 node=1/8 pages=0/2048/992", "", "", "x 2 page=2048 from=1 strict", "a=huge_pages"),
    ({}, "a 16/8 cpus=0 node=0/8 node=1/8 pages=0/2048/992", "", "", "x 2 page=2048 from=1", "a"),
    # processor level
    ({"cpu_level": "Haswell"}, "a 16/8 cpu=Haswell", "", "", "x 2", "a"),
    ({"cpu_level": "Haswell"}, "a 16/8 cpu=Nehalem", "", "", "x 2", "a=cpu_level"),
    ({"cpu_level": "Haswell"}, "a 16/8 cpu=Nehalem; b 16/2 cpu=Nehalem cpu=Haswell", "", "", "x 2", "b"),
    ({"cpu_level": "Haswell"}, "a 16/8", "", "", "x 2", "a"),  # not observed yet
    ({}, "a 16/8 cpu=Nehalem", "", "", "x 2", "a"),
    # no policy: share of free memory (1), machines (0.5), promises (0.25)
    ({}, TWO, "", "", "x 2", "a"),  # equals: by name
    ({}, "b 16/8; a 16/8", "", "", "x 2", "a"),
    ({}, "a 16/8 m1; b 16/8", "", "", "x 2", "b"),
    ({}, "a 16/8 m9; b 16/7 m0", "", "", "x 2", "a"),  # memory 1 beats machines 0.5
    ({}, "a 16/8 p2; b 16/8", "", "", "x 2", "b"),
    ({}, "a 16/8 l99; b 16/7 l1", "", "", "x 2", "a"),  # load means nothing without a policy
    # evenly distributed: load 2 beats memory 1 and machines 0.5 together
    (EVEN, "a 16/8 l50; b 16/4 l10", "", "", "x 2", "b"),
    (EVEN, "a 16/8 l10; b 16/4 l50", "", "", "x 2", "a"),
    (EVEN, "a 16/8 l50 m1; b 16/4 l10 m9", "", "", "x 2", "b"),
    (EVEN, "a 16/8 l10 m3; b 16/8 l10 m2", "", "", "x 2", "b"),
    (EVEN, "a 16/8 l80", "", "", "x 2", "a"),
    (EVEN, "a 16/8 l81", "", "", "x 2", "a=load"),
    (EVEN, "a 16/8 l81; b 16/2 l80", "", "", "x 2", "b"),
    (EVEN, "a 16/8 l90; b 16/8 l95", "", "", "x 2", "a=load b=load"),
    (EVEN | {"high_utilization": 95}, "a 16/8 l90", "", "", "x 2", "a"),
    (EVEN | {"high_utilization": 60}, "a 16/8 l61", "", "", "x 2", "a=load"),
    (EVEN, "a 16/8", "", "", "x 2", "a"),  # nothing measured
    (BY_NUMBER, "a 16/8 l99", "", "", "x 2", "a"),
    ({}, "a 16/8 l99", "", "", "x 2", "a"),
    # power saving: the fullest that is not overloaded
    (SAVING, "a 16/8 l20 m2; b 16/14 l0", "", "", "x 2", "a"),
    (SAVING, "a 16/14 l0; b 16/8 l20 m2", "", "", "x 2", "b"),
    (SAVING, "a 16/8 l85 m4; b 16/14 l0", "", "", "x 2", "b"),
    (SAVING, "a 16/1 l20 m4; b 16/14 l0", "", "", "x 2", "b"),
    (SAVING, "a 16/8 l80 m4; b 16/14 l0", "", "", "x 2", "a"),
    (SAVING, "a 16/16 l0; b 16/16 l0", "", "", "x 2", "a"),
    (SAVING, "a 16/4 l40 m4; b 16/8 l60 m2", "", "", "x 2", "a"),  # memory 4 against load 2
    # by number
    (BY_NUMBER, "a 16/8 m2; b 16/3 m1", "", "", "x 2", "b"),
    (BY_NUMBER, "a 16/15 m5; b 16/3 m4", "", "", "x 2", "b"),
    (BY_NUMBER, "a 16/15 m0; b 16/3 m9", "", "", "x 2", "a"),
    (BY_NUMBER, "a 16/4 m2; b 16/8 m2", "", "", "x 2", "b"),
    (BY_NUMBER, "a 16/1 m0; b 16/8 m9", "", "", "x 2", "b"),
    # cluster maintenance
    ({"policy": "cluster_maintenance"}, "a 16/8", "", "", "x 2", "a=maintenance"),
    ({"policy": "cluster_maintenance"}, "a 16/8", "", "", "x 2 ha", "a"),
    ({"policy": "cluster_maintenance"}, "a 16/1; b 16/8", "", "", "x 2 ha", "b"),
    ({"policy": "cluster_maintenance"}, TWO, "", "", "x 2", "a=maintenance b=maintenance"),
    # machines together or apart
    ({}, TWO, "y@b 1", "together x y", "x 2", "b"),
    ({}, TWO, "y@a 1", "apart x y", "x 2", "b"),
    ({}, TWO, "y@b 1", "apart x y", "x 2", "a"),
    ({}, "a 16/8; b 16/1", "y@b 1", "together x y", "x 2", "a=affinity b=memory"),
    ({}, "a 16/8; b 16/1", "y@a 1", "apart x y", "x 2", "a=affinity b=memory"),
    ({}, TWO, "y@a 1; z@b 1", "apart x y z", "x 2", "a=affinity b=affinity"),
    ({}, "a 16/8; b 16/8; c 16/2", "y@a 1; z@b 1", "apart x y z", "x 2", "c"),
    ({}, TWO, "y@a 1; z@b 1", "together x y z", "x 2", "a"),  # they are in two places: either is together with one
    ({}, TWO, "y 1", "together x y", "x 2", "a"),  # the other runs nowhere
    ({}, TWO, "y 1", "apart x y", "x 2", "a"),
    ({}, TWO, "y@b 1", "together y z", "x 2", "a"),  # not its group
    ({}, TWO, "y@a 1", "apart y z", "x 2", "a"),
    ({}, TWO, "y@a 1; z@b 1", "apart x y; together x z", "x 2", "b"),
    ({}, TWO, "y@a 1; z@a 1", "apart x y; together x z", "x 2", "a=affinity b=affinity"),
    ({}, TWO, "", "together x", "x 2", "a"),
    # the same as a wish
    ({}, TWO, "y@b 1", "~together x y", "x 2", "b"),
    ({}, TWO, "y@a 1", "~apart x y", "x 2", "b"),
    ({}, "a 16/8; b 16/1", "y@b 1", "~together x y", "x 2", "a"),
    ({}, "a 16/8; b 16/1", "y@a 1", "~apart x y", "x 2", "a"),
    ({}, "a 16/8; b 16/3 m9", "y@b 1", "~together x y", "x 2", "b"),  # a wish outweighs memory and number
    (SAVING, "a 16/8 l50 m5; b 16/15 l0", "y@a 1", "~apart x y", "x 2", "b"),
    ({}, TWO, "y@a 1; z@b 1", "~apart x y; ~apart x z", "x 2", "a"),
    ({}, "a 16/8; b 16/8; c 16/4", "y@a 1; z@b 1", "~apart x y; ~apart x z", "x 2", "c"),
    ({}, TWO, "y@a 1; z@a 1", "apart x y; ~together x z", "x 2", "b"),  # a demand beats a wish
    # machines and hosts
    ({}, TWO, "", "on x : b", "x 2", "b"),
    ({}, TWO, "", "not-on x : a", "x 2", "b"),
    ({}, "a 16/8; b 16/1", "", "on x : b", "x 2", "a=affinity b=memory"),
    ({}, "a 16/8; b 16/8; c 16/8", "", "on x : b c", "x 2", "b"),
    ({}, "a 16/8; b 16/8 off; c 16/8", "", "on x : b c", "x 2", "c"),
    ({}, TWO, "", "not-on x : a b", "x 2", "a=affinity b=affinity"),
    ({}, TWO, "", "on x :", "x 2", "a"),  # no hosts named: it says nothing
    ({}, TWO, "", "not-on x :", "x 2", "a"),
    ({}, TWO, "", "~on x : b", "x 2", "b"),
    ({}, "a 16/8; b 16/8 off", "", "~on x : b", "x 2", "a"),
    ({}, TWO, "", "~not-on x : a", "x 2", "b"),
    ({}, "a 16/8; b 16/1", "", "~not-on x : a", "x 2", "a"),
    ({}, TWO, "y@a 1", "on x : a; apart x y", "x 2", "a=affinity b=affinity"),
    ({}, TWO, "y@b 1", "~on x : a; together x y", "x 2", "b"),
    ({}, TWO, "", "on y : b", "x 2", "a"),
]


def test_there_are_many():
    assert len(CASES) >= 125


@pytest.mark.parametrize(("policy", "hosts", "others", "groups", "wanted", "expected"), CASES)
def test_choice(policy, hosts, others, groups, wanted, expected):
    scene = picture(hosts, f"{wanted}; {others}", groups, **policy)
    request = scene.request(key("vm x"))
    try:
        found = choose(request, scene.hosts.values()).host.name
    except NoCapacity as refusal:
        rules: dict[str, list[str]] = {}
        for reason in refusal.reasons:
            rules.setdefault(reason.subject, []).append(reason.rule)
        found = " ".join(f"{name}={','.join(sorted(them))}" for name, them in sorted(rules.items()))
    assert found == expected
