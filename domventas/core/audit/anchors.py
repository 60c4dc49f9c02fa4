"""Where a kept chain begins: months of the audit go whole, and what goes with them is noted first, stamped.

The seals before an anchor are dropped with their entries. A forger who cuts the chain at its front would have to write
an anchor, and for its stamp he lacks the key: the stamp of a seal does not do, as it is made of something else.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, timedelta
from typing import Final

from domventas.core import crypto
from domventas.core.models import AuditAnchor

#: A month goes in the same run as its anchor is made; what is left of it so much later was put there.
SETTLES: Final = timedelta(days=7)


def newest() -> AuditAnchor | None:
    """The acting client's anchor that holds now."""
    return AuditAnchor.objects.order_by("-kept_from", "-pk").first()


def is_genuine(anchor: AuditAnchor) -> bool:
    """Whether it was stamped with a key of ours, for this client, and says now what it said then."""
    try:
        return bool(anchor.stamp == digest_of(anchor))
    except crypto.Unreadable:
        return False


def digest_of(anchor: AuditAnchor) -> str:
    """The digest of everything an anchor says."""
    told = (
        "anchor", anchor.number, anchor.last_id, anchor.digest, anchor.kept_from.isoformat(),
        anchor.made_at.astimezone(UTC).isoformat(), ",".join(map(str, anchor.gone)),
    )  # fmt: skip
    return hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()
