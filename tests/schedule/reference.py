"""When a rule's occurrences are, by dateutil and zoneinfo: one JSON case a line in, a JSON list of Unix seconds a line out."""

import datetime
import json
import sys
import zoneinfo

from dateutil.rrule import rrulestr

for line in sys.stdin:
    case = json.loads(line)
    zone = zoneinfo.ZoneInfo(case["zone"])
    start = datetime.datetime.fromisoformat(case["start"])
    first, last = (datetime.datetime.fromisoformat(case[key]) for key in ("from", "to"))
    rule = rrulestr(case["rule"], dtstart=start)
    # fold=0: in a gap the offset before it, of two the first, as RFC 5545 has it.
    times = [at.replace(tzinfo=zone, fold=0).timestamp() for at in rule.between(first, last, inc=True)]
    print(json.dumps([int(at) for at in times]))
