"""Has the original's actions carry out a scenario and tells what it logged.

Reads JSON from standard input: {"jail": NAME, "level": N, "steps": [STEP, ...]}; writes a JSON
list with one entry per step: {"log": ["TARGET LEVEL MESSAGE", ...], "observed": TEXT}.

A step is {"do": WHAT, ...}:
  command   words: a command of the config stream that concerns actions
  start, stop, check
  ban       ticket: {id, time, failures, matches, fields, bantime, bancount, restored}
  again     the same id once more
  prolong, unban   id
  flush
  reload    begin: true or false
  get       action, property: the value (or the error) is logged
  call      action, method, arguments: likewise
  names     action: its properties and methods are logged
  fresh     all is forgotten, the next steps have a jail of their own
and any step may have "observe": a shell command whose output is recorded after it, and "before":
one that is run before it.
"""

import json
import logging
import subprocess
import sys

from fail2ban.server.actions import Actions
from fail2ban.server.ipdns import IPAddr
from fail2ban.server.jail import Jail
from fail2ban.server.ticket import BanTicket


class Recorder(logging.Handler):
    def __init__(self):
        super().__init__(level=1)
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.name} {record.levelname} {record.getMessage()}")


def make_ticket(spec):
    data = dict(spec.get("fields", {}))
    data["failures"] = spec.get("failures", 0)
    # lines in parts are tuples, but lists when they come from the database
    parts = list if spec.get("restored") else tuple
    matches = [parts(line) if isinstance(line, list) else line for line in spec.get("matches", [])]
    ticket = BanTicket(spec["id"], spec.get("time"), matches, data=data)
    ticket.setBanTime(spec.get("bantime"))
    # the ban itself counts one more
    ticket.setBanCount(spec.get("bancount", 1) - 1)
    ticket.restored = spec.get("restored", False)
    return ticket


class Scenario:
    def __init__(self, jail):
        self.jail = Jail(jail, "polling")
        self.actions = self.jail.actions
        self.tickets = {}

    def command(self, step):
        words = step["words"]
        if words[2] == "addaction":
            # behind the name: a Python file and its arguments
            python = (words[4], json.loads(words[5])) if len(words) > 4 else ()
            try:
                self.actions.add(words[3], *python, reload=hasattr(self.actions, "_reload_actions"))
            except Exception as error:
                logging.getLogger("fail2ban.reply").error(repr(error))
        elif words[2] == "action":
            for name, value in words[4]:
                setattr(self.actions[words[3]], name, value)

    def fresh(self, _step):
        self.__init__(self.jail.name)

    def start(self, _step):
        for name, action in self.actions._actions.items():
            try:
                action.start()
            except Exception as error:
                logging.getLogger("fail2ban.actions").error(
                    "Failed to start jail '%s' action '%s': %s",
                    self.jail.name, name, error,
                )

    def ban(self, step):
        ticket = make_ticket(step["ticket"])
        self.tickets[step["ticket"]["id"]] = ticket
        self.actions._Actions__checkBan([ticket])

    def again(self, step):
        ticket = make_ticket(step["ticket"])
        self.actions._Actions__checkBan([ticket])

    def prolong(self, step):
        self.actions._prolongBan(self.tickets[step["id"]])

    def unban(self, step):
        ticket = self.actions.banManager.getTicketByID(IPAddr(step["id"]))
        if ticket is not None:
            self.actions._Actions__unBan(ticket)

    def check(self, _step):
        for action in self.actions._actions.values():
            action.consistencyCheck()

    def reload(self, step):
        self.actions.reload(begin=step["begin"])

    def get(self, step):
        try:
            action = self.actions[step["action"]]
            shown = repr(getattr(action, step["property"]))
        except Exception as error:
            shown = repr(error)
        logging.getLogger("fail2ban.reply").error(shown)

    def call(self, step):
        try:
            action = self.actions[step["action"]]
            shown = repr(getattr(action, step["method"])(**step["arguments"]))
        except Exception as error:
            shown = repr(error)
        logging.getLogger("fail2ban.reply").error(shown)

    def names(self, step):
        action = self.actions[step["action"]]
        names = [name for name in dir(action) if not name.startswith("_")]
        for wanted in (False, True):
            chosen = [name for name in names if callable(getattr(action, name)) == wanted]
            logging.getLogger("fail2ban.reply").error(repr(chosen))

    def flush(self, _step):
        self.actions._Actions__flushBan()

    def stop(self, _step):
        self.actions._Actions__flushBan(stop=True)
        self.actions.stopActions()


def main():
    request = json.load(sys.stdin)
    recorder = Recorder()
    root = logging.getLogger("fail2ban")
    scenario = Scenario(request["jail"])
    root.handlers[:] = [recorder]
    root.setLevel(request["level"])
    answers = []
    for step in request["steps"]:
        if "before" in step:
            subprocess.run(step["before"], shell=True, check=False)
        recorder.lines = []
        getattr(scenario, step["do"])(step)
        observed = ""
        if "observe" in step:
            observed = subprocess.run(
                step["observe"], shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            ).stdout.decode("utf-8", "replace")
        answers.append({"log": recorder.lines, "observed": observed})
    json.dump(answers, sys.stdout)


main()
