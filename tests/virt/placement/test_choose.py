"""Placement: golden explanations, and properties that hold for any hosts."""

import random
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from broker.core.errors import NoCapacity
from broker.virt.placement import HostFacts, Request, choose
from broker.virt.placement.picture import MachineFacts, Picture
from broker.virt.placement.policy import Policy
from broker.virt.placement.rules import all_filters, all_weights

GIB = 1024**3
CLUSTER, DISKS = UUID(int=1), UUID(int=2)
REQUEST = Request(cluster=CLUSTER, memory_mib=1024, storages=frozenset({DISKS}))


def host(name="a", **facts):
    return HostFacts(
        **{
            "id": UUID(int=sum(map(ord, name)) + 1000),
            "name": name,
            "cluster": CLUSTER,
            "schedulable": True,
            "error": "",
            "seen_ago": 3.0,
            "memory": 16 * GIB,
            "memory_free": 8 * GIB,
            "promised": 0,
            "machines": 0,
            "graphics": frozenset({"vnc"}),
            "storages": frozenset({DISKS}),
        }
        | facts
    )


GOLDEN = {
    "cluster": ({"cluster": uuid4()}, "it belongs to another cluster"),
    "state": ({"schedulable": False}, "it is in maintenance"),
    "reachable": ({"error": "no route"}, "it does not answer (no route)"),
    "memory": ({"memory_free": 1 * GIB}, "it has too little memory (1024 MiB left, 1088 needed)"),
    "graphics": ({"graphics": frozenset({"spice"})}, "it offers no vnc console"),
    "storage": ({"storages": frozenset()}, "it does not see the storage of its disks, or that is in maintenance"),
}
FROM_A = replace(REQUEST, leaving=UUID(int=sum(map(ord, "a")) + 1000))


def test_who_has_devices_of_a_host_goes_there_alone():
    bound = replace(REQUEST, devices_on=host("b").id)
    with pytest.raises(NoCapacity) as caught:
        choose(bound, [host()])
    (reason,) = caught.value.reasons
    assert (reason.rule, reason.template) == ("devices", "the machine has PCI or USB devices of another host")
    assert choose(bound, [host(), host("b", machines=9)]).host.name == "b"


def test_who_leaves_a_host_does_not_go_there():
    with pytest.raises(NoCapacity) as caught:
        choose(FROM_A, [host()])
    assert [(reason.rule, reason.template) for reason in caught.value.reasons] == [("present", "it runs there now")]
    assert choose(FROM_A, [host(), host("b", machines=9)]).host.name == "b"


def test_who_is_pinned_goes_where_those_processors_are():
    pinned = replace(REQUEST, host_cpus=frozenset({1, 6, 7}))
    with pytest.raises(NoCapacity) as caught:
        choose(pinned, [host(online=frozenset({0, 1, 2, 3, 6}))])
    (reason,) = caught.value.reasons
    sentence = "the machine is pinned to its processors 7, and it has 0-3,6"
    assert (reason.rule, reason.template % reason.params) == ("pinning", sentence)


def test_huge_pages_given_to_one_are_not_given_to_the_next():
    wanted = replace(REQUEST, page_kib=2048, memory_mib=64)
    some = host(online=frozenset({0}), pages=((0, 2048, 40),))
    with pytest.raises(NoCapacity) as caught:
        choose(wanted, [replace(some, pages_promised={2048: 9, 1048576: 1})])
    (reason,) = caught.value.reasons
    sentence = "it has 31 free pages of 2048 KiB, and the machine needs 32"
    assert (reason.rule, reason.template % reason.params) == ("huge_pages", sentence)
    one, two = (MachineFacts(uuid4(), name, None, wanted) for name in ("one", "two"))
    scene = Picture(Policy(), [some], [one, two])
    scene.put(one.id, some.id)
    with pytest.raises(NoCapacity):
        choose(wanted, scene.hosts.values())
    scene.put(one.id, None)
    assert choose(wanted, scene.hosts.values()).host.name == "a"


@pytest.mark.parametrize(
    ("nodes", "sentence"),
    [
        (((0, GIB), (1, GIB)), "the machine’s memory comes from its NUMA nodes 2, and it has 0-1"),
        (((1, GIB // 4), (2, GIB // 4)), "its NUMA nodes 1-2 have 512 MiB, and the machine takes 1024 from them"),
    ],
)
def test_whose_memory_comes_from_nodes_goes_where_they_are(nodes, sentence):
    with pytest.raises(NoCapacity) as caught:
        choose(replace(REQUEST, memory_nodes=frozenset({1, 2}), memory_strict=True), [host(nodes=nodes)])
    (reason,) = caught.value.reasons
    assert (reason.rule, reason.template % reason.params) == ("numa", sentence)


def test_a_planner_counts_what_it_puts_on_nodes_and_takes_away():
    wanted = replace(REQUEST, memory_nodes=frozenset({1}), memory_strict=True)
    some = host(nodes=((0, GIB), (1, 3 * GIB // 2)))
    one = MachineFacts(id=uuid4(), name="one", host=None, request=wanted)
    scene = Picture(Policy(), [some], [one])
    scene.put(one.id, some.id)
    with pytest.raises(NoCapacity) as caught:
        choose(wanted, scene.hosts.values())
    assert [reason.rule for reason in caught.value.reasons] == ["numa"]
    scene.put(one.id, None)
    assert choose(wanted, scene.hosts.values()).host.name == "a"


# Rules that come with a policy or a group have theirs in test_golden_choice.py.
BY_POLICY = {"affinity", "cpu_level", "load", "maintenance", "processors"}


def test_every_filter_has_its_golden_sentence():
    of_machines = {"present", "devices", "pinning", "huge_pages", "numa"}
    assert {rule.name for rule in all_filters()} == GOLDEN.keys() | BY_POLICY | of_machines


@pytest.mark.parametrize("rule", GOLDEN)
def test_each_filter_refuses_alone_and_says_why(rule):
    facts, sentence = GOLDEN[rule]
    with pytest.raises(NoCapacity) as caught:
        choose(REQUEST, [host(**facts)])
    (reason,) = caught.value.reasons
    assert (reason.subject, reason.rule, reason.template % reason.params) == ("a", rule, sentence)


def test_a_host_not_heard_of_for_a_minute_is_out_and_a_new_one_is_in():
    with pytest.raises(NoCapacity):
        choose(REQUEST, [host(seen_ago=61.0)])
    assert choose(REQUEST, [host(seen_ago=None, memory=0, memory_free=0, graphics=frozenset())]).host.name == "a"


def test_bound_to_one_host():
    with pytest.raises(NoCapacity):
        choose(replace(REQUEST, host=uuid4()), [host()])


def test_no_hosts_at_all():
    with pytest.raises(NoCapacity) as caught:
        choose(REQUEST, [])
    assert caught.value.reasons == ()


@pytest.mark.parametrize(
    ("better", "worse"),
    [({"memory_free": 9 * GIB}, {}), ({}, {"machines": 3}), ({}, {"promised": GIB})],
)
def test_weights_prefer(better, worse):
    assert choose(REQUEST, [host("a", **worse), host("b", **better)]).host.name == "b"


def test_the_decision_explains_all_hosts():
    decision = choose(REQUEST, [host("a"), host("b", machines=2), host("c", schedulable=False)])
    assert [verdict.host.name for verdict in decision.verdicts] == ["a", "b", "c"]
    assert decision.verdicts[0].scores.keys() == {rule.name for rule in all_weights()}
    assert [reason.rule for reason in decision.verdicts[2].refusals] == ["state"]


def some_hosts(source):
    return [
        host(
            f"h{index}",
            id=UUID(int=index + 1),
            schedulable=source.random() < 0.8,
            error=source.choice(["", "", "", "down"]),
            seen_ago=source.choice([None, 1.0, 59.0, 120.0]),
            memory_free=source.randrange(0, 16) * GIB,
            promised=source.randrange(0, 4) * GIB,
            machines=source.randrange(50),
            storages=frozenset(source.sample([DISKS, UUID(int=9)], source.randrange(3))),
        )
        for index in range(source.randrange(1, 12))
    ]


@pytest.mark.parametrize("seed", range(200))
def test_properties(seed):
    """Whatever the hosts: the chosen one passes every filter, order does not matter, and a refused host never wins."""
    source = random.Random(seed)
    hosts = some_hosts(source)
    fit = {one.name for one in hosts if not any(rule.check(REQUEST, one) for rule in all_filters())}
    shuffled = source.sample(hosts, len(hosts))
    if not fit:
        with pytest.raises(NoCapacity) as caught:
            choose(REQUEST, hosts)
        assert {reason.subject for reason in caught.value.reasons} == {one.name for one in hosts}
        return
    decision = choose(REQUEST, hosts)
    assert decision.host.name in fit
    assert choose(REQUEST, shuffled).host == decision.host
    assert {verdict.host.name for verdict in decision.verdicts if not verdict.refusals} == fit
    best = decision.verdicts[0].total
    assert all(verdict.total <= best for verdict in decision.verdicts if not verdict.refusals)
    assert choose(REQUEST, [*hosts, host("zz", schedulable=False)]).host == decision.host


def test_a_burst_is_spread():
    """Placed one after the other, with what each start promises counted, equal hosts get equal shares."""
    hosts = {name: host(name, memory_free=16 * GIB) for name in "abc"}
    for _ in range(12):
        chosen = choose(REQUEST, hosts.values()).host
        hosts[chosen.name] = replace(chosen, promised=chosen.promised + GIB, machines=chosen.machines + 1)
    assert [one.machines for one in hosts.values()] == [4, 4, 4]
