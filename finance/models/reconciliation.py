"""Expected beside paid: what we may expect, what came, the verdict, what is still owed, and what is wrong."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import AmountField, ClientForeignKey, CurrencyField
from domventas.core.models import ClientModel, ClientPart
from finance.models.rules import KINDS
from finance.models.settlements import Settlement
from marketplaces.models import Account
from marketplaces.records import MoneyEvent
from orders.models import OrderLine

EVENTS = [(x.value, x.value) for x in MoneyEvent]


class ExpectedCharge(ClientPart):
    """What the marketplace should book for one order line, event and kind, signed as seen by us.

    Amounts come from the order itself (prices, taxes) or from a dated rule (fees); what a buyer got back is taken from
    the statement where the order does not tell (`paid`), because only the fees on it can be judged then. `amount`
    includes `tax_amount` where the rule says that the tax stands inside the line. `amount` is None when no rule exists:
    then nothing is expected or judged. `rate` × `base_amount` is what a rule with a rate was applied to.
    """

    class Basis(models.TextChoices):
        ORDER = "order", _("the order")
        RULE = "rule", _("a rule")
        PAID = "paid", _("the money given back")
        GAP = "gap", _("no rule")

    line = ClientForeignKey(OrderLine, on_delete=models.CASCADE, related_name="expected_charges", db_index=False)
    event = models.CharField(_("event"), max_length=8, choices=EVENTS)
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS)
    amount = AmountField(_("amount"), null=True)
    tax_amount = AmountField(_("tax inside"), null=True)
    currency = CurrencyField(_("currency"))
    basis = models.CharField(_("from"), max_length=6, choices=Basis)
    rule_id = models.BigIntegerField(_("rule"), null=True, blank=True)
    rate = models.DecimalField(_("rate"), max_digits=9, decimal_places=6, null=True, blank=True)
    base_amount = AmountField(_("applied to"), null=True)
    formula = models.CharField(_("how computed"), max_length=200, blank=True)

    volatile = ("rule_id",)

    class Meta(ClientPart.Meta):
        verbose_name = _("expected charge")
        verbose_name_plural = _("expected charges")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "line", "event", "kind"], name="expectedcharge_client_line_kind_uniq"
            )
        ]
        indexes = [
            models.Index(fields=["client", "line"], name="expectedcharge_gap_idx", condition=models.Q(basis="gap"))
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class Verdict(models.TextChoices):
    """What comparing expected with paid says about one kind of an order line."""

    RECONCILED = "reconciled", _("reconciled")
    TOLERATED = "tolerated", _("tolerated")
    DISCREPANCY = "discrepancy", _("discrepancy")
    AWAITING = "awaiting", _("not booked yet")
    NO_EXPECTATION = "no_rule", _("no rule to expect it")


class LineReconciliation(ClientPart):
    """One order line × event × kind: expected beside actual, the difference, and the verdict [currency].

    `sum_key` names the `DeviationSum` the row is added up in: tolerated differences and fees off by a rate.
    """

    line = ClientForeignKey(OrderLine, on_delete=models.CASCADE, related_name="reconciliations", db_index=False)
    event = models.CharField(_("event"), max_length=8, choices=EVENTS)
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS)
    expected = AmountField(_("expected"), null=True)
    actual = AmountField(_("paid"), null=True)
    difference = AmountField(_("paid − expected"), null=True)
    currency = CurrencyField(_("currency"))
    verdict = models.CharField(_("verdict"), max_length=12, choices=Verdict)
    cause = models.CharField(_("cause"), max_length=30, blank=True)
    group_key = models.CharField(_("group"), max_length=160, blank=True)
    sum_key = models.CharField(_("added up in"), max_length=200, blank=True)

    volatile = ("sum_key",)

    class Meta(ClientPart.Meta):
        verbose_name = _("reconciliation of an order line")
        verbose_name_plural = _("reconciliations of order lines")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "line", "event", "kind"], name="linereconciliation_client_line_kind_uniq"
            )
        ]
        indexes = [
            models.Index(
                fields=["client", "cause"],
                name="linereconciliation_cause_idx",
                condition=models.Q(verdict="discrepancy"),
            ),
            models.Index(
                fields=["client", "sum_key"], name="linereconciliation_sum_idx", condition=~models.Q(sum_key="")
            ),
            models.Index(  # booked otherwise than expected, or without any expectation
                fields=["client", "line"],
                name="linereconciliation_differs_idx",
                condition=models.Q(difference__lt=0)
                | models.Q(difference__gt=0)
                | models.Q(models.Q(actual__lt=0) | models.Q(actual__gt=0), difference=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_id} {self.kind} {self.verdict}"


class DeviationSum(ClientModel):
    """Deviations of order lines added up as they are judged, so that a finding about many never reads them all.

    `month`: tolerated differences of a site, kind and event in a month of orders. `run`: fees that are off by the same
    rate in one direction (`run_key`, shared by all accounts); from so many on the rate has changed (`is_run`).
    """

    class Family(models.TextChoices):
        MONTH = "month", _("small differences of a month")
        RUN = "run", _("equal deviations of a rate")

    volatile = True

    key = models.CharField(_("key"), max_length=200)
    family = models.CharField(_("what is added up"), max_length=6, choices=Family)
    run_key = models.CharField(_("run"), max_length=200, blank=True)
    group_key = models.CharField(_("group"), max_length=160)
    account_id = models.BigIntegerField(_("account"))
    site = models.CharField(_("site"), max_length=60)
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS)
    event = models.CharField(_("event"), max_length=8, choices=EVENTS)
    currency = CurrencyField(_("currency"))
    first_on = models.DateField(_("month, or first order"))
    line_count = models.PositiveIntegerField(_("rows"))
    signs = models.IntegerField(_("rows in our favor − against us"))
    expected = AmountField(_("expected"), null=True)
    actual = AmountField(_("paid"), null=True)
    difference = AmountField(_("paid − expected"))
    is_run = models.BooleanField(_("counts as one finding"), default=False)

    class Meta(ClientModel.Meta):
        verbose_name = _("sum of deviations")
        verbose_name_plural = _("sums of deviations")
        constraints = [models.UniqueConstraint(fields=["client", "key"], name="deviationsum_client_key_uniq")]
        indexes = [
            models.Index(fields=["client", "run_key"], name="deviationsum_run_idx", condition=models.Q(family="run"))
        ]

    def __str__(self) -> str:
        return self.key


class Receivable(ClientPart):
    """What a marketplace owes for one shipped order line, in exactly one state [order's currency].

    `expected_net` = everything expected for the sale and its refunds; `paid` = everything settled; `open` = the rest.
    `look_on`: the day on which time alone may move the state; empty when only news can.

    What it moves in the account's balance: `sales` + `fees` + `withheld` on the day `sold_on`, `refunds` on the day
    `refunded_on`; together they are `expected_net`. `awaited`: what of it is not booked yet, `awaited_refunds` of that.
    """

    dump_refs = {"account_id": "marketplaces.Account"}

    class State(models.TextChoices):
        NOT_DUE = "not_due", _("not due")
        DEFERRED = "deferred", _("deferred")
        DUE = "due", _("due")
        OVERDUE = "overdue", _("overdue")
        PART_PAID = "part_paid", _("part-paid")
        PAID = "paid", _("paid")
        REFUNDED = "refunded", _("refunded")
        DISPUTED = "disputed", _("disputed")
        WRITTEN_OFF = "written_off", _("written off")
        NO_EVIDENCE = "no_evidence", _("no evidence yet")

    line = ClientForeignKey(OrderLine, on_delete=models.CASCADE, related_name="receivables", db_index=False)
    account_id = models.BigIntegerField(_("account"))
    currency = CurrencyField(_("currency"))
    shipped_value = AmountField(
        _("shipped value"), null=True, help_text=_("what the buyer paid for what was shipped, tax included")
    )
    expected_net = AmountField(_("expected net"), null=True)
    paid = AmountField(_("paid"), default=0)
    open = AmountField(_("open"), null=True)
    state = models.CharField(_("state"), max_length=12, choices=State)
    reason = models.CharField(_("reason"), max_length=120, blank=True)
    shipped_on = models.DateField(_("shipped on"), null=True, blank=True)
    release_on = models.DateField(_("expected release"), null=True, blank=True)
    due_on = models.DateField(_("due on"), null=True, blank=True)
    settled_on = models.DateField(_("settled on"), null=True, blank=True)
    look_on = models.DateField(_("look again on"), null=True, blank=True)
    sales = AmountField(_("sales"), null=True, help_text=_("prices and their tax"))
    fees = AmountField(_("fees"), null=True)
    withheld = AmountField(_("withheld tax"), null=True)
    refunds = AmountField(_("refunds"), null=True, help_text=_("given back, and what came back of the fees"))
    awaited = AmountField(_("not booked yet"), null=True)
    awaited_refunds = AmountField(_("refunds not booked yet"), null=True)
    sold_on = models.DateField(_("moves the balance on"), null=True, blank=True)
    refunded_on = models.DateField(_("refunded on"), null=True, blank=True)

    volatile = ("look_on",)

    class Meta(ClientPart.Meta):
        verbose_name = _("receivable")
        verbose_name_plural = _("receivables")
        constraints = [models.UniqueConstraint(fields=["client", "line"], name="receivable_client_line_uniq")]
        indexes = [
            models.Index(fields=["client", "account_id", "state"], name="receivable_account_state_idx"),
            models.Index(
                fields=["client", "due_on"],
                name="receivable_open_due_idx",
                condition=~models.Q(state__in=["paid", "refunded", "written_off"]),
            ),
            models.Index(
                fields=["client", "account_id", "release_on"],
                name="receivable_moving_release_idx",
                condition=~models.Q(state__in=["paid", "refunded"]),
            ),
            models.Index(
                fields=["client", "look_on"], name="receivable_look_idx", condition=models.Q(look_on__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line_id} {self.state}"


class RuleGap(ClientModel):
    """Our own ignorance: a combination no rule covers, with the lines and the value it keeps from being judged."""

    site = models.CharField(_("site"), max_length=60)
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS)
    category = models.CharField(_("category"), max_length=80, blank=True)
    fulfillment = models.CharField(_("fulfilled by"), max_length=12, blank=True)
    currency = CurrencyField(_("currency"))
    line_count = models.PositiveIntegerField(_("order lines"))
    blocked_amount = AmountField(_("paid and not judged"), default=0)
    first_on = models.DateField(_("first sale"), null=True)
    last_on = models.DateField(_("last sale"), null=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("rule gap")
        verbose_name_plural = _("rule gaps")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "site", "kind", "category", "fulfillment", "currency"], name="rulegap_client_key_uniq"
            )
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.kind} {self.category}"


class Discrepancy(ClientModel):
    """One thing that is wrong with money we were or were not paid, with its cause and what it belongs to.

    `amount` = paid − expected, signed as seen by us [currency]. `group_key` joins what one decision settles.
    """

    # The fingerprint is made of ids; what has gone again may never have been seen by another reading.
    volatile = ("fingerprint", "found_at", "gone_at", "is_seen")
    dump_key = ("account", "cause", "kind", "event", "group_key", "line", "settlement", "settlement_line_id")
    dump_only = ~models.Q(state="gone")
    dump_refs = {"settlement_line_id": "finance.SettlementLine"}

    class Cause(models.TextChoices):
        FEE_OVERCHARGED = "fee_overcharged", _("fee above the rule")
        FEE_UNDERCHARGED = "fee_undercharged", _("fee below the rule")
        PAYMENT_MISSING = "payment_missing", _("payment missing")
        PART_MISSING = "part_missing", _("part of the payment missing")
        CHARGED_TWICE = "charged_twice", _("charged twice")
        PAID_TWICE = "paid_twice", _("paid twice")
        REFUND_FEE_WRONG = "refund_fee_wrong", _("refund gives back the wrong part")
        UNKNOWN_KIND = "unknown_kind", _("unknown kind of line")
        HEADER_MISMATCH = "header_mismatch", _("header differs from its lines")
        PRICE_DIFFERS = "price_differs", _("amount differs from the order")
        UNEXPECTED = "unexpected", _("charge nobody expects")
        RATE_CHANGED = "rate_changed", _("rule or rate changed")
        ROUNDING = "rounding", _("tolerated differences add up")

    class State(models.TextChoices):
        OPEN = "open", _("open")
        ACCEPTED = "accepted", _("accepted")
        CLAIMED = "claimed", _("claimed")
        GONE = "gone", _("gone")

    account = ClientForeignKey(Account, on_delete=models.PROTECT, related_name="discrepancies")
    cause = models.CharField(_("cause"), max_length=20, choices=Cause)
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS, blank=True)
    event = models.CharField(_("event"), max_length=8, choices=EVENTS, blank=True)
    fingerprint = models.CharField(_("fingerprint"), max_length=64)
    group_key = models.CharField(_("group"), max_length=160)
    site = models.CharField(_("site"), max_length=60, blank=True)
    line = ClientForeignKey(OrderLine, on_delete=models.CASCADE, related_name="discrepancies", null=True, blank=True)
    settlement = ClientForeignKey(
        Settlement, on_delete=models.CASCADE, related_name="discrepancies", null=True, blank=True
    )
    settlement_line_id = models.BigIntegerField(_("settlement line"), null=True, blank=True)
    order_ref = models.CharField(_("order"), max_length=80, blank=True)
    line_ref = models.CharField(_("order line"), max_length=80, blank=True)
    seller_sku = models.CharField(_("seller SKU"), max_length=120, blank=True)
    expected = AmountField(_("expected"), null=True)
    actual = AmountField(_("paid"), null=True)
    amount = AmountField(_("difference"))
    currency = CurrencyField(_("currency"))
    happened_on = models.DateField(_("happened on"), null=True, blank=True)
    claim_until = models.DateField(_("claim until"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.OPEN)
    accepted_until = models.DateField(_("accepted until"), null=True, blank=True)
    decided_by = models.CharField(_("decided by"), max_length=254, blank=True)
    note = models.CharField(_("note"), max_length=300, blank=True)
    found_at = models.DateTimeField(_("found at"))
    gone_at = models.DateTimeField(_("gone at"), null=True, blank=True)
    is_seen = models.BooleanField(_("decision taken into account"), default=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("discrepancy")
        verbose_name_plural = _("discrepancies")
        constraints = [
            models.UniqueConstraint(fields=["client", "fingerprint"], name="discrepancy_client_fingerprint_uniq")
        ]
        indexes = [
            models.Index(fields=["client", "state", "account"], name="discrepancy_state_account_idx"),
            models.Index(fields=["client", "line"], name="discrepancy_client_line_idx"),
            models.Index(
                fields=["client", "settlement"],
                name="discrepancy_settlement_idx",
                condition=models.Q(line__isnull=True),
            ),
            models.Index(fields=["client"], name="discrepancy_unseen_idx", condition=models.Q(is_seen=False)),
            models.Index(
                fields=["client", "accepted_until"],
                name="discrepancy_accepted_idx",
                condition=models.Q(state="accepted"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.cause} {self.amount} {self.currency}"


class ReconcileMark(ClientModel):
    """How far reconciliation has come: what changed later, or under other rules, is judged anew."""

    volatile = True

    lines_until = models.DateTimeField(_("order lines seen up to"), null=True, blank=True)
    rules_digest = models.CharField(_("digest of the rules"), max_length=64, blank=True)
    tax_collectors = models.JSONField(
        _("sites that pay the tax themselves"), default=list, blank=True, help_text=_("seen to withhold it")
    )

    class Meta(ClientModel.Meta):
        verbose_name = _("state of reconciliation")
        verbose_name_plural = _("states of reconciliation")
        constraints = [models.UniqueConstraint(fields=["client"], name="reconcilemark_client_uniq")]

    def __str__(self) -> str:
        return f"{self.lines_until}"
