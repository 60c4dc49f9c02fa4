"""A process of its own that empties one account's outbox, to be killed: `python -m … <client> <account> [clock]`."""

from __future__ import annotations

import sys
from datetime import datetime

import django

if __name__ == "__main__":
    django.setup()

    from django.utils.timezone import now as wall_clock

    from domventas.core import tenancy
    from marketplaces.models import Account
    from marketplaces.services.outbox_drain import drain

    at = datetime.fromisoformat(sys.argv[3]) if len(sys.argv) > 3 else None
    with tenancy.acting_for(int(sys.argv[1]), actor="drain process"):
        drain(Account.objects.get(pk=int(sys.argv[2])), "shipments", clock=(lambda: at) if at else wall_clock)
