"""The few things lower apps say aloud, so that apps above can answer without being imported."""

from __future__ import annotations

from django.dispatch import Signal

account_created = Signal()
"""An account was made. Arguments: account, now."""

listing_changed = Signal()
"""Offers got their SKU, or came up (sku_id None). Arguments: account, offer_refs, sku_id, actor (who mapped), now."""

push_settled = Signal()
"""A command to a marketplace was settled, in the same transaction. Arguments: command (an OutboxCommand), now."""

article_corrected = Signal()
"""What fees ask of our SKUs was corrected: weight or category. Arguments: sku_ids, now."""
