"""`manage.py screens`: takes pictures of the pages of a running back office, in light, dark and narrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from domventas.ops.demo.people import DOMAIN, PASSWORD

CHROMIUM: Final = Path("/usr/bin/chromium")
ARGS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way to look at a page: its size [CSS pixels] and the person's choice of colors."""

    name: str
    width: int
    height: int
    dark: bool = False


MODES: Final = (
    Mode(name="light", width=1440, height=1000),
    Mode(name="dark", width=1440, height=1000, dark=True),
    Mode(name="narrow", width=390, height=844),
)

#: Name of the picture → address, or where the first link to follow stands: address, then the link's start.
PAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "today": ("/",),
    "monitor": ("/system/monitor/",),
    "stream": ("/system/monitor/", "a.cell"),
    "raw": ("/system/monitor/", "a.cell", "a[href*='/system/raw/']"),
    "orders": ("/admin/orders/order/",),
    "order": ("/admin/orders/order/?p=9", "#result_list a[href*='/orders/']:not([href*='/admin/'])"),
    "stuck": ("/orders/stuck/",),
    "stuck-held": ("/orders/stuck/?reason=held",),
    "tickets": ("/tickets/",),
    "ticket": ("/tickets/", "main a[href*='/tickets/']:not([href*='/admin/'], [href*='?'], [href$='/tickets/'])"),
    "are-we-paid": ("/money/paid/",),
    "findings": ("/money/findings/",),
    "statement-files": ("/money/files/",),
    "settlements": ("/money/settlements/",),
    "workbench": (
        "/money/settlements/?account=amazon-eu&status=inconsistent",
        "td a[href*='/money/settlements/'], th a[href*='/money/settlements/']",
    ),
    "sku": ("/admin/catalog/sku/",),
}


class Command(BaseCommand):
    """Signs in as the demo's administrator and takes each page in each mode."""

    help = "Takes pictures of the pages of a running demo into docs/screens."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Options: --base, --out, --only, --modes, --full."""
        parser.add_argument("--base", default="http://127.0.0.1:8000", help="where the demo answers")
        parser.add_argument("--out", type=Path, default=settings.BASE_DIR / "docs" / "screens")
        parser.add_argument("--only", nargs="*", default=[], help="names of pages; default: all")
        parser.add_argument("--modes", nargs="*", default=[mode.name for mode in MODES])
        parser.add_argument("--full", action="store_true", help="the whole page instead of what fits the window")

    def handle(self, *args: Any, **options: Any) -> None:
        """Take them. Raises: CommandError: no browser, or the demo does not let us in."""
        if not CHROMIUM.exists():
            raise CommandError(f"there is no {CHROMIUM}; install Chromium first")
        from playwright.sync_api import sync_playwright

        options["out"].mkdir(parents=True, exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
            try:
                for mode in MODES:
                    if mode.name in options["modes"]:
                        self._take(browser, mode, options)
            finally:
                browser.close()

    def _take(self, browser: Any, mode: Mode, options: dict[str, Any]) -> None:
        context = browser.new_context(
            viewport={"width": mode.width, "height": mode.height}, color_scheme="dark" if mode.dark else "light"
        )
        try:
            page = sign_in(context.new_page(), options["base"])
            for name, address in _reached(page, options["base"], options["only"]):
                if address is None:
                    self.stdout.write(f"{name}: no such page here")
                    continue
                page.goto(address, wait_until="networkidle")
                file = options["out"] / f"{name}.{mode.name}.png"
                page.screenshot(path=str(file), full_page=options["full"])
                self.stdout.write(f"{file.name}: {file.stat().st_size // 1000} kB")
        finally:
            context.close()


def sign_in(page: Any, base: str) -> Any:
    """The page, signed in as the demo's administrator. Raises: CommandError: refused."""
    page.goto(f"{base}/admin/login/")
    page.fill("input[name=username]", f"demo@{DOMAIN}")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_load_state("networkidle")
    if "/login/" in page.url:
        raise CommandError(f"{base} does not let the demo's administrator in; is this the demo?")
    return page


def _reached(page: Any, base: str, only: list[str]) -> Iterator[tuple[str, str | None]]:
    """Names and full addresses; None where the page, or the link on the way to it, is missing."""
    home = page.url.split("/c/", 1)
    root = f"{home[0]}/c/{home[1].split('/', 1)[0]}" if len(home) == 2 else base
    for name, (start, *links) in PAGES.items():
        if only and name not in only:
            continue
        yield name, _followed(page, f"{root}{start}", links)


def _followed(page: Any, address: str, links: list[str]) -> str | None:
    answer = page.goto(address)
    for link in links:
        target = page.locator(link).first
        if not answer or not answer.ok or not target.count():
            return None
        answer = page.goto(target.evaluate("node => node.href"))
    return str(page.url) if answer and answer.ok else None
