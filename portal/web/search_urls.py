"""The addresses about searching for machines, acting on several of them, and events as a file."""

from django.urls import path

from .views import batches, chain, event_export, machines

urlpatterns = [
    path("manage/events/chain/", chain.Chain.as_view(), name="events-chain"),
    path("manage/events/chain/verify", chain.Verify.as_view(), name="events-verify"),
    path("manage/events.<slug:kind>", event_export.Export.as_view(), name="events-export"),
    path("manage/machines/batches", batches.NewBatch.as_view(), name="batch-new"),
    path("manage/machines/batches/<uuid:pk>/", batches.BatchOne.as_view(), name="batch"),
    path("manage/machines/words", machines.Words.as_view(), name="vms-words"),
    path("manage/machines/searches", machines.SaveSearch.as_view(), name="search-save"),
    path("manage/machines/searches/<uuid:pk>/delete", machines.DeleteSearch.as_view(), name="search-delete"),
]
