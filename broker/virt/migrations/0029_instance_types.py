"""Instance types, some of them there from the beginning; and by which one a machine was made."""

import uuid

import django.db.models.deletion
from django.db import migrations, models

import broker.core.clock

FIRST = (
    ("small", 1, 2048),
    ("medium", 2, 4096),
    ("large", 4, 8192),
    ("xlarge", 8, 16384),
)


def make_first(apps, schema_editor):
    kind = apps.get_model("virt", "InstanceType")
    kind.objects.bulk_create([kind(name=name, vcpus=vcpus, memory_mib=memory) for name, vcpus, memory in FIRST])


class Migration(migrations.Migration):
    dependencies = [("virt", "0028_load_history")]

    operations = [
        migrations.CreateModel(
            name="InstanceType",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=64, unique=True)),
                ("description", models.CharField(blank=True, max_length=200)),
                ("vcpus", models.PositiveSmallIntegerField()),
                ("memory_mib", models.PositiveIntegerField()),
                ("options", models.JSONField(blank=True, default=dict)),
                ("created_at", models.DateTimeField(default=broker.core.clock.now)),
            ],
            options={"verbose_name": "instance type", "ordering": ("memory_mib", "vcpus", "name")},
        ),
        migrations.AddField(
            model_name="virtualmachine",
            name="instance_type",
            field=models.ForeignKey(
                blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL,
                related_name="vms", to="virt.instancetype",
            ),
        ),
        migrations.RunPython(make_first, migrations.RunPython.noop),
    ]  # fmt: skip
