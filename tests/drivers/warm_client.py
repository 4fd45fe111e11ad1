"""Runs the original's client many times without starting Python each time.

Usage: warm_client.py FAIL2BAN_CLIENT

Reads a JSON list of arguments a line. Each run is a process of its own, forked when everything is
imported. Answers a JSON list a line: exit code, standard output, standard error, bytes as Latin-1.
"""

import json
import os
import sys
import tempfile

from fail2ban.client.fail2banclient import exec_command_line


def run(arguments, out, err):
    """In the child: the client, from arguments to exit code."""
    for file, number in ((open(os.devnull), 0), (out, 1), (err, 2)):
        os.dup2(file.fileno(), number)
    code = 0
    try:
        exec_command_line(arguments)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    for stream in (sys.stdout, sys.stderr):
        # the client closes them at its end
        if not stream.closed:
            stream.flush()
    os._exit(code & 0xFF)


for line in sys.stdin:
    arguments = [sys.argv[1]] + json.loads(line)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            run(arguments, out, err)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("latin-1"))
    print(json.dumps([status] + texts), flush=True)
