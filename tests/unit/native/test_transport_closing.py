"""The Close frames that the server sends (RFC 6455, 5.5.1 and 7.4)."""

import pytest
from support.raw_client import make_app, serving


@pytest.mark.parametrize(
    ('reason', 'sent'),
    [
        ('', b''),
        ('x' * 123, b'x' * 123),
        ('x' * 124, b'x' * 123),
        ('x' * 122 + 'ü', b'x' * 122),
        ('x' * 121 + 'ü' + 'y', b'x' * 121 + 'ü'.encode()),
        ('x' * 121 + '\U0001f600', b'x' * 121),
        ('x' * 120 + '\U0001f600', b'x' * 120),
        ('\U0001f600' * 40, ('\U0001f600' * 30).encode()),
        ('ü' * 500, ('ü' * 61).encode()),
    ],
)
def test_a_long_reason_is_cut_between_two_characters(run, reason: str, sent: bytes) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect()
            (connection,) = server.connections
            connection.start_close(4000, reason)
            assert await client.expect_close(4000) == sent

    run(main())


@pytest.mark.parametrize('code', [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 1 << 40])
def test_codes_that_must_not_be_sent_are_refused(run, code: int) -> None:
    async def main() -> None:
        async with serving(make_app()) as server:
            client = await server.connect()
            (connection,) = server.connections
            with pytest.raises(ValueError, match=str(code)):
                connection.start_close(code)
            assert not connection.is_closed
            connection.start_close(1000)
            await client.expect_close(1000)

    run(main())
