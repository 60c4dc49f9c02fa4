"""Addresses of the money pages."""

from __future__ import annotations

from django.urls import path

from finance.pages import are_we_paid, entries, findings, owed, proposal, settlements, statement_files, workbench

app_name = "finance"
urlpatterns = [
    path("money/paid/", are_we_paid.show, name="are_we_paid"),
    path("money/entries/", entries.show, name="entries"),
    path("money/owed/", owed.show, name="owed"),
    path("money/findings/", findings.show, name="findings"),
    path("money/findings/decide/", findings.decide, name="decide_findings"),
    path("money/findings/rule/", proposal.accept, name="accept_rule"),
    path("money/files/", statement_files.show, name="statement_files"),
    path("money/files/bring/", statement_files.bring, name="bring_files"),
    path("money/settlements/", settlements.show, name="settlements"),
    path("money/settlements/<int:pk>/", workbench.show, name="settlement"),
    path("money/settlements/<int:pk>/decide/", workbench.decide, name="decide"),
]
