from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connections", "0007_recordings")]
    operations = [
        migrations.AddField(
            model_name="consoleticket", name="recorded", field=models.BooleanField(default=False)
        ),
    ]
