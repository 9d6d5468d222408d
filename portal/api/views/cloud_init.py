"""What a guest is told at its first start, as it is said to the API."""

from rest_framework import serializers

from portal.api.fields import Input, LongTextField, TextField


class CloudInit(Input):
    """Read by cloud-init from a CD. The password is kept as its hash, all of it sealed."""

    hostname = TextField(max_length=253, required=False, help_text="Left out: the machine's name.")
    user = TextField(max_length=32, required=False)
    password = serializers.CharField(max_length=256, required=False, write_only=True, trim_whitespace=False)
    ssh_keys = serializers.ListField(child=TextField(max_length=9000), max_length=64, required=False)
    packages = serializers.ListField(child=TextField(max_length=128), max_length=64, required=False)
    script = LongTextField(max_length=48_000, required=False, help_text="Run once as root; begins with #!.")
    address = TextField(max_length=64, required=False, help_text="Of its first card, like 10.0.0.5/24; else DHCP.")
    gateway = TextField(max_length=64, required=False)
    nameservers = serializers.ListField(child=TextField(max_length=64), max_length=8, required=False)
