"""Prints the config stream of a directory as the original makes it, as a JSON list of commands.

Usage: original_stream.py FAIL2BAN_CLIENT DIRECTORY
"""

import ast
import json
import subprocess
import sys

dump = subprocess.run(
    [sys.executable, sys.argv[1], "-c", sys.argv[2], "-d"],
    stdout=subprocess.PIPE,
    check=True,
).stdout.decode()
commands = [ast.literal_eval(line) for line in dump.splitlines() if line.startswith("[")]
json.dump(commands, sys.stdout)
