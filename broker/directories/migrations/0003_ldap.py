"""Directories that are kept in step: sealed passwords, what the last look saw, and where a membership comes from."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# The members' table is there already, as Django makes it by itself; from here on it is a model with two more columns.
MEMBERSHIP = migrations.SeparateDatabaseAndState(
    state_operations=[
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="directories.group",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"db_table": "directories_group_members", "unique_together": {("group", "user")}},
        ),
        migrations.AlterField(
            model_name="group",
            name="members",
            field=models.ManyToManyField(
                blank=True,
                related_name="directory_groups",
                through="directories.Membership",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
    ]
)


class Migration(migrations.Migration):
    dependencies = [("directories", "0002_tries")]

    operations = [
        MEMBERSHIP,
        migrations.AddField("membership", "by_hand", models.BooleanField(default=True)),
        migrations.AddField("membership", "from_directory", models.BooleanField(default=False)),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.CheckConstraint(
                condition=models.Q(("by_hand", True), ("from_directory", True), _connector="OR"),
                name="membership_has_a_source",
            ),
        ),
        migrations.AddConstraint(
            model_name="group",
            constraint=models.UniqueConstraint(
                condition=models.Q(("external_id", ""), _negated=True),
                fields=("directory", "external_id"),
                name="group_once_per_directory",
            ),
        ),
        migrations.AddField(
            "user", "disabled_in_directory", models.BooleanField(default=False, editable=False)
        ),
        migrations.AlterField("directory", "config", models.JSONField(blank=True, default=dict)),
        migrations.AddField("directory", "secret", models.TextField(blank=True, default="", editable=False), preserve_default=False),
        migrations.AddField("directory", "looked_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("directory", "synced_at", models.DateTimeField(editable=False, null=True)),
        migrations.AddField("directory", "sync_error", models.JSONField(blank=True, default=dict, editable=False)),
        migrations.AddField("directory", "sync_held", models.PositiveIntegerField(default=0, editable=False)),
        migrations.AddField(
            "directory",
            "sync_asked",
            models.CharField(
                blank=True,
                choices=[("", "nothing"), ("full", "full"), ("accept", "accept")],
                default="",
                editable=False,
                max_length=8,
            ),
            preserve_default=False,
        ),
        migrations.AddField("directory", "sync_state", models.JSONField(blank=True, default=dict, editable=False)),
    ]
