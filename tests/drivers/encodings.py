"""Has the original read logs in every encoding that Python knows.

Prints a JSON list with one entry for each name of an encoding of the original's Python:
{"name": NAME, "like": NAME, "log": HEX, "lines": [TEXT, ...], "bad": [HEX, ...]}. `lines` is what
is read of the log, `bad` are the bytes of the lines that are warned of. `log` holds every byte
between letters, words in the scripts that the encoding knows, and what other programs take for the
end of a line. An alias has no log but the name that it stands for, in `like`,
which is empty where Python decodes no text by that name.
"""

import codecs
import encodings.aliases
import json
import logging
import pkgutil
import tempfile

from fail2ban.server import filter as filters

# Kept apart by blanks.
WORDS = "Zoë Łukasz Ёлка Ελλάς שלום مرحبا สวัสดี Việt 日本語 カタカナ 中文 繁體 한국어 x€y “q” \x1c \x1d \x85 \u2028 \u2029 \x0b\x0c \r."
bad = []


class Recorder(logging.Handler):
    def emit(self, record):
        if isinstance(record.args, tuple) and isinstance(record.args[0], bytes):
            bad.append(record.args[0].hex())


def is_text(name):
    try:
        return codecs.lookup(name)._is_text_encoding
    except LookupError:
        return False


def log_of(name):
    if name.startswith(("utf_16_", "utf_32_")):
        # the original loses its place where a line is empty or ends in CR LF
        return (WORDS + "\nend\n").encode(name)
    singles = b"".join(b"x" + bytes([byte]) + b"y from 192.0.2.1\n" for byte in range(256))
    known = []
    for word in WORDS.split(" "):
        try:
            known.append(word.encode(name))
        except UnicodeEncodeError:
            pass
    return singles + b" ".join(known) + b"\r\n\nlast \xff\xfe\r\n" + b"no end"


def read(log, name):
    bad.clear()
    with tempfile.NamedTemporaryFile() as file:
        file.write(log)
        file.flush()
        lines = list(filters.FileContainer(file.name, name, doOpen=True))
    return {"log": log.hex(), "lines": lines, "bad": list(bad)}


filters.logSys.setLevel(1)
filters.logSys.addHandler(Recorder())
filters.logSys.propagate = False
# these the original does not read at all
UNREAD = ("idna", "punycode", "undefined", "utf_16", "utf_32")
names = [module.name for module in pkgutil.iter_modules(encodings.__path__) if module.name not in UNREAD]
answers = []
for name in names:
    if is_text(name):
        answers.append({"name": name, "like": name} | read(log_of(name), name))
    else:
        answers.append({"name": name, "like": ""})
for alias, name in encodings.aliases.aliases.items():
    if name not in UNREAD:
        answers.append({"name": alias, "like": name if is_text(alias) else ""})
print(json.dumps(answers))
