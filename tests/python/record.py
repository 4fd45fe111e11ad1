"""An action that logs what it is told, for both servers."""

from fail2ban.helpers import getLogger
from fail2ban.server.actions import ActionBase

LATE = ("ip-host", "raw-ticket")


class Recorder(ActionBase):

    norestored = True
    limit = 3

    def __init__(self, jail, name, where=None, **others):
        super(Recorder, self).__init__(jail, name)
        self.where = where
        self._note("made", jail.name, name, where, sorted(others.items()))

    def _note(self, *what):
        getLogger("recorder." + self._name).info("%s", " ".join(repr(item) for item in what))

    def start(self):
        self._note("start", self._jail.actions.getBanTime())
        self._logSys.notice("a notice\nof two lines")

    def stop(self):
        self._note("stop")

    def ban(self, aInfo):
        self._note("ban", [(key, aInfo[key]) for key in aInfo if key not in LATE])
        self._note(len(aInfo), "ip" in aInfo, "nothing" in aInfo, aInfo.get("nothing", "none"))
        address = aInfo["ip"]
        self._note(str(address), "at " + str(address), address == aInfo["fid"], address.familyStr,
                   address.isIPv4, address.getPTR())
        if aInfo["failures"] == 66:
            raise ValueError("no ban of %s" % address)
        if aInfo["failures"] == 67:
            {}["key"]
        if aInfo["failures"] == 68:
            open("/nonexistent/file")

    def unban(self, aInfo):
        aInfo["own"] = aInfo["failures"]
        self._note("unban", aInfo["ip"], aInfo["own"], aInfo["F-*"])

    @property
    def _prolongable(self):
        return True

    def prolong(self, aInfo):
        self._note("prolong", aInfo["ip"], aInfo["bantime"])

    def consistencyCheck(self, beforeRepair=None):
        self._note("check", beforeRepair is None or beforeRepair())
        self.banEpoch = self._jail.actions.banEpoch = self._jail.actions.banEpoch + 1

    banEpoch = 0

    def answer(self, text="nothing", number=0):
        return "%s %r" % (text, number)

    def pair(self):
        return ("a", 1)


Action = Recorder
