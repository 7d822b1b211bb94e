"""A thousand random cron patterns and their next times as croniter sees them, one JSON object a line.

    PYTHONPATH=where/croniter/is python3 patterns.py SEED COUNT

Fields stand in our order: seconds first where there are six or seven, years last. Times are wall times without a zone.

Where the two differ, `croniter` says what croniter was asked instead:
- the last Friday is `FRIL` here and `L5` there;
- where day and weekday are both given, either fits. croniter keeps to that but where one of them is counted (`15W`, `FRIL`,
  `FRI#2`): then it wants both. So it is asked for one and for the other, and the times are those of both.
"""

import json
import random
import sys
from datetime import datetime
from importlib.metadata import version

from croniter import CroniterBadDateError, croniter

MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()
NICKNAMES = "@yearly @annually @monthly @weekly @daily @midnight @hourly".split()
TIMES = 8


def number(chance, low, high):
    return str(chance.randint(low, high))


def span(chance, low, high):
    first = chance.randint(low, high - 1)
    return first, chance.randint(first + 1, high)


def item(chance, low, high, names):
    def named(value):
        return names[value - low] if names and chance.random() < 0.5 else str(value)

    kind = chance.randrange(6)
    if kind == 0:
        return named(chance.randint(low, high))
    first, last = span(chance, low, high)
    if kind == 1:
        return f"{named(first)}-{named(last)}"
    if kind == 2:
        return f"{first}-{last}/{chance.randint(1, max(1, (high - low) // 2))}"
    if kind == 3:
        return f"*/{chance.randint(2, max(2, (high - low) // 2))}"
    return named(chance.randint(low, high))


def field(chance, low, high, names=None, star=0.4):
    if chance.random() < star:
        return "*"
    return ",".join(item(chance, low, high, names) for _ in range(chance.choice([1, 1, 1, 2, 3])))


def day(chance):
    """Ours, theirs."""
    chosen = chance.random()
    if chosen < 0.08:
        return "L", "L"
    if chosen < 0.16:
        day = f"{chance.randint(1, 28)}W"
        return day, day
    both = field(chance, 1, 31)
    return both, both


def weekday(chance):
    """Ours, theirs."""
    chosen = chance.random()
    if chosen < 0.08:
        day = chance.randrange(7)
        return f"{WEEKDAYS[day]}L", f"L{day}"
    if chosen < 0.16:
        nth = f"{chance.randrange(7)}#{chance.randint(1, 5)}"
        return nth, nth
    both = field(chance, 0, 6, WEEKDAYS)
    return both, both


def pattern(chance):
    """Ours, theirs."""
    if chance.random() < 0.03:
        nickname = chance.choice(NICKNAMES)
        return nickname, nickname
    days, weekdays = day(chance), weekday(chance)
    fields = [
        (field(chance, 0, 59, star=0.2),) * 2,
        (field(chance, 0, 23),) * 2,
        days,
        (field(chance, 1, 12, MONTHS, star=0.6),) * 2,
        weekdays,
    ]
    length = chance.choice([5, 5, 5, 6, 7])
    if length > 5:
        fields.insert(0, (field(chance, 0, 59, star=0.2),) * 2)
    if length > 6:
        fields.append((field(chance, 2024, 2060, star=0.3),) * 2)
    return tuple(" ".join(part[side] for part in fields) for side in (0, 1))


def next_times(pattern, after):
    """Fewer where it ends."""
    times, found = croniter(pattern, after, second_at_beginning=True), []
    try:
        while len(found) < TIMES:
            found.append(times.get_next(datetime).isoformat())
    except CroniterBadDateError:
        pass
    return found


def asked(pattern):
    """What croniter is asked for a pattern of theirs."""
    fields = pattern.split()
    day = len(fields) > 5 and 3 or 2
    is_counted = len(fields) > 4 and any(mark in fields[day] + fields[day + 2] for mark in ("W", "#", "L"))
    if not is_counted or fields[day] == "*" or fields[day + 2] == "*":
        return [pattern]
    one, other = list(fields), list(fields)
    one[day + 2] = other[day] = "*"
    return [" ".join(one), " ".join(other)]


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    print(json.dumps({"croniter": version("croniter"), "seed": seed, "count": count}))
    for _ in range(count):
        ours, theirs = pattern(chance)
        after = datetime(
            chance.randint(2024, 2040), chance.randint(1, 12), chance.randint(1, 28),
            chance.randrange(24), chance.randrange(60), chance.randrange(60),
        )
        case = {"pattern": ours, "after": after.isoformat()}
        questions = asked(theirs)
        if questions != [ours]:
            case["croniter"] = questions
        case["next"] = sorted({time for question in questions for time in next_times(question, after)})[:TIMES]
        print(json.dumps(case))


if __name__ == "__main__":
    main()
