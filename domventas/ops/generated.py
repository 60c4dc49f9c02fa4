"""The tables of the documentation that follow from the code, so that nobody has to keep them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from django.conf import settings

from domventas.core import retention
from domventas.core.jobs import declare
from marketplaces.registry import connectors
from marketplaces.services.retries import MEANS, OWN_FAULT, RULES, Then
from tickets.registry import DETECTORS

HEAD: Final = "<!-- Made by `manage.py docs`; change the code instead. -->\n\n"


def timetable() -> str:
    """Every scheduled job as declared."""
    rows = [
        f"| `{job.name}` | `{job.cadence}` | {job.queue} | {job.soft} s | {job.overlap} | {_first_line(job.body)} |"
        for job in declare.rows().values()
        if not job.name.startswith("test.")
    ]
    head = (
        "# Timetable\n\nCron expressions in UTC.\n\n"
        "| job | cadence | queue | limit | overlap | what |\n|---|---|---|---|---|---|\n"
    )
    return HEAD + head + "\n".join(rows) + "\n"


def ticket_types() -> str:
    """Every ticket type with its inputs and limits."""
    rows = [
        f"| `{name}` | {detector.label} | `{detector.job}` | {', '.join(detector.inputs)} | "
        f"{', '.join(f'{code} = {value}' for code, value in detector.limits.items())} | "
        f"{detector.open_after} / {detector.close_after} |"
        for name, detector in DETECTORS.items()
    ]
    head = (
        "# Ticket types\n\n| type | what | job | judged by | limits (defaults) | opens / closes after runs |\n"
        "|---|---|---|---|---|---|\n"
    )
    return HEAD + head + "\n".join(rows) + "\n"


def marketplaces() -> str:
    """Every marketplace with its sites and what it can do."""
    parts = [HEAD, "# Marketplaces\n"]
    for name, connector in connectors.items():
        parts.append(f"\n## {connector.label} (`{name}`)\n\n")
        parts.append("| flow | cadence | target | longest window | history |\n|---|---|---|---|---|\n")
        parts += [
            f"| {flow_name} | `{flow.cadence}` | {flow.freshness} | {flow.window} | {flow.history} |\n"
            for flow_name, flow in connector.flows.items()
        ]
        if connector.parse_settlement is not None and connector.settlements is None:
            parts.append("| settlements | by file | | | |\n")
        sites = ", ".join(f"{site.code} ({site.currency})" for site in connector.sites)
        parts.append(f"\nSites: {sites}.\n")
    return "".join(parts)


def retries() -> str:
    """What follows from each kind of error at the border."""
    rows = []
    for error, rule in RULES.items():
        name, what = (error.__name__.lower(), _first_line(error)) if error else (OWN_FAULT, "A fault of our own.")
        counts = "no" if rule.then == Then.AS_TOLD else "yes"
        rows.append(f"| {name} | {what} | {rule.then} | {counts} | {rule.pull} | {rule.report} | {rule.push} |")
    kinds = [f"- **{then}**: {MEANS[then]}" for then in Then]
    head = (
        "# Errors at the border and what follows\n\n"
        "The table is `marketplaces/services/retries.py`; readings, reports and pushes go by it.\n\n"
        "| kind | what happened | then | counts as failure | a reading | a report | a push |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    return HEAD + head + "\n".join(rows) + "\n\n" + "\n".join(kinds) + "\n"


def kept_rows() -> str:
    """How long the rows of every table are kept that do not stay for good."""
    rows = []
    for model in sorted([*retention.governed(), *retention.partitioned()], key=lambda model: model._meta.label):
        kept = retention.kept_of(model)
        assert kept is not None  # noqa: S101 - only such tables are listed
        since = kept.since.rpartition("__")[2].replace("_", " ")
        how = "whole months" if getattr(model, "partition_by", "") else "rows, nightly"
        if kept.but_newest_per:
            how += f"; the newest of each {' and '.join(kept.but_newest_per)} stays"
        rows.append(f"| `{model._meta.label}` | {kept.days} days after *{since}* | {how} | {kept.why} |")
    head = (
        "# How long rows are kept\n\n"
        "Declared beside each model (`kept_for`), carried out by `domventas/core/retention.py` every night. A table\n"
        "that is not named here keeps its rows for good: orders, money, tickets, proofs.\n"
        "`KEPT_DAYS=core.AuditEntry=4018` in the environment keeps longer, never shorter.\n"
        "Personal data goes much sooner: docs/runbooks/keys-audit-buyers.md.\n\n"
        "| table | kept | how | why |\n|---|---|---|---|\n"
    )
    return HEAD + head + "\n".join(rows) + "\n"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "docs/timetable.md": timetable,
    "docs/ticket-types.md": ticket_types,
    "docs/marketplaces.md": marketplaces,
    "docs/retries.md": retries,
    "docs/retention.md": kept_rows,
}


def stale() -> list[str]:
    """Generated pages whose text on disk is not what the code says."""
    return [
        name for name, make in PAGES.items() if not _path(name).exists() or _path(name).read_text("utf-8") != make()
    ]


def write() -> list[str]:
    """Write the pages that are stale; returns their names."""
    names = stale()
    for name in names:
        _path(name).write_text(PAGES[name](), encoding="utf-8")
    return names


def _path(name: str) -> Path:
    return Path(settings.BASE_DIR) / name


def _first_line(described: Callable[..., object]) -> str:
    return (described.__doc__ or "").strip().splitlines()[0]
