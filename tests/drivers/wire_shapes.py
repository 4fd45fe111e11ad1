"""Sends requests that no client of fail2ban's own would send, and describes the replies.

Usage: wire_shapes.py SOCKET DIRECTORY

A line a request: protocol of the pickle, request, reply with the type of every value. DIRECTORY
is shown as DIR, in requests it may be written so.
"""

import pickle
import socket
import sys

END = b"<F2B_END_COMMAND>"
JAIL = "ok"

# words that stand alone, too few or too many for most of them
COMMANDS = (
    "ping version echo server-status status stats statistic statistics banned flushlogs sleep "
    "config-error server-stream multi-set set get PING stopx"
).split()

OPTIONS = (
    "idle ignoreself addignoreip delignoreip ignorecommand ignorecache addlogpath dellogpath "
    "logencoding addjournalmatch deljournalmatch prefregex addfailregex delfailregex "
    "addignoreregex delignoreregex usedns findtime datepattern logtimezone maxmatches maxretry "
    "maxlines bantime attempt bantime.increment bantime. banip unbanip addaction delaction action "
    "nope Maxretry"
).split()

SERVER_OPTIONS = (
    "loglevel logtarget syslogsocket allowipv6 thread dbfile dbmaxmatches dbpurgeage"
).split()

# values as people mistype them, for options that take numbers, times and truths
VALUES = (
    ["1.5", "-1", "1h 5", "", " ", "true", "1", "yes", "1e3", "1d", "1_000", "\u00e4", " 5 "]
    + ["5m-3", "1 week", "1mo", "1:30", "inf", "x" * 190]
)

TAKE_VALUES = (
    "findtime bantime maxretry maxmatches maxlines ignoreself usedns delfailregex "
    "bantime.increment bantime.overalljails logtimezone logencoding"
).split()


def requests():
    for protocol in range(6):
        yield ["status", JAIL], protocol
        yield ["echo", "a", 1, 2.5, None, True, ("t",), ["l"], {"d": 1}, -(2**40)], protocol
    yield [], 2
    for command in COMMANDS:
        for count in range(5):
            yield [command] + list("abcd")[:count], 2
    for words in (["unban"], ["reload"], ["reload", "--all"], ["add"], ["start"], ["start", "zz"]):
        yield words, 2
    for words in (["add", JAIL], ["add", "zz", "nob"], ["add", "--all"], ["stop", "zz", "x"]):
        yield words, 2
    for option in OPTIONS:
        for jail in (JAIL, "nojail"):
            for command in ("set", "get", "multi-set"):
                yield [command, jail, option], 2
            yield ["get", jail, option, "x", "y"], 2
    for option in SERVER_OPTIONS:
        yield from ((words, 2) for words in (["set", option], ["get", option, "x"], ["get", option]))
    for option in TAKE_VALUES:
        for value in VALUES:
            yield ["set", JAIL, option, value], 2
            yield ["get", JAIL, option], 2
    for words in BUNDLES:
        yield words, 2


def action(*properties):
    return ["multi-set", JAIL, "action", "a1", list(properties)]


# what configurations are sent as
BUNDLES = [
    ["set", JAIL, "usedns", "warn"],
    ["multi-set", JAIL, "addfailregex", ["^ y <HOST>", "^ z <HOST>"]],
    ["multi-set", JAIL, "addfailregex", ("^ u <HOST>",)],
    ["multi-set", JAIL, "addfailregex", []],
    ["multi-set", JAIL, "addfailregex", ["^ ok <HOST>", "^ bad (<HOST>", "^ never <HOST>"]],
    ["get", JAIL, "failregex"],
    ["multi-set", JAIL, "addignoreregex", ["^ y", "^ z"]],
    ["multi-set", JAIL, "addignoreregex", ["("]],
    ["get", JAIL, "ignoreregex"],
    action(["actionban", "echo <x>"], ["x", "1"]),
    action(),
    action(("y", 2), ["z", None], ["w", 1.5], ["v", True], ["u", ["l", 1]]),
    *(["get", JAIL, "action", "a1", name] for name in ("x", "y", "z", "w", "v", "u")),
    action(["timeout", "10"], ["timeout", "x"]),
    action(["actionban"]),
    action([]),
    ["get", JAIL, "action", "a1", "timeout"],
    ["get", JAIL, "actionproperties", "a1"],
    ["multi-set", JAIL, "action", "zz", [["a", "b"]]],
    ["multi-set", "nojail", "action", "a1", [["a", "b"]]],
    ["multi-set", JAIL, "maxretry", "5"],
    ["multi-set", "loglevel", "INFO"],
    ["set", JAIL, "maxretry", "x" * 300],
    ["server-stream", [["set", JAIL, "maxretry", 6], ["foo"], ["set", JAIL, "maxretry", 7]]],
    ["get", JAIL, "maxretry"],
    ["server-stream", []],
    ["server-stream", ()],
    ["server-stream", [[]]],
    ["server-stream", ["ping"]],
    ["server-stream", [["ping"], ["echo", "a"]], "x"],
    ["server-stream", [("set", JAIL, "maxretry", "8"), ["set", "nojail", "maxretry", "8"]]],
    ["get", JAIL, "maxretry"],
    ["set", JAIL, "ignorecache", " 5 "],
    ["set", JAIL, "ignorecache", "9" * 30],
    ["set", JAIL, "ignorecache", 'key="<ip>" max-count=5'],
    ["set", JAIL, "ignorecache", "key='a,b', max-count=1,max-time=1h 5"],
    ["get", JAIL, "ignorecache"],
    ["set", JAIL, "ignorecache", "key=<ip>]"],
    ["set", JAIL, "addlogpath", "DIR/no\udce4x"],
    ["set", JAIL, "banip", "", " ", "1.1.1.1\n2.2.2.2", "a" * 500, "\u00e4"],
    ["get", JAIL, "banip"],
    ["banned", "\u00e4", "5"],
    ["unban", "--all"],
]


def shape(value):
    kind = type(value).__name__
    if isinstance(value, SyntaxError):
        # Python takes its place apart
        return f"{kind}({value})"
    if isinstance(value, BaseException):
        return f"{type(value).__module__}.{kind}({', '.join(map(shape, value.args))})"
    if isinstance(value, (list, tuple)):
        return f"{kind}[{', '.join(map(shape, value))}]"
    if isinstance(value, dict):
        pairs = (f"{shape(key)}: {shape(item)}" for key, item in value.items())
        return f"{kind}{{{', '.join(pairs)}}}"
    return f"{kind} {value!r}"


def ask(path, request, protocol):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(pickle.dumps(request, protocol) + END)
        reply = b""
        while not reply.endswith(END):
            piece = client.recv(65536)
            if not piece:
                return "closed"
            reply += piece
    return shape(pickle.loads(reply[: -len(END)]))


path, directory = sys.argv[1:]
for request, protocol in requests():
    there = [word.replace("DIR", directory) if isinstance(word, str) else word for word in request]
    told = ask(path, there, protocol).replace(directory, "DIR")
    print(f"{protocol} {request!r} -> {told}".encode("ascii", "backslashreplace").decode())
