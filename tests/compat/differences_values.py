"""Results that serverwamp 2.0.0 can't send, or sends in another form: our answers, by subprotocol and server.

The original has three ways to write a message: the standard library's JSON (aiohttp, unbatched), orjson (the other
JSON) and msgpack. We have one for JSON and one for MessagePack, on every transport.
"""

from typing import Any

from compat.steps import BATCHED_JSON, BATCHED_MSGPACK, JSON, MSGPACK

# Where the original writes JSON by the standard library, by orjson, and where it writes MessagePack.
STDLIB = (JSON,)
ORJSON = (BATCHED_JSON, f'asgi {JSON}', f'asgi {BATCHED_JSON}')
ANY_JSON = (*STDLIB, *ORJSON)
ANY_MSGPACK = (MSGPACK, BATCHED_MSGPACK, f'asgi {MSGPACK}', f'asgi {BATCHED_MSGPACK}')
EVERYWHERE = (*ANY_JSON, *ANY_MSGPACK)

ERROR = [8, 48, 1, {}, 'wamp.error.runtime_error']
HUGE = 2**70

# By row of the differences: the value's name, our answer, and where the original gives another.
ANSWERS: dict[int, list[tuple[str, Any, tuple[str, ...]]]] = {
    13: [
        ('unserializable', ERROR, EVERYWHERE),
        ('unserializable_kwargs', ERROR, EVERYWHERE),
        ('unserializable_error', ERROR, EVERYWHERE),
        ('tuple_keys', ERROR, ANY_JSON),
        ('lone_surrogate', ERROR, EVERYWHERE),
        ('result_str', [50, 1, {}, ['ab']], EVERYWHERE),
        ('bad_error', ERROR, EVERYWHERE),
        ('huge', ERROR, ANY_MSGPACK),
        ('negative_huge', ERROR, ANY_MSGPACK),
        ('huge', [50, 1, {}, [HUGE]], ORJSON),
        ('negative_huge', [50, 1, {}, [-HUGE]], ORJSON),
        ('integer_keys', [50, 1, {}, [], {'a': {'1': 2}}], ORJSON),
        ('top_integer_keys', [50, 1, {}, [], {'1': 2}], ORJSON),
        ('range', [50, 1, {}, [0, 1, 2]], EVERYWHERE),
        ('userlist', [50, 1, {}, [1, 2]], EVERYWHERE),
        ('deque', [50, 1, {}, [1]], EVERYWHERE),
        ('userdict', [50, 1, {}, [], {'a': 1}], EVERYWHERE),
        # JSON has no such numbers: what the standard library writes for them no JSON parser of a browser reads.
        ('nan', [50, 1, {}, [None]], STDLIB),
        ('infinity', [50, 1, {}, [None]], STDLIB),
    ],
    18: [
        ('bytes', [50, 1, {}, ['\0AP8=']], STDLIB),
        ('empty_bytes', [50, 1, {}, ['\0']], STDLIB),
        ('bytearray', [50, 1, {}, ['\0YWJj']], STDLIB),
        ('nested_bytes', [50, 1, {}, ['\0AQ==', {'k': '\0Ag=='}]], STDLIB),
        ('memoryview', [50, 1, {}, ['\0YWJj']], ANY_JSON),
    ],
}  # fmt: skip
REASONS = {
    13: 'a result that the original cannot write, or not so that everybody can read it',
    18: 'bytes in JSON, on every transport',
}
