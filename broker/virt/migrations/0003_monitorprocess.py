from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("virt", "0002_storage_host")]

    operations = [
        migrations.CreateModel(
            name="MonitorProcess",
            fields=[
                ("name", models.CharField(max_length=128, primary_key=True, serialize=False)),
                ("seen_at", models.DateTimeField()),
            ],
            options={"verbose_name_plural": "monitor processes"},
        ),
    ]
