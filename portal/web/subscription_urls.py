"""The addresses of notifications."""

from django.urls import path

from .views import subscriptions

urlpatterns = [
    path("manage/notifications/", subscriptions.Subscriptions.as_view(), name="subscriptions"),
    path("manage/notifications/new", subscriptions.NewSubscription.as_view(), name="subscription-new"),
    path("manage/notifications/<uuid:pk>/", subscriptions.EditSubscription.as_view(), name="subscription-edit"),
    path(
        "manage/notifications/<uuid:pk>/<slug:verb>",
        subscriptions.SubscriptionDeed.as_view(),
        name="subscription-deed",
    ),
]
