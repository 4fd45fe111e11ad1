# Answers, for the fuzz target pattern_compile, what Python's re makes of a regex and of texts.
#
# A question is a line "c[im] LENGTH" with a regex to compile, or "s LENGTH" with a text to search,
# followed by LENGTH bytes. An answer is one line:
#   ok | error TEXT | no | match FROM..TO - FROM..TO ... | limit
import re
import signal
import sys


class Limit(Exception):
    pass


def strike(*_):
    raise Limit


def answer(what, text):
    global regex
    if what[0] == "c":
        regex = None
        flags = (re.IGNORECASE if "i" in what else 0) | (re.MULTILINE if "m" in what else 0)
        try:
            regex = re.compile(text, flags)
        except re.error as error:
            if error.msg.startswith("internal: unsupported template operator"):
                # flag t, undocumented and gone since Python 3.13; to us it means nothing
                return "limit"
            shown = str(error).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
            return "error " + shown
        return "ok"
    found = regex.search(text)
    if found is None:
        return "no"
    spans = (found.span(group) for group in range(regex.groups + 1))
    return "match " + " ".join("-" if start < 0 else f"{start}..{end}" for start, end in spans)


regex = None
signal.signal(signal.SIGALRM, strike)
questions = sys.stdin.buffer
while line := questions.readline():
    what, length = line.decode().split()
    text = questions.read(int(length)).decode()
    try:
        signal.setitimer(signal.ITIMER_REAL, 1)
        try:
            said = answer(what, text)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (Limit, OverflowError, RecursionError, MemoryError):
        said = "limit"
    except Exception:
        # what re should not raise, such as an assertion of its own
        said = "limit"
    re.purge()
    sys.stdout.buffer.write(said.encode("utf-8", "surrogatepass") + b"\n")
    sys.stdout.buffer.flush()
