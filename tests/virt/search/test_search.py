"""The search language: what it finds, who finds what, what it says of a mistake, and that no text breaks it."""

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.access.require import visible_to
from broker.core.errors import Invalid
from broker.virt.models import Host, Tag, VirtualMachine
from broker.virt.search import complete, search
from broker.virt.search.fields import FIELDS
from broker.virt.search.language import Misread, narrowed, parse
from tests.pools.conftest import free_rows
from tests.world import World

GIB = 1024**3


@pytest.fixture
def machines(world):
    """web-1 (up, 4 GiB, busy), web-2 (off, 8 GiB), db (paused, 16 GiB, on a host of its own)."""
    other = Host.objects.create(cluster=world.cluster, name="rack 2", driver="simulated", uri="sim://two")
    common = {"cluster": world.cluster, "state": "ready", "template_version": world.version}
    rows = {
        "web-1": {"host": world.host, "power_state": "running", "memory_mib": 4096, "cpu_percent": 80,
                  "labels": ["web"], "guest": {"addresses": ["192.0.2.7"], "os_name": "Debian"},
                  "booted_at": timezone.now()},
        "web-2": {"host": world.host, "power_state": "off", "memory_mib": 8192, "title": "Shop front",
                  "owner": world.alice, "protected": True},
        "db": {"host": other, "power_state": "paused", "memory_mib": 16384, "cpu_percent": 5,
               "labels": ["web-old", "data"]},
    }  # fmt: skip
    return {name: VirtualMachine.objects.create(name=name, **common, **values) for name, values in rows.items()}


def found(actor, text) -> list[str]:
    one = search(actor, text)
    rows = visible_to(actor, VirtualMachine).filter(one.condition).order_by(*(one.order or ("name",)))
    return list(rows.values_list("name", flat=True))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["db", "web-1", "web-2"]),
        ("web", ["web-1", "web-2"]),
        ("shop front", ["web-2"]),
        ("status=up", ["web-1"]),
        ("status=up,off", ["web-1", "web-2"]),
        ("status!=up", ["db", "web-2"]),
        ("memory>4g", ["db", "web-2"]),
        ("memory>=4g and memory<16g", ["web-1", "web-2"]),
        ("memory=4096", ["web-1"]),
        ("name=web-*", ["web-1", "web-2"]),
        ('name="web-*"', []),
        ("name=WEB-1 or name=db", ["db", "web-1"]),
        ("not (name~web)", ["db"]),
        ("name!~web", ["db"]),
        ("label=web", ["web-1"]),
        ("label~web", ["db", "web-1"]),
        ("not label=web", ["db", "web-2"]),
        ("address=192.0.2.7 os=debian", ["web-1"]),
        ('host="rack 2"', ["db"]),
        ("host!=host-1", ["db"]),
        ("owner=alice protected=yes", ["web-2"]),
        ("cpu>50%", ["web-1"]),
        ("not cpu>50", ["db", "web-2"]),
        ("age<1d uptime<1h", ["web-1"]),
        ("created>2020-01-31", ["db", "web-1", "web-2"]),
        ("sort by memory desc", ["db", "web-2", "web-1"]),
        ("name~web sort by cpu desc, name", ["web-1", "web-2"]),
        ("sort by age", ["db", "web-2", "web-1"]),
        ("sort", []),
        ("status=up and memory>2g and label=web sort by cpu", ["web-1"]),
    ],
)  # fmt: skip
def test_what_is_found(world, machines, text, names):
    assert found(world.actor("root"), text) == names


def test_pools_and_things_a_machine_has_many_of(world, make_pool_of, machines):
    pool = make_pool_of("Desk pool")
    free_rows(pool, world, 2)
    root = world.actor("root")
    assert found(root, 'pool="desk pool"') == found(root, "pool=desk*") == ["desk-1", "desk-2"]
    assert found(root, "network=default") == [], "rows without cards are in no network"
    assert found(root, "network!=default and name=db") == ["db"]
    Tag.objects.create(vm=machines["web-1"], name="shop")
    assert found(root, "tag=shop") == ["web-1"]
    assert found(root, "tag!=shop and name~web") == ["web-2"]
    assert found(root, "desk pool") == ["desk-1", "desk-2"]


@pytest.fixture
def make_pool_of(world):
    from pools.models import Pool

    return lambda title: Pool.objects.create(
        name="desk", title=title, cluster=world.cluster, template=world.template, storage=world.storage, size=2
    )


def test_nobody_learns_of_what_is_not_theirs(world, machines):
    """Alice sees a machine but neither its host nor its cluster: their names match nothing, and sort nothing."""
    world.grant(world.alice, "vm-user", machines["web-1"])
    alice = world.actor("alice")
    assert found(alice, "") == ["web-1"]
    assert found(alice, "host=host-1") == found(alice, "cluster=main") == found(alice, "name=db") == []
    assert [one.text for one in complete(alice, "host=")] == []
    assert [one.text for one in complete(world.actor("root"), "host=r")] == ['"rack 2"']
    with pytest.raises(Misread) as error:
        search(alice, "sort by host")
    assert "host" not in error.value.words and "name" in error.value.words


@pytest.mark.parametrize(
    ("text", "position", "word"),
    [
        ("status=upp", 8, "up"),
        ("colour=red", 1, "memory"),
        ("name=a and", 11, ""),
        ("memory>much", 8, ""),
        ("(name=a", 8, ")"),
        ("name=a)", 7, "and"),
        ('name="a', 6, '"'),
        ("name>a", 5, "~"),
        ("name=", 6, ""),
        ("sort by colour", 9, "cpu"),
        ("sort by", 8, ""),
        ("age=3d", 4, "<"),
        ("created>2020-02-31", 9, ""),
        ("name=a*b", 6, ""),
        ("cpu>1,2", 4, ""),
        ("= b", 1, ""),
        ("or", 1, ""),
        ("(" * 30 + "a" + ")" * 30, 21, ""),
        ("a " * 60, 81, ""),
        ("x" * 501, 501, ""),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_could_stand_there(world, text, position, word):
    with pytest.raises(Misread) as error:
        search(world.actor("root"), text)
    assert error.value.position == position
    assert not word or word in error.value.words
    assert str(position) in error.value.message or "longer" in error.value.message
    assert isinstance(error.value, Invalid) and error.value.field == "search"


PIECES = st.sampled_from(
    [*FIELDS.names(), "=", "!=", "~", "<", ">=", "(", ")", "and", "or", "not", "sort", "by", "desc", ",", '"', "\\",
     "up", "4g", "7d", "2026-01-31", "99999w", "9" * 30, "*", "%", "\0", "'", "é", "𝔘", "\u202e", "{}", "%(x)s"]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map(" ".join), st.lists(PIECES).map("".join))


@given(texts=st.lists(TEXTS, min_size=5, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_found_or_refused(world_once, texts):
    """Whatever is typed: rows or a Misread whose place is in the text, and completions that begin where they say."""
    actor = world_once
    for text in texts:
        try:
            one = search(actor, text)
        except Misread as error:
            assert 1 <= error.position <= len(text) + 1
            assert error.message and error.as_dict()["fix"]
        else:
            list(VirtualMachine.objects.filter(one.condition).order_by(*one.order)[:3])
            assert narrowed(narrowed(text, ["status=up"]), []) == narrowed(text, ["status=up"])
        for completion in complete(actor, text):
            assert 0 <= completion.start <= len(text)


@pytest.fixture
def world_once(db):
    return World.build().actor("root")


@given(names=st.lists(st.text(max_size=12), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_what_is_quoted_comes_out_as_it_went_in(names):
    quoted = [name.replace("\\", "\\\\").replace('"', '\\"') for name in names]
    tree = parse("name=" + ",".join(f'"{name}"' for name in quoted)).where
    assert [token.text for token in tree.values] == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["name", "title"]),
        ("sta", ["status", "state"]),
        ("status", ["status=", "status!="]),
        ("status=", ["up", "down"]),
        ("status=pa", ["paused"]),
        ("status=up,", ["up"]),
        ("status=up ", ["and", "or"]),
        ("status=up sort", ["sort by"]),
        ("status=up sort by ", ["name"]),
        ("sort by cpu ", ["asc", "desc"]),
        ('host="ra', ['"rack 2"']),
    ],
)
def test_what_can_be_typed_next(world, machines, text, words):
    offered = [one.text for one in complete(world.actor("root"), text)]
    assert offered[: len(words)] == words or set(words) <= set(offered)


def test_further_conditions_join_a_search():
    assert narrowed("a or b sort by cpu", ["status=up"]) == "(a or b) and status=up sort by cpu"
    assert narrowed("", ["status=up"]) == "status=up"
    assert narrowed("sort by cpu", ["status=up"]) == "status=up sort by cpu"
