from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pools", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="pool",
            name="revision",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
    ]
