"""What every table of a client has in common: the client, the scoped manager, and the marks the walls read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core import tenancy
from domventas.core.managers import ClientManager
from domventas.core.models.kept import Kept


class ClientModel(models.Model):
    """A row that belongs to exactly one client and is invisible to the others.

    Marks, read by sync_walls and the canonical dump:
        audited: each change is written to AuditEntry by the database itself; names of columns = only changes of
            those, for rows that the machine writes all the time.
        app_may: what the application's role may do to the table; facts that only grow say "SELECT, INSERT".
        brand_path: way to the brand ("sku__product__brand"); members limited to brands see only those.
        free_text: columns in which a buyer may be named (see core.traces); None = every column of running text,
            () = none, for what is public anyway.
        volatile: True = the table is left out of the canonical dump; names = these columns are.
        partition_by: a date column; the table is partitioned by its month from the first migration.
        kept_for: how long rows stay (see core.retention); None = for good.
        dump_key: the natural key used by the canonical dump where no unique constraint names it.
        dump_only: the rows that count there; the others only tell how things came about.
        dump_refs: plain columns that hold the id of a row, with the model they point at.
    """

    client = models.ForeignKey(
        "core.Client",
        on_delete=models.PROTECT,
        editable=False,
        default=tenancy.acting_client_id,
        related_name="+",
        db_index=False,
        verbose_name=_("client"),
    )
    objects: ClassVar[ClientManager[Self]] = ClientManager()

    audited: ClassVar[bool | tuple[str, ...]] = False
    free_text: ClassVar[tuple[str, ...] | None] = None
    app_may: ClassVar[str] = "SELECT, INSERT, UPDATE, DELETE"
    brand_path: ClassVar[str] = ""
    volatile: ClassVar[bool | tuple[str, ...]] = False
    partition_by: ClassVar[str] = ""
    kept_for: ClassVar[Kept | None] = None
    dump_key: ClassVar[tuple[str, ...]] = ()
    dump_only: ClassVar[models.Q] = models.Q()
    dump_refs: ClassVar[Mapping[str, str]] = {}

    class Meta:
        abstract = True
        base_manager_name = "objects"


class ClientPart(ClientModel):
    """A row of a big table that is part of another row: it needs a `ClientForeignKey` to it that is never empty.

    The composite key to that parent already proves the client, so the row has no second key to the client itself:
    PostgreSQL would check it for every row, and never find anything.
    """

    client = models.ForeignKey(
        "core.Client",
        on_delete=models.PROTECT,
        editable=False,
        default=tenancy.acting_client_id,
        related_name="+",
        db_index=False,
        db_constraint=False,
        verbose_name=_("client"),
    )

    class Meta(ClientModel.Meta):
        abstract = True
