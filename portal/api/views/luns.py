"""iSCSI before there is a storage: have a portal looked at, and read what was found."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.jobs.models import Job
from broker.virt.actions.find_luns import find_luns
from broker.virt.iscsi.signatures import CONTENTS
from broker.virt.models import Cluster
from portal.api.base import Door
from portal.api.fields import Input, TextField
from portal.api.serializers.common import CauseSerializer, cause, sight_of
from portal.api.serializers.jobs import JobSerializer


class WantedPortal(Input):
    portal = TextField(max_length=255, help_text="A host name or IP address, with a port if it is not 3260.")
    user = TextField(max_length=223, required=False, help_text="CHAP's user.")
    password = TextField(
        max_length=255, required=False, write_only=True, trim_whitespace=False, help_text="CHAP's; then forgotten."
    )  # fmt: skip


class LunSerializer(serializers.Serializer):
    lun = serializers.IntegerField()
    size = serializers.IntegerField(help_text="Bytes.")
    content = serializers.ChoiceField(choices=[(one, one) for one in CONTENTS], help_text="What lies on it.")
    volume = serializers.CharField(help_text="The disk on it, where it is a Berth's.")
    holder = serializers.CharField(help_text="Which Berth uses it; empty: none says so.")
    storage = serializers.CharField(help_text="What that Berth calls its storage.")
    ours = serializers.BooleanField(help_text="That Berth is this one.")


class LunTargetSerializer(serializers.Serializer):
    name = serializers.CharField()
    portals = serializers.ListField(child=serializers.CharField())
    luns = LunSerializer(many=True)
    problem = serializers.SerializerMethodField(help_text="Why its LUNs could not be listed.")

    @extend_schema_field(CauseSerializer(allow_null=True))
    def get_problem(self, target: dict[str, Any]) -> dict[str, str] | None:
        return cause(target["problem"], sight_of(self))


class IscsiLuns(Door):
    """The LUNs that a cluster's storage could be made of."""

    @extend_schema(operation_id="clusters_find_luns", request=WantedPortal, responses={202: JobSerializer})
    def post(self, request: Request, pk: Any) -> Response:
        """Ask an iSCSI portal for its targets, their LUNs and what is on them. Nothing is written there."""
        body = WantedPortal(data=request.data)
        body.is_valid(raise_exception=True)
        job = find_luns(actor=self.actor, cluster=find(self.actor, Cluster, pk), **body.validated_data)
        return Response(JobSerializer(job, context={"view": self, "request": request}).data, status=202)

    @extend_schema(operation_id="clusters_found_luns", responses=LunTargetSerializer(many=True))
    def get(self, request: Request, pk: Any) -> Response:
        """What the last look that succeeded found; without one, nothing."""
        cluster = find(self.actor, Cluster, pk, "storage.manage")
        looks = Job.objects.filter(plan="cluster.look-iscsi", subject_kind="cluster", subject_id=cluster.pk)
        job = looks.filter(state="succeeded").first()
        found = job.args["found"] if job else []
        return Response(LunTargetSerializer(found, many=True, context={"view": self, "request": request}).data)
