"""The addresses of backups."""

from django.urls import path

from .views import backup_forms, backup_setup, backups

urlpatterns = [
    path("vms/<uuid:pk>/backups/", backups.MachineBackups.as_view(), name="vm-backups"),
    path("vms/<uuid:pk>/backups/new", backup_forms.BackUp.as_view(), name="backup-new"),
    path("manage/backups/", backups.Backups.as_view(), name="backups"),
    path("manage/backups/setup/", backup_setup.Setup.as_view(), name="backup-setup"),
    path("manage/backups/targets/new", backup_setup.NewTarget.as_view(), name="backup-target-new"),
    path("manage/backups/targets/<uuid:pk>/delete", backup_setup.DeleteTarget.as_view(), name="backup-target-delete"),
    path("manage/backups/schedules/new", backup_setup.NewSchedule.as_view(), name="backup-schedule-new"),
    path("manage/backups/schedules/<uuid:pk>/", backup_setup.EditSchedule.as_view(), name="backup-schedule-edit"),
    path("manage/backups/schedules/<uuid:pk>/run", backup_setup.RunSchedule.as_view(), name="backup-schedule-run"),
    path(
        "manage/backups/schedules/<uuid:pk>/delete", backup_setup.DeleteSchedule.as_view(),
        name="backup-schedule-delete",
    ),
    path("manage/backups/<uuid:pk>/", backups.BackupOne.as_view(), name="backup"),
    path("manage/backups/<uuid:pk>/restore", backup_forms.Restore.as_view(), name="backup-restore"),
    path("manage/backups/<uuid:pk>/restore-as-new", backup_forms.RestoreNew.as_view(), name="backup-restore-new"),
    path("manage/backups/<uuid:pk>/<slug:verb>", backups.BackupDeed.as_view(), name="backup-deed"),
]  # fmt: skip
