"""What every client program here needs: a request, its answer, and a loud no. Python's own library, nothing else."""

import http.client
import json
import re
import sys
import urllib.parse

BASE = sys.argv[1]
GIVEN = json.load(sys.stdin)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)

    def header(self, name):
        return dict((key.lower(), value) for key, value in self.headers).get(name.lower())

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body!r}"


def connection():
    address = urllib.parse.urlsplit(BASE)
    return http.client.HTTPConnection(address.hostname, address.port, timeout=60)


def ask(method, path, body=None, headers=(), token=None):
    """Sends a request. A body that is no text and no bytes goes as JSON."""
    headers = dict(headers)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, (str, bytes)):
        body = json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
    there = connection()
    there.request(method, path, body=body, headers=headers)
    got = there.getresponse()
    answer = Answer(got.status, got.getheaders(), got.read())
    there.close()
    return answer


def events(path, token):
    """Follows a stream of server-sent events to its end: names and data."""
    there = connection()
    there.request("GET", path, headers={"Authorization": f"Bearer {token}", "Accept": "text/event-stream"})
    got = there.getresponse()
    same(got.status, 200, path)
    same(got.getheader("content-type"), "text/event-stream", path)
    name, data = None, None
    for line in iter(got.readline, b""):
        line = line.decode("utf-8").rstrip("\r\n")
        if line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data = json.loads(line[5:])
        elif line == "" and name is not None:
            yield name, data
            name, data = None, None
    there.close()


checked = 0


def same(found, expected, what):
    global checked
    checked += 1
    if found != expected:
        sys.exit(f"{what}\n  expected {expected!r}\n  found    {found!r}")


def holds(condition, what):
    same(bool(condition), True, what)


def looks(text, pattern, what):
    holds(isinstance(text, str) and re.fullmatch(pattern, text), f"{what}: {text!r} is not like {pattern}")


def told(answer, status, body, what):
    """The whole answer: its status, and its body as JSON."""
    same(answer.status, status, f"{what}: {answer!r}")
    same(answer.json, body, what)


def done():
    print(f"{checked} things held")
