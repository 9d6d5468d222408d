"""The addresses of the API, below /api/v1/. Names begin with "api-"."""

from django.urls import URLPattern, URLResolver, path, re_path
from rest_framework.routers import SimpleRouter

from .base import NotFound
from .schema import Docs, Schema
from .views.jobs import Events, Jobs
from .views.people import Grants, Groups, Me, Roles, Tokens, Users
from .views.pools import Desktops, Entitlements, Pools
from .views.screens import Screen, ViewerFile
from .views.sessions import Sessions
from .views.virt import Clusters, ForeignMachines, Hosts, Networks, StorageDomains, Templates, TemplateVersions
from .views.vms import Samples, Vms

router = SimpleRouter(use_regex_path=False)
for prefix, viewset in {
    "pools": Pools,
    "pools/<uuid:pool_pk>/entitlements": Entitlements,
    "desktops": Desktops,
    "vms": Vms,
    "vms/<uuid:vm_pk>/samples": Samples,
    "templates": Templates,
    "template-versions": TemplateVersions,
    "hosts": Hosts,
    "hosts/<uuid:host_pk>/foreign-machines": ForeignMachines,
    "storage-domains": StorageDomains,
    "networks": Networks,
    "clusters": Clusters,
    "sessions": Sessions,
    "jobs": Jobs,
    "events": Events,
    "users": Users,
    "groups": Groups,
    "roles": Roles,
    "grants": Grants,
    "tokens": Tokens,
}.items():
    router.register(prefix, viewset, basename=f"api-{prefix.rpartition('/')[2].removesuffix('s')}")

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", Schema.as_view(), name="api-schema"),
    path("docs/", Docs.as_view(url_name="api-schema"), name="api-docs"),
    path("me/", Me.as_view(), name="api-me"),
    path("vms/<uuid:pk>/screen/", Screen.as_view(), name="api-screen"),
    path("vms/<uuid:pk>/viewer-file/", ViewerFile.as_view(), name="api-viewer-file"),
    *router.urls,
    re_path(r"^.*$", NotFound.as_view(), name="api-none"),
]
