"""The active client in the path: kept by links, checked by forms, never taken from anywhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template import Context, Template
from django.test import Client as Browser
from django.urls import get_script_prefix, path

from domventas.core import tenancy
from domventas.core.models import Membership, Threshold, User
from domventas.core.roles import Role
from domventas.core.tests.conftest import House, build

FORM = "<form method=post>{% csrf_token %}</form> {% url 'limits' %}"


def limits(request: HttpRequest) -> HttpResponse:
    """Codes of the limits that may be seen, then a form and a link."""
    if request.method == "POST":
        Threshold.objects.create(code="posted", value=1)
    codes = " ".join(Threshold.objects.values_list("code", flat=True))
    acting = tenancy.current()
    form = Template(FORM).render(Context({"request": request, "csrf_token": "t"}))
    return HttpResponse(f"{codes}; {acting.actor} {acting.request}; {form}")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """The same, produced after the view has returned."""

    def body() -> Iterator[str]:
        for limit in Threshold.objects.order_by("pk").iterator():
            yield limit.code

    return StreamingHttpResponse(body())


def hook(request: HttpRequest) -> HttpResponse:
    """What a machine without login sees."""
    return HttpResponse(repr(tenancy.current_or_none()))


urlpatterns = [
    path("admin/", admin.site.urls),
    path("limits/", limits, name="limits"),
    path("stream/", stream, name="stream"),
    path("in/x", hook),
]
pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def browser(alba: House) -> Browser:
    browser = Browser()
    browser.force_login(alba.user)
    return browser


def test_a_page_belongs_to_the_client_in_its_path(browser: Browser, corvo: House) -> None:
    response = browser.get("/c/alba/limits/")
    text = response.content.decode()
    assert text.startswith("alba-margin; alba@example.com ")
    assert '<input type="hidden" name="_client" value="alba">' in text
    assert text.endswith(" /c/alba/limits/")  # reverse() keeps the client
    assert response["X-Request-Id"] in text
    assert (get_script_prefix(), tenancy.current_or_none()) == ("/", None)


def test_another_clients_path_does_not_exist(browser: Browser, corvo: House) -> None:
    assert browser.get("/c/corvo/limits/").status_code == 404
    assert browser.get("/c/corvo/limits/?client=alba").status_code == 404
    assert browser.get("/c/alba/limits/?client=corvo").status_code == 404
    assert browser.get("/limits/?client=corvo").status_code == 404


def test_a_path_without_client_leads_to_the_last_one_used(browser: Browser, alba: House, corvo: House) -> None:
    assert browser.get("/limits/?o=1")["location"] == "/c/alba/limits/?o=1"
    Membership.objects.create(user=alba.user, client=corvo.client, role=Role.MANAGER)
    assert browser.get("/c/alba/limits/?client=corvo&o=1")["location"] == "/c/corvo/limits/?o=1"
    assert b"corvo-margin" in browser.get("/c/corvo/limits/").content
    assert browser.get("/limits/")["location"] == "/c/corvo/limits/"
    assert browser.get("/limits/?client=alba")["location"] == "/c/alba/limits/"


@pytest.mark.parametrize(("said", "status"), [("alba", 200), ("corvo", 409), ("", 409)])
@pytest.mark.parametrize("way", ["field", "header"])
def test_a_form_must_say_for_which_client_it_was_drawn(
    browser: Browser, alba: House, said: str, status: int, way: str
) -> None:
    data, headers = ({"_client": said}, {}) if way == "field" else ({}, {"X-Client": said})
    assert browser.post("/c/alba/limits/", data, headers=headers).status_code == status
    with tenancy.acting_for(alba.client):
        assert Threshold.objects.filter(code="posted").exists() is (status == 200)


def test_a_form_posted_to_no_client_is_refused_and_can_be_read(browser: Browser) -> None:
    response = browser.post("/limits/", {"_client": "alba"})
    assert response.status_code == 409
    assert "Nothing was saved" in response.content.decode()


def test_strangers_are_sent_to_sign_in_and_come_back(db: None, alba: House) -> None:
    assert Browser().get("/c/alba/limits/")["location"] == "/admin/login/?next=/c/alba/limits/"
    page = Browser().get("/admin/login/")
    assert page.status_code == 200
    assert b'name="_client"' not in page.content


def test_an_inactive_client_is_gone(browser: Browser, alba: House) -> None:
    alba.client.active = False
    alba.client.save()
    assert browser.get("/c/alba/limits/").status_code == 404


def test_a_machine_needs_neither_login_nor_client(browser: Browser) -> None:
    assert browser.get("/in/x").content == b"None"
    assert Browser().post("/in/x").content == b"None"


def test_an_operator_without_membership_stays_outside_every_client(alba: House) -> None:
    operator = User.objects.create_user("op@example.com", "pw", is_operator=True)
    browser = Browser()
    browser.force_login(operator)
    assert browser.get("/c/alba/limits/").status_code == 404
    with pytest.raises(tenancy.NoClient):
        browser.get("/limits/")


@pytest.mark.parametrize(("given", "kept"), [("abc-123", True), ("x" * 65, False), ("a b", False), ("<i>", False)])
def test_a_request_id_from_the_proxy_is_kept_if_it_is_one(browser: Browser, given: str, kept: bool) -> None:
    answer = browser.get("/c/alba/limits/", headers={"X-Request-Id": given})["X-Request-Id"]
    assert (answer == given) is kept
    assert re.fullmatch(r"[A-Za-z0-9._-]+", answer)


@pytest.mark.django_db(transaction=True)
def test_a_stream_is_produced_as_its_client() -> None:
    alba, corvo = build("alba"), build("corvo")
    with tenancy.acting_for(alba.client):
        Threshold.objects.create(code="second", value=1)
    browser = Browser()
    browser.force_login(alba.user)
    chunks = iter(browser.get("/c/alba/stream/"))
    first = next(chunks)
    assert tenancy.current_or_none() is None
    with tenancy.acting_for(corvo.client):  # somebody else on the same thread meanwhile
        assert Threshold.objects.get().code == "corvo-margin"
    assert [first, *chunks] == [b"alba-margin", b"second"]
