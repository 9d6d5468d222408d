"""From what each bench wrote as JSON to lines of one table, and to docs/benchmarks.md.

A line is a dictionary: "what", "ours" and "baseline" as text with units, "value" (the ratio, or the absolute figure
that the bar is about), "bar" as text, "met".
"""

import os
from datetime import datetime
from typing import Any

Line = dict[str, Any]
HEAD = "| what | ours | baseline, same run | ratio or figure | bar | |\n|---|---|---|---|---|---|"
PAGE = """\
# Benchmarks

`make bench` measures each figure beside its baseline in the same run, prints this table and fails when a bar is
missed; `make bench ARGS=--write` writes this page. The figures are those of one machine and are there to be
compared with their baseline, not with other machines.

Measured {when}: {machine}. {load}

{table}

{failures}{why}## How it is measured

- Rounds of both sides alternate. Clones and the gateway compare the best ones: what else the machine does only ever
  slows them down. Allocations compare neighbouring rounds and take the median. Delays are p95 and p50 of all rounds.
- **Second start, idle processes** (`tests/bench/idle.py`): `make run` with the demo over a private libvirtd, stopped
  and started again; the time holds the installer's look at the machine. Memory is the sum of the proportional set
  sizes of all processes below `make`, after a minute of nothing; libvirtd and QEMU are not among them.
- **`virsh destroy` to the page** (`page.py`, `live.py`): the whole of `manage.py serve`, and Chromium with two tabs of
  an admin; a MutationObserver notes when the state reads “Off”. The time holds virsh's own start and its wait for
  QEMU's end, which the raw callback beside it shows. The machine's card is not guarded: with a guard libvirt takes
  the card's packet rules away first, half a second and more here, before it tells anybody that the machine is off.
- **Clones** (`clones.py`): from asking for the pool until all its machines are defined: rows, jobs, steps, events,
  by the worker threads of one process over SQLite. The loop is `qemu-img create` and `virsh define`, one after another.
- **Reset** (`reset.py`): the same stage; a running desktop is given back and free again, its disk made afresh. The
  shell does `virsh destroy`, `rm` and `qemu-img create`.
- **Allocations** (`allocation.py`): 1,000 free running desktops, 100 clients with sessions of their own, each over one
  connection; one uvicorn process on one core, clients and PostgreSQL on the other. The bare view has the session
  middleware alone and does one SELECT and one UPDATE. Afterwards every desktop is held, and by one user.
- **Servers** (`servers.py`): a qcow2 of 1 GiB in pieces of 32 MiB, until it was looked at and stored, against
  `vol-create-as` and `vol-upload` of the same file; twelve guests of 512 bytes started by twelve clients of the API or
  twelve `virsh start`, until each echoes on its serial line. Rounds alternate, medians are compared.
- **Sign-ins** (`storm.py`): each opens the sign-in page, signs in over TLS at a real slapd (search, bind, groups), is
  sent to a desktop or into the queue, opens that page and asks for a ticket. 800 desktops run on the simulated driver,
  200 are made from the moment the first person comes. Two uvicorn processes serve; worker, scheduler and monitor are
  a third. What a sign-in costs of a core is that of the serving ones, beside a view that binds and writes a session.
- **Lists** (`lists.py`): one process and database for each size; requests pass through all of Django. The user's
  rights come from a role on the pool that half of the machines are in.
  The list, a search of five terms with an order, and one machine with two disks, a card and fifty events; a search
  looks at all machines, so its time may grow with them.
- **History** (`history.py`): SQLite with a whole day of minutes there; six passes noted and their minute written, and a
  fifth of a roll-up, in CPU time of a minute. The baseline is a bare `executemany` of an upsert of the same rows.
- **Directory sync** (`directory.py`): slapd over TLS, 10,000 users, each in five of 200 groups; the sync in a process
  of its own over SQLite, whose highest memory is that of the whole process. Reading alone writes nothing.
- **Many hosts** (`hosts.py`): a hundred connections of libvirt's own test driver, each with fifty running machines,
  inside the measured process. It tells no counters, so no load is kept. The baseline makes the very calls of a full
  pass, without a socket or QEMU in between: a real libvirtd takes some 7 ms for each running machine's counters.
- **Planning** (`planning.py`): the pure functions alone that high availability and "If a host failed" call, with
  affinity groups and memory kept free; the machines' rows are not read, nothing is started.
- **Migration** (`migration.py`): the small Linux of the tests with 256 MiB, idle, there and back between two libvirtds
  over plain TCP; from the request until its job is over, events written. Berth takes the clipboard's channel out before
  and puts it back, which virsh is spared. The best rounds are compared, of the guest's standstill the medians.
- **Failover** (`failover.py`): three libvirt hosts with agents, no power management: a power cut, then so many seconds
  of silence and so many in which the lease stands still; at no time are there two QEMUs.
- **Gateway** (`gateway.py`): the relay alone on one core, client and a VNC-like server on the other; tickets are
  redeemed from memory. An idle console is counted in KiB of proportional set size beyond the first; an active one gets
  20 KiB thirty times a second. With TLS the client reads the heads of bulk data's records and opens none, for that
  would be slower than relaying them.
- **SPICE** (`spice.py`): the same with a SPICE server that sends drawings of 64 KiB; what is carried is the display of
  a session whose main channel is open beside it. Idle ones are counted by channel: each is a connection, and a session
  has four or more. By CONNECT and with TLS, TLS begins behind the CONNECT and ends in the gateway.
- **Consoles** (`consoles.py`): our gateway beside our own gateway without it, on one core in turns. What is recorded
  comes in bursts of 8 MiB, half of what may wait for the disk, and all of it is in the file in the end. A hundred
  consoles at once (`first_pictures.py`) are opened by one thread that looks at no byte it need not look at, each to its
  first 20 KiB; the machine's side is another such thread, which answers at once, or after the 90 ms that QEMU 7.2 took
  on this machine from connecting to its socket to its first picture.
- **Real pictures** (`real_pictures.py`): a hundred consoles at 25 QEMUs with the 512-byte guest, by the gateway and
  straight at QEMU's sockets in turns, until the first picture is whole (ZRLE). QEMUs and client share a core.
  Tickets are redeemed from memory here too; from SQLite a ticket costs the gateway some 8 ms of a core more.
"""

# Shown beside a miss: what a profile of that bench said.
WHY = {
    "linked clones": "One machine is a job of five steps, each resumable after a crash: some 76 SQL statements, many "
    "of them built once and only sent. They run under one interpreter lock, and SQLite takes one writer at a time. The "
    "loop keeps no record of what it did and pays two small processes; the quieter the machine, the worse the ratio.",
    "Allocations": "One allocation is 11 statements and a commit (session, user, pool, rights, lock, those held, the "
    "desktop, its holding, quotas, the record, the event) where the bare view does 3.",
    "of a core for each": "A sign-in is four requests and some 55 statements: the page, the tries counted before and "
    "after, search and bind, groups, the cards of the landing page, the desktop, the console's page, the ticket. The "
    "baseline is one request, one bind and one statement.",
    "recorded": "The writing thread waits until a burst is over, and freed memory stays with the process, so no byte "
    "costs a page fault. What is left: each burst is written to eight other megabytes, where without a recording the "
    "same quarter of one is used again and stays in the processor's cache.",
    "at once": "A relay on one core serves the hundredth after the ninety-nine others, and one alone is there in a "
    "millisecond, because this machine answers at once. Behind one that takes its time as QEMU does it is another row.",
    "of 25 QEMUs": "QEMU draws, compresses and sends four pictures where it sent one, and 25 of them share a core: a "
    "client straight at QEMU's own sockets waits nearly as long, which the next row compares.",
    "stands still": "Both are the same call of libvirt with the same limit; on a machine this busy a move's standstill "
    "is anything from 80 to 400 ms, and the medians of eight are not yet apart.",
    "Full pass": "The test driver answers within the process in under a millisecond a host; ours are seven statements "
    "beside, a thread for the counters, and fifty rows compared: some 6 ms of a core for each host every ten seconds.",
    "Idle manager": "The passes above, a tick a second for each host, the guests asked once a minute each, and the "
    "duties. The bare loop only polls the test driver.",
    "TLS: KiB per idle": "OpenSSL's state of a connection is some 15 KiB, the written part of its buffers 10 KiB, the "
    "console itself 30 KiB.",
}


def bar_line(what: str, ours: str, baseline: str, value: str, bar: str, met: bool) -> Line:
    return {"what": what, "ours": ours, "baseline": baseline, "value": value, "bar": bar, "met": met}


def why(lines: list[Line]) -> str:
    """What is known about the bars that were missed, as a section; empty without any."""
    missed = [line["what"] for line in lines if not line["met"]]
    told = [f"- **{part}**: {text}\n" for part, text in WHY.items() if any(part in what for what in missed)]
    return "## What the misses come from\n\n" + "".join(told) + "\n" if told else ""


def table(lines: list[Line]) -> str:
    """The lines as one Markdown table."""
    rows = [
        f"| {line['what']} | {line['ours']} | {line['baseline']} | {line['value']} | {line['bar']} "
        f"| {'pass' if line['met'] else '**miss**'} |"
        for line in lines
    ]
    return "\n".join([HEAD, *rows])


def page(lines: list[Line], failures: list[str], *, when: datetime, load: float) -> str:
    """docs/benchmarks.md: the table, where it was measured, and how."""
    cores = os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    missed = sum(not line["met"] for line in lines)
    busy = "The machine was shared" if load > cores else "The machine was otherwise quiet"
    return PAGE.format(
        why=why(lines),
        when=f"{when:%d %B %Y}",
        machine=f"{cores} virtual cores, {memory:.0f} GiB, Debian 12, guests emulated by QEMU (no KVM)",
        load=f"{busy} (load average up to {load:.1f}). {len(lines) - missed} of {len(lines)} bars met.",
        table=table(lines),
        failures="".join(f"- {failure}\n" for failure in failures) + ("\n" if failures else ""),
    )


def lines_of(name: str, result: dict[str, Any]) -> list[Line]:
    """The lines of one bench's JSON."""
    found: list[Line] = result["bars"] if "bars" in result else READERS[name](result)
    return found


def _clones(result: dict[str, Any]) -> list[Line]:
    return [
        {
            "what": f"Pool of {result['count']} linked clones until defined, against a loop of qemu-img and virsh",
            "ours": f"{min(result['berth_seconds']):.2f} s", "baseline": f"{min(result['shell_seconds']):.2f} s",
            "value": f"{result['ratio']:.2f}", "bar": f"≤ {result['bar']:g}", "met": result["met"],
        }
    ]  # fmt: skip


def _allocation(result: dict[str, Any]) -> list[Line]:
    return [
        {
            "what": "Allocations through the API, 100 clients, against a bare Django view (none given twice)",
            "ours": f"{result['berth_per_second']:.0f}/s ({result['berth_cpu_ms']:.1f} ms of a core each)",
            "baseline": f"{result['bare_per_second']:.0f}/s ({result['bare_cpu_ms']:.1f} ms)",
            "value": f"{result['ratio']:.2f}", "bar": f"≥ {result['bar']:g}", "met": result["met"],
        }
    ]  # fmt: skip


def _storm(result: dict[str, Any]) -> list[Line]:
    crowd = (
        f"{result['people']} sign-ins within {result['over_seconds']:.0f} s at {result['web_processes']} web processes"
    )
    return [
        {
            "what": f"{crowd}: those with a free desktop ({result['at_once']}), p95 (p50) until the ticket",
            "ours": f"{result['p95_seconds']:.2f} s ({result['p50_seconds']:.2f} s)",
            "baseline": "", "value": f"{result['p95_seconds']:.2f} s", "bar": f"≤ {result['seconds_bar']:g} s",
            "met": result["p95_seconds"] <= result["seconds_bar"],
        },
        {
            "what": f"{crowd}: those who waited ({result['waited']}), overtaken by others; none given twice, no 5xx",
            "ours": f"longest {result['waited_longest_seconds']:.1f} s", "baseline": "",
            "value": str(result["overtaken"]), "bar": "0", "met": not result["overtaken"],
        },
        {
            "what": f"{crowd}: of a core for each, against an LDAP bind and a session",
            "ours": f"{result['cpu_ms']:.1f} ms", "baseline": f"{result['bare_cpu_ms']:.1f} ms",
            "value": f"{result['ratio']:.1f}", "bar": f"≤ {result['bar']:g}", "met": result["cpu_met"],
        },
    ]  # fmt: skip


def _live(result: dict[str, Any]) -> list[Line]:
    news, raw = result["news"], result["callback"]
    return [
        {
            "what": f"`virsh destroy` to news on the channel layer, p95 (p50), {result['rounds']} rounds",
            "ours": f"{news['p95']:.0f} ms ({news['p50']:.0f} ms)",
            "baseline": f"libvirt's callback {raw['p95']:.0f} ms ({raw['p50']:.0f} ms)",
            "value": f"{news['p95']:.0f} ms", "bar": f"≤ {result['target_p95']:g} ms",
            "met": news["p95"] <= result["target_p95"],
        }
    ]  # fmt: skip


def _gateway(result: dict[str, Any]) -> list[Line]:
    from tests.bench import gateway

    lines = []
    units = {"bulk": ("bulk_mib_s", "{:.0f} MiB/s"), "KiB": ("idle_kib", "{:.1f} KiB"),
             "200": ("open_200_s", "{:.2f} s"), "CPU": ("cpu_20_active", "{:.3f} cores")}  # fmt: skip
    for title, measured in result["gateway"].items():
        for what, value, bar, met in gateway.bars(measured):
            key, text = units[what.split()[0]]
            beside = "socat" if "socat" in what else "websockify"
            told = {name: text.format(measured[key][name]) for name in ("gateway", beside)}
            lines.append(
                {
                    "what": f"Gateway, {title}: {what}", "ours": told["gateway"],
                    "baseline": f"{beside} {told[beside]}", "value": value, "bar": bar, "met": met,
                }
            )  # fmt: skip
    return lines


READERS = {"clones": _clones, "allocation": _allocation, "live": _live, "gateway": _gateway, "spice": _gateway,
           "storm": _storm}  # fmt: skip
