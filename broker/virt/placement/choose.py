"""The choice: hosts that pass every filter, and of them the one that weighs most. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from broker.core.errors import NoCapacity, Reason
from broker.core.text import gettext_noop as N_

from .facts import HostFacts, Request
from .rules import Filter, Weight, all_filters, all_weights


@dataclass(frozen=True)
class Verdict:
    """What was found about one host: why it will not do, or how much each rule gave it."""

    host: HostFacts
    refusals: tuple[Reason, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.scores.values())


@dataclass(frozen=True)
class Decision:
    """`host` was chosen; `verdicts` explain it, the best host first and those refused last."""

    host: HostFacts
    verdicts: tuple[Verdict, ...]


def choose(
    request: Request,
    hosts: Iterable[HostFacts],
    *,
    filters: Sequence[Filter] | None = None,
    weights: Sequence[Weight] | None = None,
) -> Decision:
    """The best host for `request`; the same whatever order `hosts` come in.

    Raises NoCapacity, whose reasons say for each host which rule refused it.
    """
    verdicts = judge(request, hosts, filters=filters, weights=weights)
    if not verdicts or verdicts[0].refusals:
        raise no_host(verdicts, filters=filters)
    return Decision(verdicts[0].host, verdicts)


def judge(
    request: Request,
    hosts: Iterable[HostFacts],
    *,
    filters: Sequence[Filter] | None = None,
    weights: Sequence[Weight] | None = None,
) -> tuple[Verdict, ...]:
    """What each rule says of each host: those that fit first, the best at the top, then those refused by name."""
    rules = all_filters() if filters is None else filters
    refused, fit = [], []
    for host in sorted(hosts, key=lambda host: (host.name, host.id)):
        refusals = tuple(reason for rule in rules if (reason := rule.refusal(request, host)) is not None)
        if refusals:
            refused.append(Verdict(host, refusals))
        else:
            fit.append(host)
    scored = _weigh(request, fit, all_weights() if weights is None else weights) if fit else []
    scored.sort(key=lambda verdict: -verdict.total)  # stable: equals stay in order of name
    return (*scored, *refused)


def no_host(verdicts: Sequence[Verdict], *, filters: Sequence[Filter] | None = None) -> NoCapacity:
    """The refusal when every host was refused; what would help comes from the rules that refused, in their order."""
    refusing = {reason.rule for verdict in verdicts for reason in verdict.refusals}
    rules = all_filters() if filters is None else filters
    return NoCapacity(
        N_("No host can take this machine now.") if verdicts else N_("There is no host that could take this machine."),
        fix=N_("Stop machines that are not needed, add a host, or remedy what is said of each host.")
        if verdicts
        else N_("Add a host to its cluster."),
        rule="placement.host",
        reasons=tuple(reason for verdict in verdicts for reason in verdict.refusals),
        helps=tuple(rule.help for rule in rules if rule.name in refusing and rule.help),
    )


def _weigh(request: Request, hosts: Sequence[HostFacts], weights: Sequence[Weight]) -> list[Verdict]:
    scores: list[dict[str, float]] = [{} for _ in hosts]
    for rule in weights:
        values = [rule.weigh(request, host) for host in hosts]
        low, high = min(values), max(values)
        for score, value in zip(scores, values, strict=True):
            score[rule.name] = rule.factor * ((value - low) / (high - low) if high > low else 0.0)
    return [Verdict(host, scores=score) for host, score in zip(hosts, scores, strict=True)]
