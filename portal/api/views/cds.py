"""What lies in a machine's CD drive."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.change_cd import change_cd
from broker.virt.models import Image
from portal.api.base import job_verb
from portal.api.fields import Id, Input


class Cd(Input):
    cd = Id(allow_null=True, help_text="A CD of the library; null takes out what is in.")


class ChangingCd:
    """To be mixed into the machines."""

    @job_verb("change-cd", takes=Cd)
    def change_cd(self: Any, request: Request, pk: Any) -> Response:
        """Put a CD in or take it out, also while it runs."""
        given = self.input(Cd)["cd"]
        cd = find(self.actor, Image, given) if given else None
        answer: Response = self.accepted(change_cd(actor=self.actor, vm=self.find(), cd=cd))
        return answer
