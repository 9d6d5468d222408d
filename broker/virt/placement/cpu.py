"""Which processor level a cluster can have: what all its hosts can give their guests. Pure."""

from collections.abc import Iterable

from .facts import HostFacts

# From the least to the most, as QEMU 7.2 names them; a model that is not here is never proposed, but may be chosen.
LADDER = (
    "qemu64", "kvm64", "Conroe", "Penryn", "Opteron_G3", "Nehalem", "Westmere", "SandyBridge", "IvyBridge",
    "Opteron_G5", "Haswell", "Broadwell", "EPYC", "Skylake-Client", "Skylake-Server", "EPYC-Rome", "Cascadelake-Server",
    "EPYC-Milan", "Icelake-Server", "SapphireRapids",
)  # fmt: skip


def offered(hosts: Iterable[HostFacts]) -> frozenset[str]:
    """The models that every host observed so far offers."""
    known = [host.models for host in hosts if host.models]
    return frozenset.intersection(*known) if known else frozenset()


def baseline(hosts: Iterable[HostFacts]) -> str:
    """The best model that all hosts offer; empty when nothing was observed or they have nothing in common."""
    common = offered(hosts)
    return next((model for model in reversed(LADDER) if model in common), "")
