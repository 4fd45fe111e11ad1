"""Calls fail2ban-regex of the original many times in one process.

Reads a JSON list of lists of arguments from the file it is given, and prints a JSON list with what
each call writes to standard output.
"""

import contextlib
import io
import json
import sys

from fail2ban.client import fail2banregex

answers = []
for words in json.load(open(sys.argv[1], encoding="UTF-8")):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        fail2banregex.exec_command_line(words)
    answers.append(text.getvalue())
print(json.dumps(answers))
