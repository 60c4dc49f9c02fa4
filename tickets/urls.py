"""Addresses of the ticket pages."""

from __future__ import annotations

from django.urls import path

from tickets.pages import board, ticket

app_name = "tickets"
urlpatterns = [
    path("tickets/", board.show, name="board"),
    path("tickets/<int:number>/", ticket.show, name="ticket"),
    path("tickets/<int:number>/move/", ticket.move, name="move"),
]
