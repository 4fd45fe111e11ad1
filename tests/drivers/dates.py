"""Asks the original where in each line on stdin it sees a date, and which instant that is.

Arguments: the present time; the lines of a datepattern, if any. Prints start, end and time in
characters and seconds, `-` without a date.
"""
import sys

from fail2ban.server.datedetector import DateDetector
from fail2ban.server.mytime import MyTime

MyTime.setTime(float(sys.argv[1]))
detector = DateDetector()
for pattern in sys.argv[2:]:
    detector.appendTemplate(pattern)
for line in sys.stdin:
    line = line.rstrip("\r\n")
    match, template = detector.matchTime(line)
    if match is None:
        print("-")
        continue
    start, end = match.span(1)
    time = "empty"
    if start != end:
        try:
            found = detector.getTime(line, (match, template))
        except (KeyError, TypeError, AttributeError, OverflowError):
            # These lose the line, a time is not told either.
            found = None
        time = "invalid" if found is None else "%.6f" % found[0]
    print(start, end, time, template.name)
