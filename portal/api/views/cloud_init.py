"""What a guest is told at its first start, as it is said to the API."""

from rest_framework import serializers

from broker.virt.guest_users import LONGEST_FULL_NAME, MOST_USERS
from portal.api.fields import Input, LongTextField, Switch, TextField


class CloudInitUser(Input):
    """One of a guest's users. Without a password and keys nobody signs in as that one."""

    name = TextField(max_length=32)
    full_name = TextField(max_length=LONGEST_FULL_NAME, required=False)
    groups = serializers.ListField(
        child=TextField(max_length=32), max_length=64, required=False, help_text="Made where the guest lacks them."
    )
    ssh_keys = serializers.ListField(child=TextField(max_length=9000), max_length=64, required=False)
    password = serializers.CharField(max_length=256, required=False, write_only=True, trim_whitespace=False)
    sudo = Switch(required=False, help_text="Whether sudo may be used, without a password; left out: no.")


class CloudInit(Input):
    """Read by cloud-init from a CD. Passwords are kept as their hashes, all of it sealed."""

    hostname = TextField(max_length=253, required=False, help_text="Left out: the machine's name.")
    user = TextField(max_length=32, required=False, help_text="The first user, who may use sudo.")
    password = serializers.CharField(max_length=256, required=False, write_only=True, trim_whitespace=False)
    ssh_keys = serializers.ListField(child=TextField(max_length=9000), max_length=64, required=False)
    users = CloudInitUser(  # type: ignore[call-arg]
        many=True, max_length=MOST_USERS, required=False, help_text="The users besides that one."
    )
    packages = serializers.ListField(child=TextField(max_length=128), max_length=64, required=False)
    script = LongTextField(max_length=48_000, required=False, help_text="Run once as root; begins with #!.")
    address = TextField(max_length=64, required=False, help_text="Of its first card, like 10.0.0.5/24; else DHCP.")
    gateway = TextField(max_length=64, required=False)
    nameservers = serializers.ListField(child=TextField(max_length=64), max_length=8, required=False)
