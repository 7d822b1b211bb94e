"""A client of Paragon: the backend of an app, whose users connect integrations and enable workflows.

The page "Triggering Workflows" tells what starts a workflow and whose it is. URLs, statuses and fields are from the notes on HTTP that
go with it. The tokens of users are made here, as an app makes them: RS256, with a key whose public half the project knows.
"""

import base64
import hashlib
import hmac
import json
import time

from asking import GIVEN, ask, done, events, holds, looks, same, told

ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
PROJECT = GIVEN["project"]
IDS = GIVEN["ids"]


# --- Tokens of users ----------------------------------------------------------------------------------------------------------

def integers(der):
    """The integers of a private key in DER (RFC 8017, A.1.2), out of its PKCS #8 wrapping."""
    found, at = [], 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length >= 0x80:
            size = length - 0x80
            length, at = int.from_bytes(der[at:at + size], "big"), at + size
        inside, at = der[at:at + length], at + length
        if tag == 0x02:
            found.append(int.from_bytes(inside, "big"))
        elif tag in (0x30, 0x04):
            found += integers(inside)
    return found


def plain(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(user, key="old", header=None, **claims):
    header = header or {"alg": "RS256", "typ": "JWT"}
    now = int(time.time())
    claims = {"sub": user, "iat": now, "exp": now + 600} | claims
    claims = {name: value for name, value in claims.items() if value is not None}
    message = f"{plain(json.dumps(header).encode())}.{plain(json.dumps(claims).encode())}".encode()
    # Two versions and, of the key itself: modulus, public and private exponent.
    _, _, n, _, d, *_ = integers(bytes.fromhex(GIVEN["keys"][key]))
    # RFC 8017, 9.2: the digest with what says that it is one of SHA-256.
    digest = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
    size = (n.bit_length() + 7) // 8
    padded = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
    signature = pow(int.from_bytes(padded, "big"), d, n).to_bytes(size, "big")
    return f"{message.decode()}.{plain(signature)}"


def sdk(method, rest, user, body=None, project=PROJECT, **how):
    return ask(method, f"/projects/{project}/sdk/{rest}", body, token=token(user) if user else None, **how)


def history(rest="", key=GIVEN["api_key"], method="GET", project=PROJECT):
    return ask(method, f"/projects/{project}/task-history/workflow-executions{rest}", token=key)


def ended(execution):
    """Follows an execution to its end, and shows it."""
    for _ in events(f"/api/v1/executions/{execution}/stream", GIVEN["api_key"]):
        pass
    answer = history(f"/{execution}")
    same(answer.status, 200, f"{execution}: {answer!r}")
    return answer.json


def of(user):
    """What ran for a user, oldest first."""
    answer = history(f"?userId={user}&limit=200")
    same(answer.status, 200, f"history of {user}: {answer!r}")
    return [ended(item["id"]) for item in reversed(answer.json["data"])]


# --- Connecting -----------------------------------------------------------------------------------------------------------------

told(ask("GET", f"/projects/{PROJECT}/sdk/me"), 200, {"authenticated": False}, "nobody")
told(ask("GET", f"/projects/{PROJECT}/sdk/me", token="nonsense"), 200, {"authenticated": False}, "somebody who lies")
told(ask("GET", "/projects/nothing/sdk/me", token=token("ada")), 200, {"authenticated": False}, "in no project")
nobody = {"authenticated": True, "userId": "ada", "meta": {}, "integrations": {}}
told(sdk("GET", "me", "ada"), 200, nobody, "a user who has connected nothing")
answer = sdk("PATCH", "me", "ada", {"meta": {"plan": "pro"}})
told(answer, 200, nobody | {"meta": {"plan": "pro"}}, "what the app says of her")

told(sdk("GET", "metadata", "ada"), 200, [{"type": name, "name": name} for name in ["crm", "mail", "my-api"]], "what there is")
answer = sdk("GET", "integrations", "ada")
same(answer.status, 200, f"integrations: {answer!r}")
crm = answer.json[0]
same((crm["type"], crm["connected"]), ("crm", False), "not yet")
same(sorted(one["name"] for one in crm["workflows"]), ["in-crm", "set-up"], "the workflows that are for it")

told(sdk("GET", "credentials", "ada"), 200, [], "no credentials")
wish = {"integrationId": crm["id"], "config": {"list": "A", "other": 1}, "payload": {"token": GIVEN["secret"]}}
answer = sdk("PATCH", "credentials", "ada", wish)
same((answer.status, answer.json["status"], answer.json["config"]), (200, "VALID", wish["config"]), f"connected: {answer!r}")
looks(answer.json["id"], ID, "its id")
holds(GIVEN["secret"] not in answer.text, "what went in does not come out")
answer = sdk("PATCH", "credentials", "ada", {"integrationId": "crm", "config": {"list": "B"}})
same(answer.json["config"], {"list": "B"}, "the configuration is replaced")
answer = sdk("PATCH", "credentials", "ada", {"config": {"list": "C"}})
same(answer.json["config"], {"list": "C"}, "of the only one that there is")
answer = sdk("GET", "credentials", "ada")
same([one["integrationType"] for one in answer.json], ["crm"], "hers")
holds(GIVEN["secret"] not in answer.text, "and shows no secret")
told(sdk("GET", "credentials", "bob"), 200, [], "nobody else has them")
for user, integration in [("ada", "mail"), ("bob", "crm")]:
    same(sdk("PATCH", "credentials", user, {"integrationId": integration}).status, 200, f"{user} and {integration}")

set_up = of("ada")
same([one["workflowName"] for one in set_up], ["set-up"], "`connected` fired once, for the integration that it is about")
same((set_up[0]["status"], set_up[0]["integration"], set_up[0]["output"]["list"]), ("SUCCEEDED", "crm", "A"),
     "with the connection as it was then")

# --- Enabling workflows ---------------------------------------------------------------------------------------------------------

told(sdk("POST", f"workflows/{IDS['anywhere']}", "ada"), 200, {"id": IDS["anywhere"], "enabled": True}, "in both connections")
told(sdk("POST", "workflows/in-crm", "ada"), 200, {"id": IDS["in-crm"], "enabled": True}, "in the one that it is for")
same(sdk("POST", f"workflows/{IDS['anywhere']}", "bob").status, 200, "bob too")
answer = sdk("GET", "me", "ada").json["integrations"]
same({name: sorted(one["configuredWorkflows"]) for name, one in answer.items()},
     {"crm": sorted([IDS["anywhere"], IDS["in-crm"]]), "mail": [IDS["anywhere"]]}, "what she has enabled")
told(sdk("POST", "workflows/nothing", "ada"), 404, {"message": "there is no workflow `nothing`"}, "one that there is not")
answer = sdk("POST", "workflows/in-crm", "eve")
told(answer, 404, {"message": "there is no connection of the user for workflow `in-crm`"}, "who is not connected")

# --- App events -----------------------------------------------------------------------------------------------------------------

EVENT = {"name": "Contact Created", "payload": {"name": "Grace"}}
before = len(of("bob"))
for version in ["", "/v2"]:
    answer = ask("POST", f"{version}/projects/{PROJECT}/sdk/events/trigger", EVENT, token=token("ada"))
    told(answer, 201, {}, f"an event{version}")
started = of("ada")[1:]
same([(one["workflowName"], one["integration"]) for one in started],
     [("anywhere", "crm"), ("in-crm", "crm"), ("anywhere", "mail")] * 2, "every workflow of every integration of hers, in one go")
same(started[0]["output"], {"user": "ada", "plan": "pro", "list": "C", "name": "Grace", "given": "<credential token>"},
     "what a workflow sees")
same(started[2]["status"], "FAILED", "the other connection has no token")
holds("has no credential `token`" in started[2]["error"], f"which is told: {started[2]['error']}")
same(len(of("bob")), before, "nothing of anybody else's")
told(sdk("POST", "events/trigger", "eve", EVENT), 201, {}, "somebody who has connected nothing")
told(sdk("POST", "events/trigger", "ada", {"name": "Nothing Asked For"}), 201, {}, "an event that nothing asks for")
same(len(of("ada")), 7, "which start nothing")
for body, message in [({}, "name must be a string"), ({"name": 7}, "name must be a string"),
                      ({"name": "a", "payload": []}, "payload must be an object"), ({"name": "a", "x": 1}, "x should not exist")]:
    told(sdk("POST", "events/trigger", "ada", body), 400, {"message": message}, f"{body}")
told(sdk("POST", "events/trigger", "ada", "{"), 400, {"message": "the body: EOF while parsing an object at line 1 column 1"}, "no JSON")
told(sdk("POST", "events/trigger", "ada", {"name": ""}), 400,
     {"message": '`name` is "": it has 1 to 256 bytes and no control characters'}, "no name")

same(sdk("DELETE", f"workflows/{IDS['anywhere']}", "ada").json["enabled"], False, "disabled")
told(sdk("POST", "events/trigger", "ada", EVENT), 201, {}, "an event again")
same([one["workflowName"] for one in of("ada")[7:]], ["in-crm"], "what is still enabled")

# --- Requests -------------------------------------------------------------------------------------------------------------------

for workflow in ["search", "enqueue", "slow", "fails"]:
    same(sdk("POST", f"workflows/{IDS[workflow]}", "bob").status, 200, f"bob enables {workflow}")
answer = sdk("POST", f"triggers/{IDS['search']}?limit=3", "bob", {"query": "minutes"})
told(answer, 203, {"found": "minutes", "limit": "3", "user": "bob", "integration": "crm"}, "the Exit step's status and data")
answer = sdk("POST", "triggers/enqueue", "bob", {})
same(sorted(answer.json), ["dateSubmitted", "executionId", "projectId", "workflowId"], f"without an Exit step: {answer!r}")
same((answer.status, answer.json["projectId"], answer.json["workflowId"]), (202, PROJECT, IDS["enqueue"]), "at once")
same(ended(answer.json["executionId"])["status"], "SUCCEEDED", "it runs by itself")
answer = sdk("POST", "triggers/slow", "bob")
slow = answer.json["executionId"]
looks(answer.json["dateSubmitted"], TIME, "when it was submitted")
late = {"message": "Workflow has been enqueued but has not completed.", "dateSubmitted": answer.json["dateSubmitted"],
        "projectId": PROJECT, "workflowId": IDS["slow"], "executionId": slow}
told(answer, 542, late, "an Exit step that is not reached in time")
answer = history(f"/{slow}")
same((answer.json["status"], answer.json["dateEnded"]), ("DELAYED", None), "it goes on, and waits")
answer = sdk("POST", "triggers/fails", "bob")
told(answer, 500, {"execution-id": answer.json["execution-id"], "message": "Workflow execution failed due to error"},
     "one that fails before its Exit step")
told(sdk("POST", "triggers/nothing", "bob"), 404, {"message": "there is no workflow `nothing`"}, "no such workflow")
answer = sdk("POST", "triggers/in-crm", "ada")
told(answer, 404, {"message": "there is no request trigger of workflow `in-crm`"}, "no such trigger")
answer = sdk("POST", "triggers/search", "ada")
told(answer, 404, {"message": "user `ada` has no connection that has workflow `search` enabled"}, "not enabled for her")
answer = sdk("POST", "triggers/search", "bob", {})
told(answer, 400, {"message": "parameter `query` (string) is missing"}, "a parameter that is missing is named")

# --- Resources ------------------------------------------------------------------------------------------------------------------

same(sdk("POST", "workflows/of-user", "bob").status, 200, "bob enables what an API tells of him")
hook = f"/w/{PROJECT}/v1/webhooks/my-api"
answer = ask("POST", hook, {"plan": "free"}, {"X-User": "bob"})
same([one["workflow"] for one in answer.json["executions"]], ["of-app", "of-user"], "once for the app, once for the user")
answer = ask("POST", hook, {"plan": "free"}, {"X-User": "ada"})
same([one["workflow"] for one in answer.json["executions"]], ["of-app"], "she has not enabled it")
answer = ask("POST", f"{hook}/workflows/of-user/sync", {"plan": "free"}, {"X-User": "bob"})
told(answer, 200, {"user": "bob", "plan": "free"}, "with bob's connection")

# --- Whose token ----------------------------------------------------------------------------------------------------------------

unsigned = {"message": "the token is no JSON Web Token that a key of this workspace has signed with RS256"}
now = int(time.time())


def events_with(text, project=PROJECT):
    return ask("POST", f"/projects/{project}/sdk/events/trigger", EVENT, token=text)


def hs256(secret):
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": "ada", "exp": now + 600}]
    message = ".".join(plain(json.dumps(part).encode()) for part in parts)
    return f"{message}.{plain(hmac.new(secret, message.encode(), hashlib.sha256).digest())}"


told(events_with(hs256(GIVEN["public"]["old"].encode())), 401, unsigned, "the public key as a secret")
told(events_with(hs256(GIVEN["public"]["old"].strip().encode())), 401, unsigned, "the same without its line break")
for alg in ["none", "HS256", "RS512", "PS256"]:
    told(events_with(token("ada", header={"alg": alg, "typ": "JWT"})), 401, unsigned, f"the algorithm {alg}")
head, claims, _ = token("ada").split(".")
told(events_with(f"{head}.{claims}."), 401, unsigned, "no signature")
told(events_with(GIVEN["api_key"]), 401, unsigned, "an API key is no token of a user")
told(events_with(token("ada"), project="other"), 401, unsigned, "another project has not this key")
told(events_with(token("ada"), project="nothing"), 401, unsigned, "nor has one that there is not")
told(events_with(token("ada", exp=now - 61)), 401, {"message": "the token has expired"}, "over")
told(events_with(token("ada", exp=now - 30)), 201, {}, "clocks differ a little")
told(events_with(token("ada", nbf=now + 300)), 401, {"message": "the token is not valid yet"}, "early")
claims = {"message": "the token's claims cannot be read: it has `sub`, a text, and `exp`, a time in seconds"}
for wrong in [{"exp": None}, {"sub": None}, {"exp": "soon"}]:
    told(events_with(token("ada", **wrong)), 401, claims, f"claims {wrong}")
for project in [PROJECT, "nothing"]:
    told(events_with("x" * 20_000, project), 401, {"message": "the token has 20000 bytes; 8192 is the limit"}, f"a long one: {project}")
no_token = {"message": "send the user's token: `Authorization: Bearer …`"}
told(sdk("POST", "events/trigger", None, EVENT), 401, no_token, "no token")
told(sdk("GET", "credentials", None), 401, no_token, "no token for credentials either")

# A new key comes beside the old one; the old one goes once no token needs it.
told(events_with(token("ada", key="new")), 401, unsigned, "a key that is not there yet")
admin = {"Camshaft-Workspace": PROJECT}
answer = ask("PUT", "/api/v1/signing-keys/new", {"public_key": GIVEN["public"]["new"]}, admin, token=GIVEN["admin"])
same(answer.status, 201, f"the new key: {answer!r}")
told(events_with(token("ada", key="new")), 201, {}, "the new one")
told(events_with(token("ada", key="old")), 201, {}, "and the old one")
same(ask("DELETE", "/api/v1/signing-keys/old", headers=admin, token=GIVEN["admin"]).status, 204, "the old one goes")
told(events_with(token("ada", key="old")), 401, unsigned, "at once")
told(events_with(token("ada", key="new")), 201, {}, "the new one stays")
same(ask("PUT", "/api/v1/signing-keys/old", {"public_key": GIVEN["public"]["old"]}, admin, token=GIVEN["admin"]).status, 201, "back")

# --- Task history ---------------------------------------------------------------------------------------------------------------

seen, link = [], "?limit=4&userId=ada"
while link:
    answer = history(link)
    same(answer.status, 200, f"a page: {answer!r}")
    seen += [item["id"] for item in answer.json["data"]]
    link = answer.json["nextLink"]
    link = link and "?" + link.split("?", 1)[1]
same((len(seen), len(set(seen))), (len(of("ada")), len(seen)), "page by page, each once")
answer = history(f"?workflowId={IDS['fails']}&status=FAILED")
same([item["workflowName"] for item in answer.json["data"]], ["fails"], "by workflow and status")
same(history("?status=SUCCEEDED&userId=eve").json, {"data": [], "nextLink": None}, "nothing of eve's")
for query, message in [("?status=failed", "status must be EXECUTING, DELAYED, SUCCEEDED or FAILED"),
                       ("?limit=0", "limit must be a number from 1 to 200"), ("?who=ada", "who should not exist"),
                       ("?startDate=nonsense", "startDate must be a time such as 2026-10-01T00:00:00Z"),
                       ("?endDate=nonsense", "endDate must be a time such as 2026-10-01T00:00:00Z")]:
    told(history(query), 400, {"message": message}, query)
first = started[0]["id"]
answer = history(f"/{first}")
step = answer.json["stepExecutions"][0]
same((step["id"], step["type"], step["status"]), ("said", "task", "SUCCEEDED"), "its first step")
answer = history(f"/{first}/step-executions/said")
same(answer.json["input"], {"token": "<credential token>"}, "what it was given, without the secret")
told(history(f"/{first}/step-executions/nothing"), 404, {"message": "there is no step execution `nothing`"}, "no such step")
for unknown in ["nothing", "00000000-0000-0000-0000-000000000000"]:
    told(history(f"/{unknown}"), 404, {"message": f"there is no workflow execution `{unknown}`"}, unknown)
answer = history(f"/{first}/replay", method="POST")
same((answer.status, answer.json["replayOf"]), (201, first), f"a replay: {answer!r}")
again = ended(answer.json["workflowExecutionId"])
same((again["output"], again["replayOf"]), (started[0]["output"], first), "with what it had, and the revision that it ran")
no_key = {"message": "send an API key of the project: `Authorization: Bearer …`"}
for key in [None, "nonsense", token("ada"), GIVEN["other_key"]]:
    told(history(key=key), 401, no_key, "a key that is none of the project's")
told(history(key=GIVEN["reads"], rest=f"/{first}/replay", method="POST"), 401, no_key, "a key that only reads")
same(history(key=GIVEN["reads"]).status, 200, "but it reads")

# --- Disconnecting --------------------------------------------------------------------------------------------------------------

same(sdk("DELETE", f"integrations/{crm['id']}", "ada").status, 204, "disconnected")
told(sdk("DELETE", "integrations/crm", "ada"), 404, {"message": "user `ada` has no connection to `crm`"}, "only once")
same(list(sdk("GET", "me", "ada").json["integrations"]), ["mail"], "the other one stays")
count = len(of("ada"))
told(sdk("POST", "events/trigger", "ada", EVENT), 201, {}, "an event for somebody who has gone")
same(len(of("ada")), count, "starts nothing")

done()
