"""The addresses of the pages."""

from django.urls import path

from .views import console, dashboard, desktops, doors, hosts, inventory, machine, machines, pools, records

app_name = "portal"

urlpatterns = [
    path("", desktops.Desktops.as_view(), name="home"),
    path("sign-in", doors.SignIn.as_view(), name="sign-in"),
    path("sign-out", doors.SignOut.as_view(), name="sign-out"),
    path("vms/<uuid:pk>/", machine.Machine.as_view(), name="vm"),
    path("vms/<uuid:pk>/power/<slug:verb>", machine.Power.as_view(), name="vm-power"),
    path("vms/<uuid:pk>/connect", machine.Connect.as_view(), name="vm-connect"),
    path("vms/<uuid:pk>/delete", machine.Delete.as_view(), name="vm-delete"),
    path("vms/<uuid:pk>/release", desktops.Release.as_view(), name="vm-release"),
    path("vms/<uuid:pk>/screen.webp", machine.Screen.as_view(), name="screen"),
    path("vms/<uuid:pk>/console/", console.Console.as_view(), name="console"),
    path("vms/<uuid:pk>/console/ticket", console.Ticket.as_view(), name="console-ticket"),
    path("vms/<uuid:pk>/console/viewer-file", console.ViewerFile.as_view(), name="console-file"),
    path("pools/<uuid:pk>/take", desktops.Take.as_view(), name="pool-take"),
    path("manage/", dashboard.Dashboard.as_view(), name="dashboard"),
    path("manage/machines/", machines.Machines.as_view(), name="vms"),
    path("manage/pools/", pools.Pools.as_view(), name="pools"),
    path("manage/pools/new", pools.NewPool.as_view(), name="pool-new"),
    path("manage/pools/<uuid:pk>/", pools.PoolOne.as_view(), name="pool"),
    path("manage/pools/<uuid:pk>/edit", pools.EditPool.as_view(), name="pool-edit"),
    path("manage/pools/<uuid:pk>/delete", pools.DeletePool.as_view(), name="pool-delete"),
    path("manage/pools/<uuid:pk>/entitle", pools.Entitle.as_view(), name="pool-entitle"),
    path("manage/pools/<uuid:pk>/withdraw", pools.Withdraw.as_view(), name="pool-withdraw"),
    path("manage/desktops/<uuid:pk>/<slug:verb>", pools.DesktopDeed.as_view(), name="desktop-deed"),
    path("manage/templates/", inventory.Templates.as_view(), name="templates"),
    path("manage/templates/<uuid:pk>/", inventory.Template.as_view(), name="template"),
    path("manage/hosts/", hosts.Hosts.as_view(), name="hosts"),
    path("manage/hosts/<uuid:pk>/", hosts.HostOne.as_view(), name="host"),
    path("manage/storage/", inventory.Storage.as_view(), name="storage"),
    path("manage/storage/<uuid:pk>/", inventory.StorageOne.as_view(), name="storage-one"),
    path("manage/networks/", inventory.Networks.as_view(), name="networks"),
    path("manage/networks/<uuid:pk>/", inventory.NetworkOne.as_view(), name="network"),
    path("manage/jobs/", records.Jobs.as_view(), name="jobs"),
    path("manage/jobs/<uuid:pk>/", records.JobOne.as_view(), name="job"),
    path("manage/jobs/<uuid:pk>/cancel", records.CancelJob.as_view(), name="job-cancel"),
    path("manage/events/", records.Events.as_view(), name="events"),
]
