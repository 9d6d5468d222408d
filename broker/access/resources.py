"""What a quota can limit, and how its quantities are said."""

from broker.core.text import gettext_noop as N_

# resource → (its name, one machine's share of it as a sentence's subject)
RESOURCES: dict[str, str] = {
    "vcpus": N_("processors of running machines"),
    "memory_mib": N_("MiB of memory of running machines"),
    "disk_gib": N_("GiB of disk"),
    "machines": N_("machines"),
    "running": N_("running machines"),
}


def number(value: float) -> str:
    """A quantity for people: whole where it is, else with one digit."""
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"
