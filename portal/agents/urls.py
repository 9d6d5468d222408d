"""The addresses of the agents' door."""

from django.urls import path

from . import views

urlpatterns = [
    path("report", views.Report.as_view(), name="agent-report"),
    path("enrol", views.Enrol.as_view(), name="agent-enrol"),
    path("agent.pyz", views.agent, name="agent-program"),
    path("enrol.sh", views.script, name="agent-script"),
]
