"""Images of the library."""

from rest_framework import serializers

from broker.virt.models import Image

from .common import RefSerializer


class ImageSerializer(serializers.ModelSerializer):
    storage = RefSerializer()
    proposal = serializers.DictField(
        help_text="What an OVA says of its machine: vcpus, memory_mib, cards, firmware, disks."
    )

    class Meta:
        model = Image
        fields = (
            "id", "name", "description", "kind", "format", "storage", "state", "size_bytes", "received_bytes",
            "capacity_bytes", "sha256", "url", "proposal",
            "created_at",
        )  # fmt: skip
