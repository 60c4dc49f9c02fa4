"""A process of its own that works on one account's events until it is ended: `python -m … <client> <account>`."""

from __future__ import annotations

import sys
import time

import django

if __name__ == "__main__":
    django.setup()

    from django.utils.timezone import now

    from domventas.core import tenancy
    from marketplaces.models import Account
    from marketplaces.services.event_drain import drain

    with tenancy.acting_for(int(sys.argv[1]), actor="event process"):
        while True:
            if not drain(Account.objects.get(pk=int(sys.argv[2])), now=now()).taken:
                time.sleep(0.05)
