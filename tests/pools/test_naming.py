"""Names of desktops: whatever the pattern, they are valid, different, and not anybody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import Invalid
from broker.virt import names
from pools.naming import check_pattern, free_names, name_of, prefix_of


@pytest.mark.parametrize(
    ("pattern", "number", "name"),
    [("", 7, "desk-7"), ("pc-###", 7, "pc-007"), ("pc-##", 1234, "pc-1234"), ("a#b", 3, "a3b"), ("###", 5, "005")],
)
def test_a_name(pattern, number, name):
    assert name_of("desk", check_pattern(pattern), number) == name


@pytest.mark.parametrize(
    "pattern",
    [
        "desk",
        "a##b##",
        "-##",
        ".#",
        "#######",
        "a b##",
        "a..##",
        "##..",
        "a/#",
        "<b>#",
        "x" * 60 + "#",
        "ä#",
        "a\n#",
        "#\n",
        7,
        None,
        "a\u200b#",
    ],
)
def test_what_is_no_pattern(pattern):
    with pytest.raises(Invalid) as refusal:
        check_pattern(pattern)
    assert refusal.value.field == "name_pattern"


@given(
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,15}#{1,6}[A-Za-z0-9._-]{0,10}", fullmatch=True).filter(
        lambda pattern: ".." not in pattern
    ),
    st.integers(1, 99_999),
)
def test_every_name_can_be_a_machines(pattern, number):
    name = name_of("desk", check_pattern(pattern), number)
    assert names.name(name) == name
    assert name.startswith(prefix_of("desk", pattern))


@given(st.sets(st.integers(1, 30)), st.sets(st.integers(1, 30)))
def test_names_in_use_are_passed_over(numbers, named):
    taken = {name_of("desk", "pc-##", number) for number in named}
    found = free_names("desk", "pc-##", numbers=numbers, names=taken)
    first = [next(found) for _ in range(20)]
    assert len({name for _, name in first}) == 20
    assert not {number for number, _ in first} & (numbers | named)
