"""Addresses of the order pages; the list of orders is the admin's."""

from __future__ import annotations

from django.urls import path

from orders.pages import order, ship, stuck

app_name = "orders"
urlpatterns = [
    path("orders/stuck/", stuck.show, name="stuck"),
    path("orders/stuck/seen/", stuck.see_to, name="stuck_seen"),
    path("orders/<int:pk>/", order.show, name="order"),
    path("orders/<int:pk>/ship/", ship.ship, name="ship"),
    path("orders/<slug:account>/<str:external_id>/", order.by_number, name="number"),
]
