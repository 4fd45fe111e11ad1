"""Has a jail of the original judge failures at given times and tells what it decided.

Reads JSON from standard input: a list of runs {"settings": [[NAME, VALUE], ...], "steps": [STEP]};
writes a JSON list of lists with one entry per step: {"log": ["TARGET LEVEL MESSAGE", ...],
"bans": [[ID, FAILURES, [MATCH, ...]], ...], "banned": ["ID <TAB>START + SECS = END", ...],
"counts": [[NOW, EVER], [NOW, EVER]], "reply": VALUE}.

A step is {"at": TIME, "do": WHAT, ...}:
  fail     id, time, line: a failure that a filter found
  attempt  id, lines
  banip, unbanip   ids
  tick     nothing but the passing of time
  bantime  value
Threads do not run: their work is done here, in order, so that every run gives the same result.
"""

import json
import logging
import sys

from fail2ban.server.database import Fail2BanDb
from fail2ban.server.ipdns import DNSUtils, IPAddr
from fail2ban.server.jail import Jail
from fail2ban.server.mytime import MyTime
from fail2ban.server.observer import Observers, ObserverThread


class Recorder(logging.Handler):
    def __init__(self):
        super().__init__(level=1)
        self.lines = []

    def emit(self, record):
        if record.levelno >= logging.INFO or record.getMessage().endswith(" already banned"):
            self.lines.append(f"{record.name} {record.levelname} {record.getMessage()}")


class Queue:
    """Stands for the observer's thread."""

    def __init__(self):
        self.observer = ObserverThread()
        self.observer.add_timer = lambda *_: None
        self.events = []

    def add(self, *event):
        self.events.append(event)

    def work(self):
        worked = bool(self.events)
        while self.events:
            name, *arguments = self.events.pop(0)
            getattr(self.observer, name)(*arguments)
        return worked


class Action:
    """Notes what it is told."""

    norestored = False

    def __init__(self):
        self.bans = []

    def ban(self, info):
        self.bans.append([str(info["fid"]), info["failures"], info["matches"].splitlines()])

    def unban(self, info):
        pass


class Run:
    def __init__(self, settings, recorder):
        self.recorder = recorder
        self.now = 1_600_000_000.0
        MyTime.setTime(self.now)
        Observers.Main = self.queue = Queue()
        self.jail = Jail("j", "polling", Fail2BanDb(":memory:"))
        self.jail.database.addJail(self.jail)
        self.jail.isAlive = lambda: True
        self.action = Action()
        self.jail.actions._actions["note"] = self.action
        self.jail.filter.ignoreSelf = False
        for name, value in settings:
            self.set(name, value)
        recorder.lines.clear()

    def set(self, name, value):
        jail = self.jail
        if name.startswith("bantime."):
            jail.setBanTimeExtra(name[len("bantime."):], value)
            return
        {
            "maxretry": lambda: jail.filter.setMaxRetry(value),
            "findtime": lambda: jail.filter.setFindTime(value),
            "bantime": lambda: jail.actions.setBanTime(value),
            "maxmatches": lambda: setattr(jail.filter.failManager, "maxMatches", value),
            "ignoreip": lambda: jail.filter.addIgnoreIP(value),
        }[name]()

    def settle(self):
        """Lets all threads do what there is to do, bans before the observer's work."""
        worked = True
        while worked:
            while self.jail.hasFailTickets:
                self.jail.actions._Actions__checkBan()
            worked = self.queue.work()

    def step(self, step):
        filter_, actions = self.jail.filter, self.jail.actions
        self.now = step["at"]
        MyTime.setTime(self.now)
        filter_.performSvc(force=True)
        while actions._Actions__checkUnBan(100000):
            pass
        reply = None
        what = step["do"]
        if what == "fail":
            found = [0, IPAddr(step["id"]), step["time"], {"matches": [step["line"]]}]
            filter_.processLine = lambda *_: [found]
            filter_.processLineAndAdd("line")
        elif what == "attempt":
            reply = filter_.addAttempt(step["id"], *step["lines"])
        elif what == "banip":
            reply = actions.addBannedIP(step["ids"])
        elif what == "unbanip":
            reply = actions.removeBannedIP(step["ids"], ifexists=True)
        elif what == "bantime":
            before = self.recorder.lines[:]
            self.set("bantime", step["value"])
            self.recorder.lines[:] = before
        self.settle()
        result = {
            "log": self.recorder.lines[:],
            "bans": self.action.bans[:],
            "banned": actions.getBanList(withTime=True),
            "counts": [filter_.status("stats"), actions.status("stats")],
            "reply": reply,
        }
        self.recorder.lines.clear()
        self.action.bans.clear()
        return result


# no name server is asked
DNSUtils.dnsToIp = staticmethod(lambda name: set())
recorder = Recorder()
logger = logging.getLogger("fail2ban")
logger.setLevel(logging.DEBUG)
logger.propagate = False
logger.handlers = [recorder]
results = []
for run in json.load(sys.stdin):
    state = Run(run["settings"], recorder)
    results.append([state.step(step) for step in run["steps"]])
json.dump(results, sys.stdout)
