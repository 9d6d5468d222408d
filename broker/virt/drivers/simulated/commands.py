"""Scripts in a simulated guest: its agent says that they went well, at the second time of asking."""

from broker.core.text import gettext_noop
from broker.virt.driver import GuestRun, Refused
from broker.virt.drivers.simulated.machines import Link, find, has_agent


class Commanding(Link):
    """What can be done inside the guests of a simulated host."""

    def begin_in_guest(self, uuid: str, script: str) -> str:
        self.meet("begin_in_guest")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] != "running" or not has_agent(machine):
                raise Refused(
                    gettext_noop("No guest agent answers in “%(name)s”."),
                    fix=gettext_noop("Install qemu-guest-agent in the guest, or use the power button."),
                    name=machine["name"],
                )
            data["runs"] += 1
            machine["script"] = f"{data['runs']}"
            return f"{data['runs']}"

    def ended_in_guest(self, uuid: str, run: str) -> GuestRun | None:
        self.meet("ended_in_guest")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine.pop("script", "") == run:
                return None
            return GuestRun(0, "sealed")
