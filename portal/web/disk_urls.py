"""The addresses of a machine's disks and snapshots."""

from django.urls import path

from .views import (
    disk_doctor,
    disk_edits,
    disk_limits,
    disk_moves,
    disks,
    exports,
    floating,
    leftovers,
    machine_removal,
    shared_disks,
    snapshots,
)

urlpatterns = [
    path("manage/storage/<uuid:pk>/left-over/look", leftovers.Tidy.as_view(), name="storage-tidy"),
    path("manage/storage/<uuid:pk>/left-over/adopt", floating.AdoptFile.as_view(), name="storage-adopt-file"),
    path("manage/disks/", floating.FloatingDisks.as_view(), name="floating-disks"),
    path("manage/disks/<uuid:pk>/attach", floating.Attach.as_view(), name="floating-attach"),
    path("manage/disks/<uuid:pk>/delete", floating.Delete.as_view(), name="floating-delete"),
    path("manage/disks/<uuid:pk>/share", shared_disks.Share.as_view(), name="floating-share"),
    path("vms/<uuid:pk>/shared-disks/new", shared_disks.NewShare.as_view(), name="shared-disk-new"),
    path("vms/<uuid:pk>/shared-disks/<uuid:share>/delete", shared_disks.TakeAway.as_view(), name="shared-disk-delete"),
    path("vms/<uuid:pk>/disks/<uuid:disk>/edit", disk_edits.EditDisk.as_view(), name="disk-edit"),
    path("vms/<uuid:pk>/disks/<uuid:disk>/limits", disk_limits.LimitDisk.as_view(), name="disk-limits"),
    path("vms/<uuid:pk>/disks/<uuid:disk>/convert", disk_moves.ConvertDisk.as_view(), name="disk-convert"),
    path("vms/<uuid:pk>/disks/<uuid:disk>/detach", floating.Detach.as_view(), name="disk-detach"),
    path("vms/<uuid:pk>/delete-keeping-disks", machine_removal.DeleteKeepingDisks.as_view(), name="vm-delete-keeping"),
    path("vms/<uuid:pk>/disks/", disks.MachineDisks.as_view(), name="vm-disks"),
    path("vms/<uuid:pk>/disks/download", exports.Export.as_view(), name="disk-export"),
    path("vms/<uuid:pk>/export", exports.ExportMachine.as_view(), name="vm-export"),
    path("vms/<uuid:pk>/downloads/<uuid:export>/data", exports.ExportData.as_view(), name="export-data"),
    path("vms/<uuid:pk>/downloads/<uuid:export>/delete", exports.DeleteExport.as_view(), name="export-delete"),
    path("vms/<uuid:pk>/disks/new", disks.NewDisk.as_view(), name="disk-new"),
    path("vms/<uuid:pk>/disks/examine", disk_doctor.Examine.as_view(), name="disks-examine"),
    path("vms/<uuid:pk>/disks/pace", disk_moves.PaceMove.as_view(), name="disks-pace"),
    path("vms/<uuid:pk>/disks/move", disk_moves.MoveDisks.as_view(), name="disks-move"),
    path("vms/<uuid:pk>/disks/<uuid:disk>/grow", disks.GrowDisk.as_view(), name="disk-grow"),
    path("vms/<uuid:pk>/disks/<uuid:disk>/delete", disks.DeleteDisk.as_view(), name="disk-delete"),
    path("vms/<uuid:pk>/snapshots/new", disks.TakeSnapshot.as_view(), name="snapshot-new"),
    path("vms/<uuid:pk>/snapshots/<uuid:snapshot>/revert", disks.RevertSnapshot.as_view(), name="snapshot-revert"),
    path("vms/<uuid:pk>/snapshots/<uuid:snapshot>/delete", disks.DeleteSnapshot.as_view(), name="snapshot-delete"),
    path(
        "vms/<uuid:pk>/snapshots/<uuid:snapshot>/preview", snapshots.PreviewSnapshot.as_view(), name="snapshot-preview"
    ),
    path("vms/<uuid:pk>/preview/commit", snapshots.CommitPreview.as_view(), name="preview-commit"),
    path("vms/<uuid:pk>/preview/undo", snapshots.UndoPreview.as_view(), name="preview-undo"),
    path("vms/<uuid:pk>/snapshots/<uuid:snapshot>/clone", snapshots.CloneSnapshot.as_view(), name="snapshot-clone"),
    path(
        "vms/<uuid:pk>/snapshots/<uuid:snapshot>/make-version", snapshots.MakeVersionOfSnapshot.as_view(),
        name="snapshot-version",
    ),
]  # fmt: skip
