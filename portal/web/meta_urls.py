"""The addresses of meta-pools: managing them, and taking a desktop through one."""

from django.urls import path

from .views import meta_pools, meta_waiting

urlpatterns = [
    path("meta-pools/<uuid:pk>/take", meta_waiting.Take.as_view(), name="meta-pool-take"),
    path("meta-pools/<uuid:pk>/wait", meta_waiting.Wait.as_view(), name="meta-pool-wait"),
    path("meta-pools/<uuid:pk>/beat", meta_waiting.Beat.as_view(), name="meta-pool-beat"),
    path("meta-pools/<uuid:pk>/leave", meta_waiting.Leave.as_view(), name="meta-pool-leave"),
    path("manage/meta-pools/", meta_pools.MetaPools.as_view(), name="meta-pools"),
    path("manage/meta-pools/new", meta_pools.NewMetaPool.as_view(), name="meta-pool-new"),
    path("manage/meta-pools/<uuid:pk>/", meta_pools.MetaPoolOne.as_view(), name="meta-pool"),
    path("manage/meta-pools/<uuid:pk>/explain", meta_pools.Explain.as_view(), name="meta-pool-explain"),
    path("manage/meta-pools/<uuid:pk>/edit", meta_pools.EditMetaPool.as_view(), name="meta-pool-edit"),
    path("manage/meta-pools/<uuid:pk>/delete", meta_pools.DeleteMetaPool.as_view(), name="meta-pool-delete"),
]
