"""Asks Python's `re` what the reference's filters match: a sample of its regexes and texts.

Arguments: the directory with the configuration, that with the sample logs, a seed, and how many
texts to try per regex. Every filter is set up as the original sets it up, its regexes are taken as
it compiled them. Texts are the sample lines without their dates, what prefregexes let through of
them, and variations. Prints a JSON object per regex: {"pattern", "multiline", "texts": [TEXT, ...],
"found": [[[START, END] or null, ...] or null, ...]}, places counted in bytes of UTF-8.
"""

import json
import os
import random
import re
import signal
import sys

from fail2ban.client.filterreader import FilterReader
from fail2ban.server.filter import Filter

CONFIG, LOGS, SEED, COUNT = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
# Seconds after which Python is not waited for: some of its searches would take years.
PATIENCE = 0.1
STRANGE = ["é", "K", "ſ", "İ", "\u2003", "\x1c", "\u0301", "½", "٣", "\x00", "\t", "\"", "'", "["]


class TooLong(Exception):
    pass


def give_up(_signal, _frame):
    raise TooLong


def set_up(name):
    reader = FilterReader(name, "jail", {}, basedir=CONFIG, share_config={})
    reader.read()
    reader.getOptions({})
    found = Filter(None)
    for _, _, option, value, *_ in reader.convert():
        values = value if isinstance(value, list) else [value]
        if option == "prefregex":
            found.prefRegex = value
        elif option == "maxlines":
            found.setMaxLines(value)
        elif option == "datepattern":
            found.setDatePattern(value)
        elif option == "addfailregex":
            for one in values:
                found.addFailRegex(one)
        elif option == "addignoreregex":
            for one in values:
                found.addIgnoreRegex(one)
    return found


def texts_of(path, found):
    """The lines of a sample log as the filter would search them."""
    if not os.path.exists(path):
        return []
    texts = []
    with open(path, encoding="utf-8", errors="replace", newline="\n") as log:
        for line in log:
            line = line.rstrip("\r\n")
            if not line or line.startswith("#"):
                continue
            match, _ = found.dateDetector.matchTime(line)
            if match:
                line = line[: match.start(1)] + line[match.end(1) :]
            texts.append(line + "\n")
    return texts


def vary(text, chance):
    """The text with something about it changed."""
    at = chance.randrange(len(text))
    return chance.choice(
        [
            lambda: text[:at] + chance.choice(STRANGE) + text[at:],
            lambda: text[:at] + chance.choice(STRANGE) + text[at + 1 :],
            lambda: text[:at] + text[at + 1 :],
            lambda: text[:at] + "\n",
            lambda: text.swapcase(),
            lambda: text[:at] + text[at:].upper(),
        ]
    )()


def search(regex, text):
    """Spans of all groups; raises TooLong."""
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        found = regex.search(text)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if not found:
        return None
    spans = (found.span(group) for group in range(regex.groups + 1))
    return [None if start < 0 else [place(text, start), place(text, end)] for start, end in spans]


def place(text, at):
    return len(text[:at].encode())


def main():
    signal.signal(signal.SIGALRM, give_up)
    chance = random.Random(SEED)
    regexes, texts, own = {}, {}, {}
    for file in sorted(os.listdir(os.path.join(CONFIG, "filter.d"))):
        name, kind = os.path.splitext(file)
        if kind != ".conf" or name.endswith("common"):
            continue
        found = set_up(name)
        lines = texts_of(os.path.join(LOGS, name), found)
        prefix = found.prefRegex and found._Filter__prefRegex
        compiled = found._Filter__failRegex + found._Filter__ignoreRegex
        for text in list(lines) if prefix else []:
            try:
                match = prefix._regexObj.search(text)
            except TooLong:
                continue
            if match and match.groupdict().get("content"):
                lines.append(match.group("content") + "\n")
        for regex in compiled + ([prefix] if prefix else []):
            regex = regex._regexObj
            regexes[(regex.pattern, regex.flags)] = regex
            own.setdefault((regex.pattern, regex.flags), []).extend(lines)
        texts.update(dict.fromkeys(lines))
    texts = sorted(texts)
    for key in sorted(regexes):
        regex = regexes[key]
        mine = sorted(set(own[key]))
        some = chance.sample(mine, min(len(mine), COUNT // 2))
        some += [vary(chance.choice(mine or texts), chance) for _ in range(COUNT // 4)]
        some += chance.sample(texts, min(len(texts), COUNT - len(some)))
        tried, found = [], []
        for text in some:
            try:
                spans = search(regex, text)
            except TooLong:
                continue
            tried.append(text)
            found.append(spans)
        multiline = bool(regex.flags & re.MULTILINE)
        print(json.dumps({"pattern": regex.pattern, "multiline": multiline, "texts": tried, "found": found}))


main()
