"""The addresses of bookings: the calendar of a pool, one's own bookings, and what who manages the pool can do."""

from django.urls import path

from .views import bookings

urlpatterns = [
    path("pools/<uuid:pk>/bookings/", bookings.Calendar.as_view(), name="booking-calendar"),
    path("bookings/<uuid:pk>/cancel", bookings.Cancel.as_view(), name="booking-cancel"),
    path("manage/pools/<uuid:pk>/bookings/", bookings.PoolBookings.as_view(), name="pool-bookings"),
    path("manage/pools/<uuid:pk>/bookings/block", bookings.Block.as_view(), name="pool-block"),
    path("manage/pools/<uuid:pk>/booking-rules", bookings.EditRules.as_view(), name="pool-booking-rules"),
    path("manage/bookings/<uuid:pk>/cancel", bookings.CancelOf.as_view(), name="booking-cancel-of"),
]
