"""What sessions know of their client's HTTP request: the same keys and values as with serverwamp 2.0.0 on aiohttp."""

from collections.abc import Mapping
from typing import Any

import pytest

from compat.handling import ORACLE_SETTING, SETTINGS, Setting, Site, build, serve

HEADERS = {
    'Cookie': 'name=Joe; token="quoted value"; empty=',
    'X-Custom': 'Grüße',
    'Authorization': 'Bearer abc',
}
TARGETS = ['/', '/some/path', '/p%C3%A4th/a%20b?x=1&y=%C3%A4&x=2', '/path?', '/a//b/../c']


def ask(setting: Setting, target: str) -> dict[str, Any]:
    infos = []

    async def info(session):
        infos.append(session.connection.transport_info)

    async def talk(site: Site) -> None:
        caller = await site.join(target=target, additional_headers=HEADERS)
        await caller('info')

    serve(setting, build(setting, info=info), talk)
    return dict(infos[0])


def comparable(info: dict[str, Any]) -> dict[str, Any]:
    """The values, with headers in a form that doesn't depend on the connection."""
    facts = dict(info)
    facts['http_cookies'] = dict(info['http_cookies'])
    facts['http_headers_raw'] = [
        (bytes(name).lower(), bytes(value))
        for name, value in info['http_headers_raw']
        if bytes(name).lower() not in (b'host', b'sec-websocket-key')
    ]
    return facts


@pytest.mark.parametrize(
    'setting', [setting for setting in SETTINGS if setting is not ORACLE_SETTING], ids=str
)
@pytest.mark.parametrize('target', TARGETS)
def test_the_same_as_on_aiohttp(setting: Setting, target: str) -> None:
    original, ours = ask(ORACLE_SETTING, target), ask(setting, target)
    assert set(original) <= set(ours)
    assert isinstance(ours['http_cookies'], Mapping)
    assert {key: type(ours[key]) for key in original if key != 'http_cookies'} == {
        key: type(original[key]) for key in original if key != 'http_cookies'
    }
    originals, mine = comparable(original), comparable(ours)
    assert {key: mine[key] for key in originals} == originals
    assert originals['http_cookies'] == {'name': 'Joe', 'token': 'quoted value', 'empty': ''}
