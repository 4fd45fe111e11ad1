"""Asks Python's `re` which characters it counts to a category or holds equal in spite of their case.

Prints two JSON arrays of texts and questions: [TEXT, ...] and [[PATTERN, INDEX OF ITS TEXT, the
characters of the text that match], ...].
"""

import json
import re
import sys
import unicodedata

# Of characters that are not assigned yet, newer tables may know more. Private ones would be the half.
KNOWN = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in ("Cn", "Co", "Cs")]
CASED = [c for c in KNOWN if c != c.lower() or c != c.upper() or c != c.title()]
TEXTS = ["".join(KNOWN), "".join(CASED)]
RANGES = ["a-z", "A-I", "\x01-\x7f", "À-Þ", "İ-ı", "ſ-ƀ", "ΐ-ώ", "Ა-Ჿ", "ᾰ-῿", "K-Å", "Ⓐ-Ⓩ", "ﬀ-ﬆ", "a-\uffff", "𐐀-𐐧"]
PATTERNS = [(f"{flags}\\{category}", 0) for category in "wWdDsS" for flags in ("", "(?i)")]
PATTERNS += [(f"(?i){c}", 1) for c in CASED if c == c.lower()]
PATTERNS += [(f"(?i)[{negation}{members}]", 1) for members in RANGES for negation in ("", "^")]
# In ranges beyond U+FFFF, Python forgets that only ASCII has cases here.
PATTERNS += [(f"(?ai)[{members}]", 1) for members in RANGES if members < "\U00010000"]

for answer in (TEXTS, [(pattern, text, "".join(re.findall(pattern, TEXTS[text]))) for pattern, text in PATTERNS]):
    print(json.dumps(answer))
