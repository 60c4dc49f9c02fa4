from django.db import migrations, models

KNOWN = """
UPDATE marketplaces_pushflow SET shadow_since = CASE WHEN mode = 'shadow' THEN changed_at END,
    was_live = mode <> 'shadow'
"""


class Migration(migrations.Migration):

    dependencies = [
        ('marketplaces', '0007_stream_asked'),
    ]

    operations = [
        migrations.AddField(
            model_name='pushflow',
            name='shadow_since',
            field=models.DateTimeField(blank=True, null=True, verbose_name='in shadow since'),
        ),
        migrations.AddField(
            model_name='pushflow',
            name='was_live',
            field=models.BooleanField(default=False, verbose_name='has been live'),
        ),
        migrations.AddField(
            model_name='pushflow',
            name='is_early',
            field=models.BooleanField(default=False, verbose_name='live before its days in shadow'),
        ),
        migrations.RunSQL(KNOWN, migrations.RunSQL.noop),
    ]
