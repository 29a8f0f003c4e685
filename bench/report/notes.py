"""What one has to know to read the figures; all reports carry it."""

NOTES = (
    'Server and load generator run on one machine, over the loopback interface, each on a core of its own where there '
    'are two (see pinning). Rounds alternate between the servers, so that what else the machine does hits all of them, '
    'and a round begins when the server before takes no CPU time any more. The value is the median of the rounds, the '
    'ratio is to serverwamp 2.0.0 on aiohttp and uvloop in the same scenario; more than 1 is better. Only ratios of '
    'one run mean anything.',
    'The load is closed: each connection has a fixed number of calls in flight, and makes the next one when an answer '
    'has come; a round is not over before as many answers have come as calls are in flight, twice. Latencies are '
    'those of a server that is kept busy. The load generator sends what is due on a connection at once: with 16 calls '
    'in flight, a server that answers 16 in one write gets the next 16 in one segment, and so stays in step with its '
    'client. That suits servers that collect their answers; "each sent on its own" shows the same without it.',
    'Every answer is checked: id, content, subscription, order of events, one id for one publication, number of '
    'progress reports. A round with a wrong or missing answer has failed, and is shown as failed; a goal is not '
    'reached where rounds failed. The latency of an event is the time from the call that publishes, or the whole '
    'burst of it, to the event: with many subscribers it is mostly that of those who come before.',
    'The payload is always the same text of letters and digits, in which nothing has to be escaped, and frames are '
    'all masked with the same key: a server has to undo the mask and to decode all the same.',
    '"server busy" and "load busy" are CPU time of the two over the time of the round, medians. Where the load '
    'generator took nearly all of its core, the figure is marked: the server could have done more. Where neither '
    'was busy, the two waited for each other, or something else on the machine took their time. CPU time per '
    'operation, user and system time of the server from /proc, depends less on what else runs on the machine, and not '
    'on the load generator; it is counted in ticks of 10 ms, so that rounds of less than a second are off by some %.',
    'Memory is the growth of the resident set (VmRSS) between the first 100 sessions and the last, for each session. '
    "What the kernel holds for a socket is not in it. The plain echo servers don't speak WAMP: they show what the "
    'WebSocket library costs; the floors in C are what the system calls cost.',
)
