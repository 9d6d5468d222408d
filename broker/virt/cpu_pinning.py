"""Which processors of its host a machine's own ones run on: read strictly, and written in one way.

The words are oVirt's: `0#0-1_1#2-5,^4` says that processor 0 of the machine runs on the host's 0 and 1, and its
processor 1 on 2, 3 and 5. A set is numbers and ranges behind commas; `^4` takes one out of the rest.
"""

import re
from collections.abc import Iterable, Mapping

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.sizes import MOST_VCPUS

MOST_NUMBER = 4095  # of a processor or NUMA node of a host
LONGEST = 4000  # characters of a pinning
_ONE = re.compile(r"(\^?)([0-9]{1,4})(?:-([0-9]{1,4}))?")
_PIN = re.compile(r"([0-9]{1,4})#([0-9,^-]+)")


def numbers(text: str, *, field: str) -> frozenset[int]:
    """The numbers of a set such as `0-3,^2,8`. Raises Invalid for `field`."""
    kept: set[int] = set()
    out: set[int] = set()
    for part in text.split(","):
        found = _ONE.fullmatch(part)
        if found is None:
            raise _no_set(text, field)
        first, last = int(found[2]), int(found[3] or found[2])
        if last < first or last > MOST_NUMBER:
            raise _no_set(text, field)
        (out if found[1] else kept).update(range(first, last + 1))
    if not kept - out:
        raise _no_set(text, field)
    return frozenset(kept - out)


def _no_set(text: str, field: str) -> Invalid:
    return Invalid(
        N_("“%(text)s” is no set of numbers of a host."), field=field, text=text[:64], most=MOST_NUMBER,
        fix=N_("Give numbers up to %(most)s and ranges behind commas, such as 0-3,6; ^2 takes the 2 out of them."),
    )  # fmt: skip


def written(found: Iterable[int]) -> str:
    """A set in its one form: ascending, neighbours as a range."""
    parts: list[list[int]] = []
    for number in sorted(found):
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(str(number) for number in part) for part in parts)


def pins(text: str) -> dict[int, frozenset[int]]:
    """Of each pinned processor of the machine those of the host that it runs on. Raises Invalid."""
    found: dict[int, frozenset[int]] = {}
    for part in text.split("_") if text else ():
        pin = _PIN.fullmatch(part)
        if pin is None or int(pin[1]) >= MOST_VCPUS:
            raise Invalid(
                N_("“%(text)s” does not say which processor runs where."), field="cpu_pinning", text=part[:64],
                fix=N_("Write each as 0#0-1: the machine's processor, and those of the host; with _ between them."),
            )  # fmt: skip
        if int(pin[1]) in found:
            raise Invalid(
                N_("The processor %(vcpu)s is pinned twice."), field="cpu_pinning", vcpu=int(pin[1]),
                fix=N_("Name each processor of the machine once."),
            )  # fmt: skip
        found[int(pin[1])] = numbers(pin[2], field="cpu_pinning")
    return found


def pinning(text: str) -> str:
    """A pinning in its one form. Raises Invalid."""
    return "_".join(f"{vcpu}#{written(cpus)}" for vcpu, cpus in sorted(pins(text).items()))


def set_of(text: str, *, field: str) -> str:
    """A set in its one form; an empty one stays empty. Raises Invalid."""
    return written(numbers(text, field=field)) if text else ""


def host_cpus(options: Mapping[str, object]) -> frozenset[int]:
    """All processors of a host that a machine with these options is pinned to."""
    found = frozenset(cpu for cpus in pins(str(options.get("cpu_pinning", ""))).values() for cpu in cpus)
    emulator = str(options.get("emulator_cpus", ""))
    return found | (numbers(emulator, field="emulator_cpus") if emulator else frozenset())


def memory_nodes(options: Mapping[str, object]) -> frozenset[int]:
    """The NUMA nodes of a host that the memory of a machine with these options comes from."""
    named = str(options.get("numa_host_nodes", ""))
    return numbers(named, field="numa_host_nodes") if named else frozenset()
