"""A calendar on standard input, read by the icalendar library: its events with their times in UTC, as JSON."""

import datetime
import json
import sys
import zoneinfo

import icalendar

calendar = icalendar.Calendar.from_ical(sys.stdin.read())
events = []
for event in calendar.walk("VEVENT"):
    start = event["DTSTART"].dt
    rule = event.get("RRULE")
    except_ = event.get("EXDATE", [])
    except_ = except_ if isinstance(except_, list) else [except_]
    moved = event.get("RECURRENCE-ID")
    events.append({
        "uid": str(event["UID"]),
        "summary": str(event["SUMMARY"]),
        "start": int(start.timestamp()),
        "zone": str(event["DTSTART"].params.get("TZID", "UTC")),
        "length": int(event.duration.total_seconds()),
        "rule": rule.to_ical().decode() if rule else None,
        "except": [int(one.dt.timestamp()) for list_ in except_ for one in list_.dts],
        "moved_from": int(moved.dt.timestamp()) if moved else None,
        "errors": [str(error) for error in event.errors],
    })

# The zone as the calendar itself has it, with no other source.
zones = {}
for zone in calendar.walk("VTIMEZONE"):
    made = zone.to_tz(lookup_tzid=False)
    name = str(zone["TZID"])
    known = zoneinfo.ZoneInfo(name)
    off = []
    # From the first show on.
    at = datetime.datetime(2027, 1, 1, 12)
    while at.year < 2032:
        if at.replace(tzinfo=made).utcoffset() != at.replace(tzinfo=known).utcoffset():
            off.append(at.isoformat())
        at += datetime.timedelta(days=1)
    zones[name] = off
print(json.dumps({"events": events, "zones": zones}))
