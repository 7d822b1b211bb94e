"""A client of Boomerang Flow, as its pages "Triggers & Integrations" and, older, "Integrations" tell one to write it.

The pages show the token in the body (of a GET, too), the activity's id, and the activity, with fields that they spell differently.
Errors, the other places of a token, cancelling and the listener are from the notes on HTTP that go with them.
"""

import json

from asking import GIVEN, ask, done, holds, looks, same, told

ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000"
TOKEN = GIVEN["token"]
IDS = GIVEN["ids"]


def refused(answer, status, description, message, what):
    told(answer, status, {"error": {"code": status, "description": description, "message": message}}, what)


def unauthorized(answer, what):
    refused(answer, 401, "UNAUTHORIZED", "The token is missing, unknown, expired or revoked.", what)


def trigger(body, headers=(), query="", token=None):
    return ask("POST", f"/webhook/payload{query}", body, headers, token)


def begun(answer, what):
    same(answer.status, 200, f"{what}: {answer!r}")
    same(list(answer.json), ["activityId"], what)
    looks(answer.json["activityId"], ID, what)
    return answer.json["activityId"]


def status(id, token=TOKEN):
    return ask("GET", f"/webhook/status/{id}", {"token": token})


def once(id, words):
    for _ in range(100_000):
        answer = status(id)
        same(answer.status, 200, f"an activity: {answer!r}")
        holds(answer.json["status"] in ["notstarted", "inProgress", "waiting", *words], f"its status: {answer.json}")
        if answer.json["status"] in words:
            return answer.json
    raise SystemExit(f"activity {id} does not become {words}")


if GIVEN["limited"]:
    for _ in range(1_000):
        answer = trigger({"token": TOKEN})
        if answer.status != 200:
            break
    refused(answer, 429, "TOO_MANY_REQUESTS", "Number of requests has exceeded the allowed number.", "too many in a second")
    looks(answer.header("retry-after"), r"[1-9]\d*", "when to try again")
    done()
    raise SystemExit

# --- Triggering a workflow, and its status -------------------------------------------------------------------------------

id = begun(trigger({"token": TOKEN}), "the document's own request")
activity = once(id, ["completed"])
same(sorted(activity), sorted([
    "creationDate", "duration", "id", "status", "workflowId", "WorkflowId", "workflowRevisionid", "WorkflowRevisionid",
    "workflowName", "trigger", "teamName", "steps"]), "the fields of an activity")
looks(activity["creationDate"], DATE, "when it was made")
holds(isinstance(activity["duration"], int) and activity["duration"] >= 0, "how long it took")
same(activity["id"], id, "its id")
same((activity["WorkflowId"], activity["workflowId"]), (IDS["greet"], IDS["greet"]), "its workflow, in both spellings")
same(activity["WorkflowRevisionid"], activity["workflowRevisionid"], "its revision, in both spellings")
same((activity["workflowName"], activity["trigger"], activity["teamName"]), ("greet", "webhook", "default"), "the rest")
steps = activity["steps"]
same([step["order"] for step in steps], [1, 2], "steps in their order")
first = steps[0]
same(sorted(first), sorted([
    "activityId", "id", "order", "startTime", "duration", "flowTaskStatus", "taskId", "TaskId", "taskName", "TaskName",
    "taskType", "outputs", "results", "error"]), "the fields of a step")
same((first["activityId"], first["id"], first["flowTaskStatus"]), (id, "said", "completed"), "whose step, and how it stands")
looks(first["startTime"], DATE, "when it began")
holds(isinstance(first["duration"], int), "how long it took")
same((first["TaskId"], first["taskId"], first["TaskName"], first["taskName"]), ("said", "said", "Say it", "Say it"),
     "its task, in both spellings")
same((first["taskType"], first["error"]), ("template", None), "its kind")
same(first["outputs"], {"name": "nobody", "count": "7"}, "what it put out, as texts")
same(first["results"], [{"name": "count", "description": "", "value": "7"},
                        {"name": "name", "description": "", "value": "nobody"}], "the same as a list")

# --- Where a token may stand ----------------------------------------------------------------------------------------------

properties = {"name": "Ada", "who": "unknown to the workflow"}
for what, answer in [
    ("in the body", trigger({"token": TOKEN, "properties": properties})),
    ("in the body, with the workflow", trigger({"token": TOKEN, "workflowId": IDS["greet"], "properties": properties})),
    ("in the header", trigger({"workflowId": IDS["greet"], "properties": properties}, token=TOKEN)),
    ("in the header, and the workflow's name", trigger({"workflowId": "greet", "properties": properties}, token=TOKEN)),
    ("in the query", trigger({"properties": properties}, query=f"?token={TOKEN}")),
    ("in the query, by its other name", trigger({"properties": properties}, query=f"?access_token={TOKEN}")),
    ("of somebody else for many workflows", trigger({"workflowId": "greet", "properties": properties}, token=GIVEN["admin"])),
]:
    done_so = once(begun(answer, what), ["completed"])
    same(done_so["steps"][0]["outputs"]["name"], "Ada", f"{what}: properties are parameters")
path = f"/webhook/status/{id}"
for what, answer in [
    ("in the body of a GET", ask("GET", path, {"token": TOKEN})),
    ("in the header", ask("GET", path, token=TOKEN)),
    ("in the query", ask("GET", f"{path}?token={TOKEN}")),
    ("in the query, by its other name", ask("GET", f"{path}?access_token={TOKEN}")),
]:
    told(answer, 200, activity, what)

for what, answer in [
    ("nowhere", trigger({})),
    ("nowhere, without a body", trigger(None)),
    ("unknown", trigger({"token": "nonsense"})),
    ("no text", trigger({"token": 7})),
    ("cut", trigger({"token": TOKEN[:-1]})),
    ("not Bearer", trigger({}, {"Authorization": f"Basic {TOKEN}"})),
    ("of another workflow", trigger({"token": GIVEN["other"], "workflowId": "greet"})),
    ("for a workflow that is not there", trigger({"token": TOKEN, "workflowId": "nothing"})),
    ("for what is no workflow's name", trigger({"token": TOKEN, "workflowId": "No Name"})),
    ("that only reads", trigger({"token": GIVEN["reads"]})),
    ("of a status", ask("GET", path)),
    ("of a status, unknown", ask("GET", f"{path}?token=nonsense")),
    ("of a cancellation", ask("DELETE", path)),
]:
    unauthorized(answer, f"a token: {what}")
disabled = "The required workflow trigger has not been enabled."
for token in ["closed", "unpublished"]:
    refused(trigger({"token": GIVEN["tokens"][token]}), 401, "WORKFLOW_TRIGGER_DISABLED", disabled, token)
for unknown in ["00000000-0000-0000-0000-000000000000", "5de81b5fe638b70001fa9d09"]:
    refused(status(unknown), 404, "NOT_FOUND", f"There is no activity `{unknown}`.", "an activity that there is not")
refused(status(id, GIVEN["other"]), 404, "NOT_FOUND", f"There is no activity `{id}`.", "an activity of another workflow")

# --- What goes wrong ---------------------------------------------------------------------------------------------------------

for what, body in [("half an object", "{"), ("a list", "[]"), ("no text", b"\xff"), ("trailing", "{} {}")]:
    answer = trigger(body, {"Content-Type": "application/json"})
    same((answer.status, answer.json["error"]["code"], answer.json["error"]["description"]), (400, 400, "BAD_REQUEST"), what)
refused(trigger({"token": TOKEN, "properties": []}), 400, "BAD_REQUEST", "`properties` is no object.", "properties")
refused(trigger({"token": TOKEN, "workflowId": 7}), 400, "BAD_REQUEST", "`workflowId` is 7: it is a text.", "workflowId")
refused(trigger({}, token=GIVEN["admin"]), 400, "BAD_REQUEST", "`workflowId` is missing: this token is of no workflow.",
        "which workflow")
refused(trigger({"token": TOKEN, "properties": {"name": 7}}), 400, "BAD_REQUEST",
        "parameter `name` is a string, found 7", "a property of another type")
answer = trigger({"token": TOKEN, "properties": {"name": "x" * (1 << 20)}})
refused(answer, 413, "PAYLOAD_TOO_LARGE", "the body is larger than 1048576 bytes", "too large")
for method, there in [("GET", "/webhook/payload"), ("PUT", path), ("POST", "/listener/event"), ("PUT", "/listener/webhook")]:
    answer = ask(method, there, {"token": TOKEN})
    refused(answer, 405, "METHOD_NOT_ALLOWED", "This method is not allowed here.", f"{method} {there}")

answer = trigger({"token": GIVEN["tokens"]["fails"]})
id = begun(answer, "one that fails")
for _ in range(100_000):
    failed = status(id, GIVEN["tokens"]["fails"]).json
    if failed["status"] not in ["notstarted", "inProgress"]:
        break
same((failed["status"], failed["steps"][0]["flowTaskStatus"]), ("failure", "failure"), "it and its step have failed")
same(failed["steps"][0]["error"], {"code": "failed", "message": "it was told to"}, "why")

# --- Cancelling, events, waiting ---------------------------------------------------------------------------------------------------

WAITS = GIVEN["tokens"]["waits"]


def waiting(words):
    for _ in range(100_000):
        answer = status(id, WAITS)
        if answer.json["status"] in words:
            return answer.json
    raise SystemExit(f"{answer!r} does not become {words}")


id = begun(trigger({"token": WAITS}), "one that waits")
same(waiting(["waiting"])["steps"][0]["flowTaskStatus"], "waiting", "its step waits")
same(waiting(["waiting"])["steps"][0]["taskType"], "eventwait", "for an event")
answer = ask("DELETE", f"/webhook/status/{id}", {"token": WAITS})
same((answer.status, answer.json["id"]), (200, id), f"somebody cancels it: {answer!r}")
waiting(["cancelled"])
answer = ask("DELETE", f"/webhook/status/{id}", {"token": WAITS})
same((answer.status, answer.json["status"]), (200, "cancelled"), "again, which changes nothing")


def wfe(query, body=None, method="POST", token=WAITS):
    return ask(method, f"/listener/webhook/wfe?{query}", body, token=token)


def cloud(answer, kind, what):
    same((answer.status, answer.header("content-type")), (200, "application/cloudevents+json"), f"{what}: {answer!r}")
    same(answer.json["type"], f"io.boomerang.eventing.{kind}", what)
    return answer.json


for method, body, sent, taken in [
    ("POST", {"paid": 7}, "success", {"paid": 7}),
    ("GET", None, "failure", {}),
]:
    id = begun(trigger({"token": WAITS}), "one that waits")
    query = f"workflowId={IDS['waits']}&workflowActivityId={id}&topic=paid"
    event = cloud(wfe(f"{query}&status={sent}", body, method), "wfe", "an event for a step that waits")
    same((event["subject"], event["status"]), (f"/{IDS['waits']}/{id}/paid", sent), "where it goes")
    last = waiting(["completed"])["steps"][-1]
    same(json.loads(last["outputs"]["body"]), {"status": sent, "payload": taken}, f"{method}: what the step took")
begun_id = begun(trigger({"token": WAITS}), "one more")
id = begun_id
event = {"specversion": "1.0", "id": "e-1", "source": "/bank", "type": "paid", "subject": f"/{IDS['waits']}/{id}/paid",
         "data": {"paid": 8}}
CLOUD = {"Content-Type": "application/cloudevents+json; charset=utf-8"}


def send(event, headers=CLOUD, query="", token=WAITS):
    return ask("PUT", f"/listener/event{query}", json.dumps(event), headers, token)


cloud(send(event), "custom", "a CloudEvent for an activity")
same(json.loads(waiting(["completed"])["steps"][-1]["outputs"]["body"])["payload"], {"paid": 8}, "what the step took")
for what, wrong, message in [
    ("no slash", {"subject": "waits/paid"}, "`subject` is `waits/paid`: it begins with `/`."),
    ("no subject", {"subject": None}, "`subject` is ``: it begins with `/`."),
    ("no topic", {"subject": "/waits"}, "`subject` is `/waits`: it names no topic."),
    ("no data", {"data": None}, "`data` is missing."),
]:
    refused(send({**event, **wrong}), 400, "BAD_REQUEST", message, f"an event with {what}")
refused(send(event, {"Content-Type": "application/json"}), 415, "UNSUPPORTED_MEDIA_TYPE",
        "Content-Type is `application/json`: it is application/cloudevents+json.", "another content type")
unauthorized(send(event, token="nonsense"), "an event's token")
unauthorized(send(event, token=TOKEN), "another workflow's token")
answer = ask("PUT", f"/listener/event?access_token={WAITS}", json.dumps({**event, "subject": "/waits/another-topic"}), CLOUD)
holds("activityid" not in cloud(answer, "custom", "the token in the query"), "a topic that nothing is started by")
ORDERS = GIVEN["tokens"]["orders"]
placed = {**event, "type": "order.placed", "id": "o-1", "subject": "/orders/orders", "data": {"order": 7}}
order = cloud(send(placed, token=ORDERS), "custom", "a topic that a workflow is started by")["activityid"]
same(send(placed, token=ORDERS).json["activityid"], order, "the same event again starts nothing")
for _ in range(100_000):
    activity = status(order, ORDERS).json
    if activity["status"] not in ["notstarted", "inProgress"]:
        break
same((activity["status"], activity["trigger"]), ("completed", "custom"), "what it started")
same(json.loads(activity["steps"][-1]["outputs"]["body"]), {"order": 7}, "and what that was given")
for what, other in [("topic", {"subject": "/orders/other"}), ("type", {"type": "order.lost"})]:
    answer = cloud(send({**placed, "id": "o-2", **other}, token=ORDERS), "custom", f"another {what}")
    holds("activityid" not in answer, f"another {what} starts nothing")
nobody = "00000000-0000-0000-0000-000000000000"
answer = send({**event, "subject": f"/waits/{nobody}/paid"})
refused(answer, 404, "NOT_FOUND", f"There is no activity `{nobody}`.", "an activity that there is not")
answer = wfe(f"workflowId=waits&workflowActivityId={begun_id}&topic=other", {})
refused(answer, 409, "CONFLICT", f"execution {begun_id} has ended already: succeeded", "one that has ended")
for missing in ["workflowId", "workflowActivityId", "topic"]:
    query = {"workflowId": "waits", "workflowActivityId": id, "topic": "paid"}
    del query[missing]
    answer = wfe("&".join(f"{name}={value}" for name, value in query.items()), {})
    refused(answer, 400, "BAD_REQUEST", f"Required parameter `{missing}` is not present.", missing)
unauthorized(wfe(f"workflowId=waits&workflowActivityId={id}&topic=paid", {}, token=None), "an event without a token")


def listen(kind, body, query=f"&access_token={TOKEN}"):
    return ask("POST", f"/listener/webhook?workflowId=greet&type={kind}{query}", body)


for kind, word, body in [("generic", "webhook", {"name": "Bob"}), ("dockerhub", "dockerhub", {"name": "Bob", "push_data": {}}),
                         ("slack", "slack", {"name": "Bob", "type": "event_callback"})]:
    event = cloud(listen(kind, body), word, kind)
    id = event["activityid"]
    done_so = once(id, ["completed"])
    same(done_so["steps"][0]["outputs"]["name"], "Bob", f"{kind}: its fields are parameters")
told(listen("slack", {"type": "url_verification", "challenge": "abc"}), 200, {"challenge": "abc"}, "Slack asks who is there")
refused(listen("slack", {"type": "other"}), 400, "BAD_REQUEST", "This is no event of Slack.", "what is no event of Slack")
refused(listen("fax", {}), 400, "BAD_REQUEST", "`type` is `fax`: it is generic, slack or dockerhub.", "a type that there is not")
unauthorized(listen("generic", {}, ""), "the listener wants a token")

# --- Several tokens ----------------------------------------------------------------------------------------------------------------

begun(trigger({"token": GIVEN["second"]}), "a second token of the workflow")
same(ask("DELETE", f"/api/v1/tokens/{GIVEN['second_id']}", token=GIVEN["admin"]).status, 204, "it is revoked")
unauthorized(trigger({"token": GIVEN["second"]}), "and is over at once")
begun(trigger({"token": TOKEN}), "the first is not")

done()
