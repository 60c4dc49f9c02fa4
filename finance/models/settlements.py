"""What the marketplaces say they paid: statements, their lines, money still on its way, and payouts."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import AmountField, ClientForeignKey, CurrencyField
from domventas.core.models import ClientModel, ClientPart
from finance.models.rules import KINDS
from marketplaces.models import Account
from marketplaces.records import MoneyClass, MoneyEvent, TransactionState
from orders.models import OrderLine


class LineState(models.TextChoices):
    """What became of a settlement line; the four sum to the header."""

    NEW = "new", _("not judged yet")
    RECONCILED = "reconciled", _("reconciled")
    TOLERATED = "tolerated", _("tolerated")
    DISCREPANCY = "discrepancy", _("discrepancy")
    AWAITING = "awaiting", _("awaiting order or rule")


class Settlement(ClientModel):
    """One statement of a marketplace account in one currency. A second delivery makes a revision, never an edit.

    `is_seen`: reconciliation has taken it into account as it stands; the period it had then is kept beside it, as a
    statement that moves leaves days uncovered, too.
    """

    volatile = ("raw_id", "loaded_at", "source", "is_seen", "seen_start", "seen_end")

    class Status(models.TextChoices):
        WAITING = "waiting", _("waiting for its lines")
        LOADED = "loaded", _("loaded")
        INCONSISTENT = "inconsistent", _("header differs from its lines")

    account = ClientForeignKey(Account, on_delete=models.PROTECT, related_name="settlements")
    settlement_ref = models.CharField(_("settlement"), max_length=80)
    revision = models.PositiveIntegerField(_("revision"), default=1)
    status = models.CharField(_("status"), max_length=12, choices=Status)
    currency = CurrencyField(_("currency"))
    period_start = models.DateTimeField(_("from"), null=True, blank=True)
    period_end = models.DateTimeField(_("to"), null=True, blank=True)
    paid_on = models.DateField(_("paid on"), null=True, blank=True)
    header_total = AmountField(_("header total"), null=True, blank=True)
    lines_total = AmountField(_("sum of its lines"), default=0)
    difference = AmountField(_("header − lines"), default=0)
    line_count = models.PositiveIntegerField(_("lines"), default=0)
    digest = models.CharField(_("digest of its lines"), max_length=64, blank=True)
    source = models.CharField(_("came by"), max_length=10, default="api")
    notes = models.JSONField(_("how it was read"), default=list, blank=True)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)
    loaded_at = models.DateTimeField(_("loaded at"))
    is_seen = models.BooleanField(_("taken into account"), default=False)
    seen_start = models.DateTimeField(_("from, when last seen"), null=True, blank=True)
    seen_end = models.DateTimeField(_("until, when last seen"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        ordering = ["-period_end"]
        verbose_name = _("settlement")
        verbose_name_plural = _("settlements")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "settlement_ref"], name="settlement_client_account_ref_uniq"
            )
        ]
        indexes = [models.Index(fields=["client"], name="settlement_unseen_idx", condition=models.Q(is_seen=False))]

    def __str__(self) -> str:
        return self.settlement_ref


class SettlementLine(ClientPart):
    """One money line of a settlement, signed as seen by us; `amount = net_amount + tax_amount` [currency].

    `line_key` is the source's own line id, else the hash of its raw fields and `#n` for the n-th equal line. A later
    revision never edits a line: it adds one with the amount negated (`reverses`) and marks the old one `reversed_in`;
    a line is current when both are empty. The lines of all revisions sum to the header of the last one.
    """

    volatile = ("raw_id", "reverses")
    dump_refs = {"account_id": "marketplaces.Account"}

    settlement = ClientForeignKey(Settlement, on_delete=models.CASCADE, related_name="lines", db_index=False)
    account_id = models.BigIntegerField(_("account"))
    settlement_ref = models.CharField(_("settlement number"), max_length=80)
    line_key = models.CharField(_("key"), max_length=90)
    ordinal = models.PositiveIntegerField(_("row"))
    revision = models.PositiveIntegerField(_("revision"), default=1)
    reverses = models.BigIntegerField(_("reverses line"), null=True, blank=True)
    reversed_in = models.PositiveIntegerField(_("reversed in revision"), null=True, blank=True)
    raw_type = models.CharField(_("as they call it"), max_length=300)
    event = models.CharField(_("event"), max_length=8, choices=[(x.value, x.value) for x in MoneyEvent])
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS)
    money_class = models.CharField(_("class"), max_length=6, choices=[(x.value, x.value) for x in MoneyClass])
    amount = AmountField(_("amount"))
    net_amount = AmountField(_("without tax"))
    tax_amount = AmountField(_("tax inside"), default=0)
    currency = CurrencyField(_("currency"))
    posted_at = models.DateTimeField(_("posted at"), null=True, blank=True)
    order_ref = models.CharField(_("order"), max_length=80, blank=True)
    order_line_ref = models.CharField(_("order line as they say"), max_length=80, blank=True)
    refund_ref = models.CharField(_("refund"), max_length=120, blank=True)
    seller_sku = models.CharField(_("seller SKU"), max_length=120, blank=True)
    site = models.CharField(_("site"), max_length=60, blank=True)
    quantity = models.IntegerField(_("quantity"), null=True, blank=True)
    description = models.CharField(_("description"), max_length=300, blank=True)
    order_line = ClientForeignKey(
        OrderLine, on_delete=models.SET_NULL, related_name="settlement_lines", null=True, blank=True, db_index=False
    )
    state = models.CharField(_("state"), max_length=12, choices=LineState, default=LineState.NEW)
    cause = models.CharField(_("cause"), max_length=30, blank=True)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)

    class Meta(ClientPart.Meta):
        ordering = ["ordinal"]
        verbose_name = _("settlement line")
        verbose_name_plural = _("settlement lines")
        constraints = [
            models.UniqueConstraint(fields=["client", "settlement", "line_key"], name="settlementline_client_key_uniq")
        ]
        indexes = [
            models.Index(fields=["client", "settlement", "ordinal"], name="settlementline_settlement_idx"),
            models.Index(fields=["client", "order_line"], name="settlementline_order_line_idx"),
            models.Index(
                fields=["client", "settlement"], name="settlementline_new_idx", condition=models.Q(state="new")
            ),
            models.Index(
                fields=["client", "account_id", "order_ref"],
                name="settlementline_awaiting_idx",
                condition=models.Q(state="awaiting"),
            ),
            models.Index(
                fields=["client", "settlement"],
                name="settlementline_odd_idx",
                condition=models.Q(state="discrepancy", order_line__isnull=True),
            ),
            models.Index(
                fields=["client", "account_id"],
                name="settlementline_apart_idx",
                condition=models.Q(event="account") | models.Q(money_class="cash"),
            ),
            models.Index(  # holds next to nothing: what was judged with an order line that is gone
                fields=["client", "id"],
                name="settlementline_orphaned_idx",
                condition=models.Q(
                    ~models.Q(order_ref=""), ~models.Q(event="account"),
                    models.Q(state__in=["reconciled", "tolerated", "discrepancy"]) | models.Q(cause="no_rule"),
                    order_line=None, reverses=None, reversed_in=None,
                ),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.settlement_ref}/{self.ordinal}"


class Transaction(ClientModel):
    """Money a marketplace has booked: deferred, released or settled. Evidence for what is still to come.

    Where the source's log is the settlement's lines (Mirakl) `raw_type` is set and the line is made from this row.
    `is_seen`: reconciliation has taken it into account as it stands.
    """

    volatile = ("raw_id", "is_seen")

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="transactions")
    external_id = models.CharField(_("transaction"), max_length=200)
    state = models.CharField(_("state"), max_length=10, choices=[(x.value, x.value) for x in TransactionState])
    event = models.CharField(_("event"), max_length=8, choices=[(x.value, x.value) for x in MoneyEvent])
    amount = AmountField(_("amount"))
    currency = CurrencyField(_("currency"))
    posted_at = models.DateTimeField(_("posted at"))
    release_at = models.DateTimeField(_("released at"), null=True, blank=True)
    reason = models.CharField(_("why it waits"), max_length=120, blank=True)
    settlement_ref = models.CharField(_("settlement"), max_length=80, blank=True)
    site = models.CharField(_("site"), max_length=60, blank=True)
    order_ref = models.CharField(_("order"), max_length=80, blank=True)
    order_line_ref = models.CharField(_("order line as they say"), max_length=80, blank=True)
    refund_ref = models.CharField(_("refund"), max_length=120, blank=True)
    raw_type = models.CharField(_("as they call it"), max_length=300, blank=True)
    seller_sku = models.CharField(_("seller SKU"), max_length=120, blank=True)
    quantity = models.IntegerField(_("quantity"), null=True, blank=True)
    description = models.CharField(_("description"), max_length=300, blank=True)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)
    is_seen = models.BooleanField(_("taken into account"), default=False)

    class Meta(ClientModel.Meta):
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "external_id"], name="transaction_client_external_uniq"
            )
        ]
        indexes = [
            models.Index(fields=["client", "account", "order_ref"], name="transaction_client_order_idx"),
            models.Index(fields=["client", "account", "settlement_ref"], name="transaction_settlement_idx"),
            models.Index(
                fields=["client", "account", "order_ref"],
                name="transaction_unseen_idx",
                condition=models.Q(is_seen=False),
            ),
        ]

    def __str__(self) -> str:
        return self.external_id


class Payout(ClientModel):
    """A transfer to the client's bank as the marketplace announces it; positive when it comes to us."""

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        PAID = "paid", _("paid")
        FAILED = "failed", _("failed")

    account = ClientForeignKey(Account, on_delete=models.PROTECT, related_name="payouts")
    external_id = models.CharField(_("payout"), max_length=120)
    settlement_ref = models.CharField(_("settlement"), max_length=80, blank=True)
    amount = AmountField(_("amount"))
    currency = CurrencyField(_("currency"))
    state = models.CharField(_("state"), max_length=8, choices=State)
    paid_on = models.DateField(_("paid on"), null=True, blank=True)
    reference = models.CharField(_("bank reference"), max_length=120, blank=True)
    failure = models.CharField(_("why it failed"), max_length=200, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("payout")
        verbose_name_plural = _("payouts")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "external_id"], name="payout_client_account_external_uniq"
            )
        ]

    def __str__(self) -> str:
        return f"{self.external_id} {self.amount} {self.currency}"
