"""Pinning is read strictly and written in one way."""

import pytest

from broker.core.errors import Invalid
from broker.virt import cpu_pinning


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("", ""),
        ("0#0", "0#0"),
        ("1#2_0#1,0", "0#0-1_1#2"),
        ("0#1-4,^2", "0#1,3-4"),
        ("0#^2,1-4", "0#1,3-4"),  # as oVirt and libvirt write it, or the other way round
        ("0#7,5,6,1", "0#1,5-7"),
        ("007#08", "7#8"),
        ("255#4095", "255#4095"),
    ],
)
def test_it_is_written_in_one_way(given, kept):
    assert cpu_pinning.pinning(given) == kept == cpu_pinning.pinning(kept)


@pytest.mark.parametrize(
    "given",
    [
        "0", "#0", "0#", "0#0_", "_0#0", "0#0__1#1", "0#0_0#1", "0#1-", "0#-1", "0#4-1", "0#^1", "0#1,^1", "0#0,",
        "0#a", "0#0 ", " 0#0", "0#0\n", "0#0_1#1\n", "256#0", "0#4096", "0#0-99999",
        "-1#0", "0#0#1", "0#1--2", "\u0660#0",
        "0#\u0661", "0#0'/><x", "1.0#0",
    ],
)  # fmt: skip
def test_what_says_nothing_clear_is_refused(given):
    with pytest.raises(Invalid) as refusal:
        cpu_pinning.pinning(given)
    assert refusal.value.field == "cpu_pinning" and refusal.value.fix


def test_all_that_is_named_of_a_host_counts():
    assert cpu_pinning.host_cpus({"cpu_pinning": "0#0-1_1#4", "emulator_cpus": "7"}) == {0, 1, 4, 7}
    assert cpu_pinning.host_cpus({}) == cpu_pinning.host_cpus({"cpu_pinning": "", "emulator_cpus": ""}) == set()
