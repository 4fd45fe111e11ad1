# The action, and what the server wants of it.

import importlib.machinery
import json
import logging
import os
import traceback
import types


class Host:
    """The action and the requests about it."""

    def __init__(self):
        self.action = None
        self.jail = None
        self.info = None

    def load(self, request):
        path = request["path"]
        name = os.path.splitext(os.path.basename(path))[0]
        loader = importlib.machinery.SourceFileLoader(name, path)
        module = types.ModuleType(name)
        loader.exec_module(module)
        if not hasattr(module, "Action"):
            raise RuntimeError("%s module does not have 'Action' class" % path)
        if not issubclass(module.Action, ActionBase):
            raise RuntimeError(
                "%s module %s does not implement required methods" % (path, module.Action.__name__)
            )
        self.jail = Jail(request["jail"])
        self.around(request)
        self.action = module.Action(self.jail, request["name"], **unpack(request["arguments"]))
        return None

    def around(self, request):
        """What the server knows and the action may ask for."""
        if self.jail is not None:
            self.jail.actions.banEpoch = request["epoch"]
            self.jail.actions.bantime = request["bantime"]

    def call(self, request):
        """A method, with a ticket or with arguments by name."""
        method = getattr(self.action, request["method"])
        if "values" not in request:
            return method(**unpack(request["arguments"]))
        self.info = ActionInfo(request["values"], request["known"])
        for key in request["asked"]:
            self.info.ask(key)
        self.info.data = {key: self.info.data[key] for key in request["order"]}
        return method(self.info)

    def check(self, request):
        """`consistencyCheck`; `refusal` is said where a repair must not be tried."""

        def may_repair():
            if request["refusal"] and not getattr(self.action, "actionrepair_on_unban", None):
                getLogger("fail2ban.actions").error("%s", request["refusal"])
                return False
            return True

        return self.action.consistencyCheck(*((may_repair,) if request["flush"] else ()))

    def set(self, request):
        """Sets an attribute; when it is a method calls it with arguments in JSON."""
        name, value = request["attribute"], unpack(request["value"])
        if callable(getattr(self.action, name, None)):
            return getattr(self.action, name)(**json.loads(value))
        setattr(self.action, name, value)
        return getattr(self.action, name)

    def get(self, request):
        return getattr(self.action, request["attribute"])

    def names(self, request):
        names = (name for name in dir(self.action) if not name.startswith("_"))
        wanted = request["methods"]
        return [name for name in names if callable(getattr(self.action, name)) == wanted]

    def state(self):
        """What the server has to know of the action after each request."""
        action = self.action
        if action is None:
            return {}
        has = lambda name: callable(getattr(action, name, None))
        own_unban = getattr(type(action), "unban", None) is not ActionBase.unban
        limit = getattr(action, "calltimeout", None)
        return {
            "norestored": bool(getattr(action, "norestored", False)),
            # who tells others of a ban needs the one as the other
            "noremote": bool(getattr(action, "noremote", getattr(action, "norestored", False))),
            "prolongs": bool(getattr(action, "_prolongable", False)),
            "flushes": has("flush"),
            "checks": has("consistencyCheck"),
            "reloads": has("reload"),
            "clears": has("clearAllParams"),
            "lifts": own_unban,
            "limit": limit if isinstance(limit, (int, float)) and limit > 0 else None,
            "epoch": pack(getattr(action, "banEpoch", 0)),
            "jail_epoch": pack(self.jail.actions.banEpoch),
        }

    def answer(self, request):
        logging.getLogger("fail2ban").setLevel(request["level"])
        self.info = None
        self.around(request)
        try:
            answer = {"done": pack(getattr(self, request["do"])(request))}
        except BaseException as error:  # an action that calls sys.exit() must not end quietly
            answer = {"failed": failure(error)}
        if self.info is not None:
            self.info.over = True
            answer["looked_at"] = [key for key in self.info.data if key in self.info.storage]
            answer["changed"] = self.info.changed
            answer["info"] = pack(repr(self.info))
        answer["state"] = self.state()
        return answer


def failure(error):
    """An exception, with those frames of its trace that are not of this program."""
    arguments = error.args
    if isinstance(error, OSError) and error.filename is not None and len(arguments) == 2:
        arguments += (error.filename,)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != "<string>"]
    trace = ["Traceback (most recent call last):\n", *traceback.format_list(frames)]
    trace += traceback.format_exception_only(type(error), error)
    return {
        "module": type(error).__module__,
        "class": type(error).__name__,
        "arguments": pack(list(arguments)),
        "text": pack(str(error)),
        "trace": pack("".join(trace).rstrip()),
    }


def main():
    add_levels()
    logger = logging.getLogger("fail2ban")
    logger.addHandler(Records())
    logger.propagate = False
    offer_modules()
    host = Host()
    while True:
        try:
            request = channel.read()
        except (EOFError, KeyboardInterrupt):
            return
        channel.send(host.answer(request))


main()
