"""Runs one action that is written in Python, for Ferroban.

Requests come in on standard input, answers go out on standard output, one JSON text a line. While a
method of the action runs, its log records and its questions about the ticket go out too.

Action files import names of fail2ban; those that actions use are offered here, so that fail2ban need
not be installed.
"""

import sys

# what lies in the directory the server happens to stand in is not to be imported
sys.path[:] = [place for place in sys.path if place]

import json
import os
import threading


class Channel:
    """The two pipes to the server; an action that prints or reads does not get into them."""

    def __init__(self):
        self._requests = os.fdopen(os.dup(0), encoding="utf-8")
        self._answers = os.fdopen(os.dup(1), "w", encoding="ascii")
        self._lock = threading.Lock()
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)

    def read(self):
        line = self._requests.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def send(self, message):
        text = json.dumps(message) + "\n"
        with self._lock:
            self._answers.write(text)
            self._answers.flush()

    def ask(self, kind, text):
        """A question to the server; it listens to them only while it waits for an answer itself."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("cannot look up %r outside of the action's methods" % text)
        self.send({"ask": [kind, text]})
        return unpack(self.read()["answer"])


def pack(value):
    """As JSON, which has no tuples and only text for keys; what it cannot say goes as text."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, list):
        return [pack(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [pack(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[pack(key), pack(item)] for key, item in value.items()]}
    # a lone surrogate has no place in UTF-8
    return str(value).encode("utf-8", "replace").decode("utf-8")


def unpack(value):
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict):
        if "tuple" in value:
            return tuple(unpack(item) for item in value["tuple"])
        return {unpack(key): unpack(item) for key, item in value["dict"]}
    return value


channel = Channel()
