"""What docs/ holds that is drawn from the code: states.md, plans.md and settings.md."""

from broker.backups.states import BACKUP
from broker.connections.states import SESSION
from broker.core.states import Machine
from broker.environment import Environment
from broker.jobs.plans import PLANS
from broker.jobs.states import JOB
from broker.virt.states import HOST, STORAGE, VERSION, VM
from pools.states import BOOKING, DESKTOP, POOL, ROLLOUT


def machines() -> list[Machine]:
    return [JOB, VM, VERSION, HOST, STORAGE, BACKUP, SESSION, DESKTOP, POOL, ROLLOUT, BOOKING]


def states_page() -> str:
    """docs/states.md."""
    parts = ["# States\n", "Drawn from the code by `make docs`. Each move is one compare-and-swap UPDATE.\n"]
    for machine in machines():
        parts.append(f"## {machine.name}\n\n```mermaid\n{machine.mermaid()}\n```\n")
        parts += [f"- **{state}**: {machine.meanings[state]}" for state in machine.states]
        if machine.unstable:
            parts.append("\nWho ends what is under way, when the one at it dies:\n")
            parts += [f"- {state}: {rule}" for state, rule in machine.unstable.items()]
        parts.append("")
    return "\n".join(parts)


def plans_page() -> str:
    """docs/plans.md."""
    parts = ["# Plans\n", "Drawn from the code by `make docs`. The position is saved before each step.\n"]
    for plan in sorted(PLANS, key=lambda plan: plan.name):
        parts.append(f"## {plan.name}: {plan.title}\n")
        parts.append("| step | what | undo |\n|---|---|---|")
        parts += [
            f"| {step.name} | {step.title} | {'yes' if step.undo else 'none needed: ' + step.no_undo} |"
            for step in plan.steps
        ]
        parts.append("")
    return "\n".join(parts)


def settings_page() -> str:
    """docs/settings.md."""
    parts = ["# Settings\n", "Drawn from the code by `make docs`. All come from the environment.\n"]
    parts.append("| variable | default | what |\n|---|---|---|")
    for name, field in Environment.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = default.get_secret_value() if hasattr(default, "get_secret_value") else default
        parts.append(f"| `BERTH_{name.upper()}` | `{shown!s}` | {field.description} |")
    return "\n".join(parts) + "\n"


PAGES = {"states.md": states_page, "plans.md": plans_page, "settings.md": settings_page}
