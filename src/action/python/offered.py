# What action files import from fail2ban, as far as actions use it.

import abc
import collections.abc
import functools
import logging
import re
import socket
import subprocess
import sys
import time
import types


class Records(logging.Handler):
    """Hands log records to the server, which writes them into its log."""

    def emit(self, record):
        try:
            channel.send({"log": [record.levelno, pack(record.name), pack(self.format(record))]})
        except Exception:
            self.handleError(record)


def add_levels():
    """Levels beyond Python's own, each with a method of loggers."""
    for name, number in (("notice", 25), ("msg", 18), ("trace", 7), ("heavydebug", 5)):
        logging.addLevelName(number, name.upper())
        setattr(logging, name.upper(), number)

        def log(self, message, *args, _number=number, **kwargs):
            if self.isEnabledFor(_number):
                self._log(_number, message, args, **kwargs)

        setattr(logging.Logger, name, log)


def getLogger(name):
    """A logger below `fail2ban`, named by the last word of the name."""
    return logging.getLogger("fail2ban." + name.rpartition(".")[2] if "." in name else name)


def formatExceptionInfo():
    kind, error = sys.exc_info()[:2]
    return kind.__name__, str(error)


def splitwords(text):
    """Words of a list separated by commas and blanks."""
    return [word for word in re.split(r"[ ,\n]+", text) if word] if text else []


def str2LogLevel(name):
    number = getattr(logging, name.upper(), None) if isinstance(name, str) else name
    if not isinstance(number, int):
        raise ValueError("Invalid log level %r" % name)
    return number


def uni_string(text):
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def uni_decode(text, enc="utf-8", errors="strict"):
    return text.decode(enc, errors) if isinstance(text, bytes) else text


class MyTime:
    """Time, and spans of it as configurations spell them (`1h 30m`)."""

    @staticmethod
    def time():
        return time.time()

    @staticmethod
    def str2seconds(text):
        return channel.ask("seconds", text) if isinstance(text, str) else text


class IPAddr(str):
    """Whom a ticket is about: an address, a network, or any other text."""

    @functools.cached_property
    def _network(self):
        import ipaddress

        try:
            return ipaddress.ip_network(self, strict=False)
        except ValueError:
            return None

    isValid = property(lambda self: self._network is not None)
    isIPv4 = property(lambda self: self.isValid and self._network.version == 4)
    isIPv6 = property(lambda self: self.isValid and self._network.version == 6)
    plen = property(lambda self: self._network.prefixlen if self.isValid else None)
    isSingle = property(
        lambda self: self.isValid and self._network.prefixlen == self._network.max_prefixlen
    )
    ntoa = property(str)
    raw = property(lambda self: "" if self.isValid else str(self))

    @property
    def family(self):
        if not self.isValid:
            return socket.AF_UNSPEC
        return socket.AF_INET if self.isIPv4 else socket.AF_INET6

    @property
    def familyStr(self):
        return ("inet4" if self.isIPv4 else "inet6") if self.isValid else None

    def getPTR(self, suffix=None):
        """The name under which an address is looked up backwards; `suffix` replaces its end."""
        if not self.isValid:
            return ""
        if self.isIPv4:
            labels, ending = reversed(self.split(".")), "in-addr.arpa."
        else:
            labels = self._network.network_address.reverse_pointer.split(".")[:-2]
            ending = "ip6.arpa."
        return ".".join(labels) + "." + (ending if suffix is None else suffix)

    def getHost(self):
        try:
            return socket.gethostbyaddr(self)[0]
        except OSError:
            return None

    def isInNet(self, net):
        return IPAddr(net).contains(self)

    def contains(self, other):
        other = IPAddr(other)._network
        own = self._network
        return own is not None and other is not None and (
            own.version == other.version and other.subnet_of(own)
        )


class DNSUtils:
    """Names of this machine."""

    @staticmethod
    def getHostname(fqdn=True):
        return socket.getfqdn() if fqdn else socket.gethostname()


class Utils:
    """Commands that an action runs itself."""

    @staticmethod
    def executeCmd(realCmd, timeout=60, shell=True, output=False, **_):
        log = getLogger("fail2ban.utils")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": timeout}
        try:
            done = subprocess.run(realCmd, shell=shell, check=False, **pipes)
        except (OSError, subprocess.SubprocessError) as error:
            log.error("%s -- failed with %s", realCmd, error)
            return (False, b"", b"", None) if output else False
        if done.returncode:
            log.error("%s -- returned %s", realCmd, done.returncode)
        if output:
            return not done.returncode, done.stdout, done.stderr, done.returncode
        return not done.returncode


class CallingMap(collections.abc.MutableMapping):
    """A mapping whose callable values are called when they are looked at, and then remembered."""

    CM_REPR_ITEMS = ()

    def __init__(self, *args, **kwargs):
        self.data = dict(*args, **kwargs)
        self.storage = {}

    def getRawItem(self, key):
        return self.storage[key] if key in self.storage else self.data[key]

    def __getitem__(self, key):
        value = self.getRawItem(key)
        if callable(value):
            code = getattr(value, "__code__", None)
            value = value(self) if code is not None and code.co_argcount else value()
            self.storage[key] = value
        return value

    def __setitem__(self, key, value):
        self.storage[key] = value

    def __delitem__(self, key):
        self.storage.pop(key, None)
        del self.data[key]

    def __iter__(self):
        return iter(self.data)

    def __len__(self):
        return len(self.data)

    def copy(self):
        return CallingMap({**self.data, **self.storage})

    def reset(self, immutable=True):
        self.storage = {}

    def _asdict(self, calculated=False, checker=None):
        known = {}
        for key, value in {**self.data, **self.storage}.items():
            if callable(value) and (calculated or key in self.CM_REPR_ITEMS):
                try:
                    value = self[key]
                    if checker:
                        checker(value)
                except Exception:
                    pass
            if calculated or not callable(value):
                known[key] = value
        return known

    def __repr__(self):
        return "%s(%r)" % (type(self).__name__, self._asdict())


class ActionInfo(CallingMap):
    """What an action is told about a ticket."""

    CM_REPR_ITEMS = ("fid", "raw-ticket")

    def __init__(self, values, known):
        super().__init__()
        self.over = False
        self.changed = False
        for key, value in values:
            address = key in ("ip", "fid")
            value = IPAddr(value) if address else unpack(value)
            self.data[key] = functools.partial(self._value, value)
            if key in known:
                self.storage[key] = value

    def ask(self, key):
        """Makes the server work a value out when it is looked at."""
        self.data[key] = functools.partial(self._ask, key)

    def _value(self, value):
        return value

    def _ask(self, key):
        if self.over:
            raise RuntimeError("cannot look up %r outside of the action's methods" % key)
        return channel.ask("tag", key)

    def __setitem__(self, key, value):
        self.changed = True
        super().__setitem__(key, value)

    def __delitem__(self, key):
        self.changed = True
        super().__delitem__(key)

    def _asdict(self, calculated=False, checker=None):
        # texts of messages are no reason to ask anybody
        before = dict(self.storage)
        try:
            return super()._asdict(calculated, checker)
        finally:
            self.storage = before


class JailActions:
    """What actions ask of all actions of their jail."""

    def __init__(self):
        self.banEpoch = 0
        self.bantime = 600

    def getBanTime(self):
        return self.bantime


class Jail:
    """The jail of the action."""

    database = None

    def __init__(self, name):
        self.name = name
        self.actions = JailActions()

    def __repr__(self):
        return "Jail(%r)" % self.name

    __str__ = __repr__


METHODS = ("start", "stop", "ban", "reban", "unban")


class ActionBase(metaclass=abc.ABCMeta):
    """What an action is made of; those that are not of this class have the same methods."""

    @classmethod
    def __subclasshook__(cls, other):
        return all(callable(getattr(other, name, None)) for name in METHODS)

    def __init__(self, jail, name):
        self._jail = jail
        self._name = name
        self._logSys = getLogger("fail2ban." + type(self).__name__)

    def start(self):
        """The jail begins."""

    def stop(self):
        """The jail ends."""

    def ban(self, aInfo):
        """An id is banned."""

    def reban(self, aInfo):
        """An id that is banned is to be banned again, since the action was repaired."""
        return self.ban(aInfo)

    @property
    def _prolongable(self):
        return False

    def unban(self, aInfo):
        """A ban ends."""


MODULES = {
    "fail2ban": {},
    "fail2ban.helpers": {
        "formatExceptionInfo": formatExceptionInfo,
        "getLogger": getLogger,
        "splitwords": splitwords,
        "str2LogLevel": str2LogLevel,
        "uni_decode": uni_decode,
        "uni_string": uni_string,
    },
    "fail2ban.version": {"version": "1.1.1"},
    "fail2ban.server": {},
    "fail2ban.server.action": {"ActionBase": ActionBase, "CallingMap": CallingMap},
    "fail2ban.server.actions": {"ActionBase": ActionBase, "CallingMap": CallingMap},
    "fail2ban.server.ipdns": {"DNSUtils": DNSUtils, "IPAddr": IPAddr},
    "fail2ban.server.mytime": {"MyTime": MyTime},
    "fail2ban.server.utils": {"Utils": Utils},
}


def offer_modules():
    for name, content in MODULES.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        # a package, whose other parts are not there
        module.__path__ = []
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
