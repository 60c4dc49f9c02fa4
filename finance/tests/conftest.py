"""Accounts with the rules of `golden`, and a person at the money pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client as Browser

from domventas.core.models import Client
from domventas.core.roles import Role
from finance.testing import account
from finance.tests.desk import browser
from finance.tests.golden import rules
from marketplaces.models import Account


@pytest.fixture
def amazon(acting: Any) -> Account:
    """An Amazon account in Germany with its schedule."""
    rules("amazon.de")
    return account("amazon-eu", sites=["amazon.de"])


@pytest.fixture
def bunnings(acting: Any) -> Account:
    """A Bunnings account with its schedule: 12 % for tools, and 10 % tax on it as a line of its own."""
    rules("bunnings.com.au")
    return account("bunnings-au", sites=["bunnings.com.au"])


@pytest.fixture
def staff(client_dv: Client) -> Browser:
    """A person in finance."""
    return browser(client_dv, Role.FINANCE)
