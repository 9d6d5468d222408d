"""From what each bench wrote as JSON to lines of one table, and to docs/benchmarks.md.

A line is a dictionary: "what", "ours" and "baseline" as text with units, "value" (the ratio, or the absolute figure
that the bar is about), "bar" as text, "met".
"""

from typing import Any

from tests.bench import gateway

Line = dict[str, Any]
HEAD = "| what | ours | baseline, same run | ratio or figure | bar | |\n|---|---|---|---|---|---|"


def table(lines: list[Line]) -> str:
    """The lines as one Markdown table."""
    rows = [
        f"| {line['what']} | {line['ours']} | {line['baseline']} | {line['value']} | {line['bar']} "
        f"| {'pass' if line['met'] else '**miss**'} |"
        for line in lines
    ]
    return "\n".join([HEAD, *rows])


def lines_of(name: str, result: dict[str, Any]) -> list[Line]:
    """The lines of one bench's JSON."""
    return result["bars"] if "bars" in result else READERS[name](result)


def _clones(result: dict[str, Any]) -> list[Line]:
    return [
        {
            "what": f"Pool of {result['count']} linked clones until defined, against a shell loop of qemu-img and virsh",
            "ours": f"{min(result['berth_seconds']):.2f} s", "baseline": f"{min(result['shell_seconds']):.2f} s",
            "value": f"{result['ratio']:.2f}", "bar": f"≤ {result['bar']:g}", "met": result["met"],
        }
    ]  # fmt: skip


def _allocation(result: dict[str, Any]) -> list[Line]:
    return [
        {
            "what": "Allocations through the API, 100 clients, against a bare Django view (none given twice)",
            "ours": f"{result['berth_per_second']:.0f}/s", "baseline": f"{result['bare_per_second']:.0f}/s",
            "value": f"{result['ratio']:.2f}", "bar": f"≥ {result['bar']:g}", "met": result["met"],
        }
    ]  # fmt: skip


def _gateway(result: dict[str, Any]) -> list[Line]:
    lines = []
    units = {"bulk": ("bulk_mib_s", "{:.0f} MiB/s"), "KiB": ("idle_kib", "{:.1f} KiB"),
             "200": ("open_200_s", "{:.2f} s"), "CPU": ("cpu_20_active", "{:.3f} cores")}  # fmt: skip
    for title, measured in result["gateway"].items():
        for what, value, bar, met in gateway.bars(measured):
            key, text = units[what.split()[0]]
            beside = "socat" if "socat" in what else "websockify"
            lines.append(
                {
                    "what": f"Gateway, {title}: {what}", "ours": text.format(measured[key]["gateway"]),
                    "baseline": f"{beside} {text.format(measured[key][beside])}", "value": value, "bar": bar, "met": met,
                }
            )  # fmt: skip
    return lines


READERS = {"clones": _clones, "allocation": _allocation, "gateway": _gateway}
