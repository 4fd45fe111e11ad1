"""An action that dies, hangs and says too much when it is told to ban certain addresses."""

import os
import subprocess
import time

from fail2ban.server.actions import ActionBase


class Fragile(ActionBase):

    calltimeout = 1.5

    def __init__(self, jail, name):
        super().__init__(jail, name)
        self.word = "first"

    def start(self):
        self._logSys.info("start of %s", self.word)

    def ban(self, aInfo):
        last = aInfo["ip"].rsplit(".")[-1]
        if last == "1":
            os._exit(3)
        if last == "2":
            subprocess.Popen(["sleep", "123"]).wait()
        if last == "3":
            return "x" * 2000000
        print("not an answer")
        self._logSys.info("banned %s, %s", aInfo["ip"], self.word)


Action = Fragile
