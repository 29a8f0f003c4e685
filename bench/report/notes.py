"""What one has to know to read the figures; all reports carry it."""

NOTES = (
    'Server and load generator run on one machine, over the loopback interface, each on a core of its own. Rounds '
    'alternate between the servers, so that what else the machine does hits all of them. The value is the median of '
    'the rounds, the ratio is to serverwamp 2.0.0 on aiohttp and uvloop in the same scenario; more than 1 is better. '
    'Only ratios of one run mean anything.',
    'The load is closed: each connection has a fixed number of calls in flight, and makes the next one when an answer '
    'has come; a round is not over before as many answers have come as calls are in flight, twice. Latencies are '
    'those of a server that is kept busy. Every answer is checked: id, content, order of events, number of progress '
    'reports. A round with a wrong or missing answer has failed, and is shown as failed.',
    'The load generator masks all its frames with the same key, and sends the same payload each time; a server has '
    'to undo the mask and to decode all the same. Where it took nearly all of its core, the figure is marked: the '
    'server could have done more. CPU time per operation, user and system time of the server from /proc, depends '
    'less on what else runs on the machine.',
    'Memory is the growth of the resident set (VmRSS) between the first 100 sessions and the last, for each session. '
    "What the kernel holds for a socket is not in it. The plain echo servers don't speak WAMP: they show what the "
    'WebSocket library costs; the echo in C is what the system calls cost.',
)
