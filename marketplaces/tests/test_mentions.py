"""A person is found in a kept answer however its letters are spelled there."""

from __future__ import annotations

import json

import pytest

from marketplaces.services.raw import mentions

NAMES = ["Jürgen Weiß", "ÖZGÜR ÇELİK", 'Ann "Nan" Bell', "c/o Große Straße 7", "Zoë 😀 Martín"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("escaped", [False, True])
def test_a_name_is_found_in_json_of_either_spelling(name: str, escaped: bool) -> None:
    body = json.dumps({"buyer": {"name": name}}, ensure_ascii=escaped).encode()
    if not any(letter > "\uffff" for letter in name) or not escaped:  # halves of characters are nobody's name
        assert mentions(body, {name}) and mentions(body, {name.casefold()})
    assert mentions(body.replace(b"/", rb"\/"), {name}) or "😀" in name
    assert not mentions(body, {"Somebody Else"})


def test_capitals_do_not_matter() -> None:
    assert mentions(json.dumps("JÖRG ÖZIL").encode(), {"Jörg Özil"})
    assert mentions("Jörg Weiss".encode(), {"JÖRG WEISS"})
