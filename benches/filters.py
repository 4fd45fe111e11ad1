#!/usr/bin/env python3
"""How long each shipped filter takes over a log in which nothing fails, beside `grep -E`.

usage: benches/filters.py PROGRAM [FILTER...]      PROGRAM: a built ferroban

The log of a filter has the lines of samples/filters that it does not match, again and again; grep looks
for the filter's own failregexes, as far as it can say them: what looks ahead or back is left out. Both
run in turn; what counts is the processor time of each pair, that of an empty log taken off, and the
median of the pairs. Prints a table in Markdown; the exit code is 1 where a filter takes more
than 20 times as long as grep.
"""
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile

try:
    from re import _constants as sre, _parser as parser
except ImportError:  # before Python 3.11
    import sre_constants as sre
    import sre_parse as parser

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SAMPLES = os.path.join(REPOSITORY, "samples/filters")
MEGABYTES = float(os.environ.get("MEGABYTES", "32"))
PAIRS = int(os.environ.get("PAIRS", "5"))
MOST = 20.0

TAGS = [
    (r"<(?:ADDR|HOST|IP4|IP6|SUBNET|CIDR)>", "[0-9a-fA-F:.]+"),
    (r"</?F-[A-Z_0-9]+(?:/[^<>]*)?>", ""),
    (r"<SKIPLINES>", ""),
]
CLASSES = {
    sre.CATEGORY_DIGIT: "0-9", sre.CATEGORY_SPACE: "[:space:]", sre.CATEGORY_WORD: "[:alnum:]_",
    sre.CATEGORY_NOT_SPACE: "[:graph:]", sre.CATEGORY_NOT_DIGIT: "[:alpha:][:space:][:punct:]",
    sre.CATEGORY_NOT_WORD: "[:space:][:punct:]",
}


def character(code):
    return re.sub(r"([][.*+?(){}^$|\\])", r"\\\1", chr(code))


def bracket(items):
    negated = items[0][0] is sre.NEGATE
    parts, last = "", ""
    for kind, value in items[1:] if negated else items:
        if kind is sre.LITERAL:
            text = chr(value)
            if text in "]":
                parts = text + parts
            elif text in "-^":
                last += text
            else:
                parts += text
        elif kind is sre.RANGE:
            parts += f"{chr(value[0])}-{chr(value[1])}"
        elif kind is sre.CATEGORY:
            parts += CLASSES[value]
    if parts + last == "^":
        return r"\^"
    last = last if not last.startswith("^") or parts or negated else last[1:] + "^"
    return f"[{'^' if negated else ''}{parts}{last}]"


def is_character(tree):
    """Whether it is a single character."""
    return len(tree) == 1 and tree[0][0] in (sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN)


def extended(tree):
    """A parsed expression as POSIX has it."""
    text = ""
    for kind, value in tree:
        if kind is sre.LITERAL:
            text += character(value)
        elif kind is sre.NOT_LITERAL:
            text += bracket([(sre.NEGATE, None), (sre.LITERAL, value)])
        elif kind is sre.ANY:
            text += "."
        elif kind is sre.IN:
            text += bracket(value)
        elif kind is sre.BRANCH:
            text += "(" + "|".join(extended(branch) for branch in value[1]) + ")"
        elif kind is sre.SUBPATTERN:
            text += "(" + extended(value[-1]) + ")"
        elif kind in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            least, most, what = value
            end = "" if most is sre.MAXREPEAT else most
            times = {(0, ""): "*", (1, ""): "+", (0, 1): "?"}.get((least, end), f"{{{least},{end}}}")
            what = extended(what)
            text += (what if is_character(value[2]) else f"({what})") + times
        elif kind is sre.AT and value is sre.AT_END:
            text += "$"
        # the rest looks ahead or back, or is the beginning: there stands the date
    return text


def seconds(command):
    """Processor time, and what it wrote."""
    environment = dict(os.environ, LC_ALL="C", TZ="UTC")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return user + system, done.stdout


def sample_lines(name):
    """The lines of a filter's samples: those that it is tried with when it has no options, and the others."""
    lines, others, plain = [], [], True
    with open(os.path.join(SAMPLES, name), "rb") as file:
        for line in file:
            if line.startswith(b"# filterOptions:"):
                options = json.loads(line.split(b":", 1)[1])
                plain = {} in (options if isinstance(options, list) else [options])
            elif line.strip() and not line.startswith(b"#"):
                (lines if plain else others).append(line)
    return lines, others


def measure(program, name, directory):
    log, empty, expressions = (os.path.join(directory, n) for n in ("log", "empty", "expressions"))
    filter_ = os.path.join(REPOSITORY, "filter.d", f"{name}.conf")
    regex = [program, "regex", "--no-check-all", "-c", REPOSITORY, "--usedns", "no"]
    open(empty, "wb").close()
    parts = json.loads(seconds([*regex, "--json", empty, filter_])[1])
    with open(expressions, "w", encoding="utf-8") as file:
        for source in (part["regex"] for part in parts["failregex"]):
            for tag, instead in TAGS:
                source = re.sub(tag, instead, source)
            # what spans lines is none of grep's: its last line is looked for
            print(extended(parser.parse(source.split(r"\n")[-1])), file=file)
    for lines in sample_lines(name):
        with open(log, "wb") as file:
            file.writelines(lines)
        block = seconds([*regex, "-o", "msg", "--invert", log, filter_])[1]
        if block:
            break
    else:
        return None
    count = int(MEGABYTES * 1e6 / len(block)) + 1
    with open(log, "wb") as file:
        file.write(block * count)
    pairs = []
    for _ in range(PAIRS):
        whole, found = seconds([*regex, "-o", "id", log, filter_])
        base, _ = seconds([*regex, "-o", "id", empty, filter_])
        beside, counted = seconds(["grep", "-cEf", expressions, log])
        if found:
            return None  # lines of one mail, say, that count when they come again
        if not counted.strip().isdigit():
            sys.exit(f"{name}: grep cannot take {expressions}")
        pairs.append((max(whole - base, 0.001), max(beside, 0.001)))
    megabytes = len(block) * count / 1e6
    ours, grep = (megabytes / statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    return ours, grep, statistics.median(a / b for a, b in pairs)


def main():
    program, *names = sys.argv[1:]
    slow = []
    print("| filter | MB/s | grep -E, MB/s | times grep |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as directory:
        for name in names or sorted(os.listdir(SAMPLES)):
            measured = measure(program, name, directory)
            if not measured:
                print(f"| `{name}` | | | |")
                continue
            ours, grep, ratio = measured
            print(f"| `{name}` | {ours:.0f} | {grep:.0f} | {ratio:.1f} |", flush=True)
            if ratio > MOST:
                slow.append(name)
    if slow:
        sys.exit(f"more than {MOST:.0f} times as long as grep: {', '.join(slow)}")


if __name__ == "__main__":
    main()
