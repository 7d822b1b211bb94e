"""A client of ToolJet, as its page "Trigger Using Webhook" tells one to write it.

The page shows the two ways to start, the answer of the asynchronous one, and the URLs for polling and streaming. What goes wrong
and how it is told, the fields of a status and the names of events are from the notes on HTTP that go with it.
"""

import json

from asking import GIVEN, ask, connection, done, events, holds, looks, same, told

ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
TOKENS = GIVEN["tokens"]
TOKEN = TOKENS["greet"]
REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
           413: "Payload Too Large", 429: "Too Many Requests", 451: "Unavailable For Legal Reasons"}


def url(workflow, rest):
    return f"/api/v2/webhooks/workflows/{workflow}/{rest}"


def trigger(workflow, body=None, how="trigger", query=""):
    return ask("POST", url(workflow, how + query), body, token=TOKENS.get(workflow, TOKEN))


def greeting(name, number=7):
    return {"hello": name, "number": number, "all": {"name": name, "emp_id": number}}


def refused(answer, status, message, what):
    told(answer, status, {"statusCode": status, "message": message, "error": REASONS[status]}, what)


if GIVEN["limited"]:
    # A server of its own: three requests an address.
    for _ in range(3):
        refused(trigger("nothing"), 404, "Workflow doesn't exists", "within the limit")
    answer = trigger("greet", {"name": "Ada"})
    refused(answer, 429, "ThrottlerException: Too Many Requests", "the rate is looked at before anything else")
    looks(answer.header("retry-after"), r"[1-9]\d*", "when to try again")
    holds(ask("GET", f"/public/v1alpha/executions/{GIVEN['ids']['greet']}", token=TOKEN).status == 404,
          "nobody else is throttled")
    done()
    raise SystemExit

# --- Triggering, and waiting ---------------------------------------------------------------------------------------------

for workflow in ["greet", GIVEN["ids"]["greet"]]:
    answer = trigger(workflow, {"name": "John Doe", "emp_id": 33}, query="?environment=production")
    told(answer, 200, greeting("John Doe", 33), f"{workflow}: the Exit step's body")
told(trigger("greet", {"name": "Ada"}), 200, greeting("Ada"), "a default fills in")
told(trigger("greet", {"name": "Ada", "who": "?"}), 200, greeting("Ada"),
     "an undeclared parameter is dropped")
answer = trigger("text")
same((answer.status, answer.header("content-type"), answer.text), (203, "text/plain; charset=utf-8", "as it is"),
     "a string is plain text")
same(answer.header("x-from"), "the workflow", "headers are the workflow's")
answer = trigger("nothing-to-say")
same((answer.status, answer.body), (204, b""), "a status without a body")
told(trigger("any-object", {"it": [1, 2]}), 200, [1, 2], "`object` takes an array, as `typeof` does")
told(trigger("any-object", {"it": None}), 200, None, "`object` takes null")
told(trigger("any-object", {"it": {"a": 1}}), 200, {"a": 1}, "`object` takes an object")

answer = trigger("asks")
id = answer.json["result"]["executionId"]
looks(id, ID, "its id")
told(answer, 201, {"result": {"executionStatus": "waiting", "executionId": id}}, "one that meets an approval")
same(ask("GET", url("asks", f"status/{id}"), token=TOKENS["asks"]).json["status"], "waiting", "it still waits")
answer = trigger("fails")
id = answer.json["result"]["executionId"]
told(answer, 201, {"result": {"executionStatus": "failed", "executionId": id}}, "one that fails without an answer")

# --- Triggering, and not waiting ------------------------------------------------------------------------------------------

answer = trigger("greet", {"name": "Ada"}, how="trigger-async", query="?environment=production")
same(answer.status, 201, f"asynchronous: {answer!r}")
same(sorted(answer.json), ["execution_id", "timestamp", "workflow_execution_id"], "the fields of its answer")
same(answer.json["execution_id"], answer.json["workflow_execution_id"], "the two names of its id")
looks(answer.json["timestamp"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "when it began")
id = answer.json["workflow_execution_id"]
looks(id, ID, "its id")

seen = list(events(url("greet", f"execution/{id}/stream"), TOKEN))
names = [name for name, _ in seen]
same(names[:2], ["workflow_connection_initialized", "workflow_execution_triggered"], "how a stream begins")
same(names[-2:], ["workflow_execution_completed", "workflow_connection_close"], "how it ends")
holds(names.index("workflow_execution_running") > 1, f"it runs in between: {names}")
holds("workflow_connection_streaming" in names, f"and tells of its nodes: {names}")
holds(all(data["type"] == name and data["executionId"] == id for name, data in seen), "each tells what it is, and of whom")
said = greeting("Ada")
same(seen[-2][1]["result"], {"body": said}, "what came of it")

answer = ask("GET", url("greet", f"status/{id}"), token=TOKEN)
same(answer.status, 200, f"its status: {answer!r}")
same(sorted(answer.json), ["logs", "nodes", "status"], "the fields of a status")
same((answer.json["status"], answer.json["logs"]), ("completed", []), "how it stands")
same(answer.json["nodes"][0], {"id": "said", "name": "Say it", "executed": True, "status": "completed",
                               "result": {"name": "Ada", "number": 7}}, "its first node")
same([node["status"] for node in answer.json["nodes"]], ["completed", "completed"], "its nodes")

id = trigger("fails", how="trigger-async").json["execution_id"]
seen = list(events(url("fails", f"execution/{id}/stream"), TOKENS["fails"]))
same([name for name, _ in seen][-2:], ["workflow_execution_error", "workflow_connection_close"], "one that fails")
same(seen[-2][1]["error"], "failed: it was told to", "why")
answer = ask("GET", url("fails", f"status/{id}"), token=TOKENS["fails"])
same(answer.json["status"], "failed", "its status")
same(answer.json["nodes"][0]["result"], {"error": "failed: it was told to"}, "its node tells why")

id = trigger("asks", how="trigger-async").json["execution_id"]
names = []
for name, _ in events(url("asks", f"execution/{id}/stream"), TOKENS["asks"]):
    names.append(name)
    if name == "workflow_execution_waiting":
        same(ask("POST", f"/api/v1/executions/{id}/cancel", token=GIVEN["admin"]).status, 202, "somebody stops it")
same(names[-2:], ["workflow_execution_terminated", "workflow_connection_close"], "one that is stopped")
same(ask("GET", url("asks", f"status/{id}"), token=TOKENS["asks"]).json["status"], "terminated", "its status")

# --- What is wrong, in this order -----------------------------------------------------------------------------------------------

unknown = "Workflow doesn't exists"
for workflow in ["nothing", "00000000-0000-0000-0000-000000000000", "UPPER%20CASE", "%ff"]:
    for token in [None, TOKEN, "nonsense"]:
        refused(ask("POST", url(workflow, "trigger"), token=token), 404, unknown, f"{workflow}: there is none, whatever the token")
wrong = "Invalid authentication token"
for header in [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer nonsense", f"Bearer {TOKEN}0",
               f"Bearer {TOKEN[:-1]}", f"Bearer {TOKENS['text']}", f"Bearer {GIVEN['reads']}"]:
    headers = {} if header is None else {"Authorization": header}
    for body in [{}, {"name": 7}, "{", "[]"]:
        refused(ask("POST", url("greet", "trigger"), body, headers), 401, wrong, f"the token {str(header)[:10]}")
refused(ask("GET", url("greet", f"status/{id}"), token="nonsense"), 401, wrong, "a status wants a token")
refused(ask("GET", url("greet", f"execution/{id}/stream"), token="nonsense"), 401, wrong, "and so does a stream")
refused(ask("POST", url("greet", f"trigger?token={TOKEN}"), {"name": "Ada"}), 401, wrong, "a token is no query")
refused(trigger("unpublished"), 403, "Workflow is disabled or does not exist", "published nowhere")
refused(trigger("closed", {}), 403, "Webhook endpoint disabled or doesn't exists", "it has no such trigger")
refused(trigger("closed", {}, query="?environment=moon"), 403, "Webhook endpoint disabled or doesn't exists",
        "which is told before the environment")
for period, words in [("daily", "once-a-day"), ("monthly", "once-a-month")]:
    same(trigger(words, {"name": "Ada"}).status, 200, "the first one")
    limit = f"Maximum {period} limit for workflow execution has reached for this workspace"
    refused(trigger(words, {"name": "Ada"}), 451, limit, f"the {period} limit")
    refused(trigger(words, {}), 451, limit, "which is told before what is missing")
    refused(trigger(words, {"name": "Ada"}, query="?environment=moon"), 451, limit, "and before the environment")
refused(trigger("greet"), 400, "Params - name is missing", "no body")
refused(trigger("greet", {"emp_id": "x"}), 400, "Params - name is missing", "what is missing goes first")
refused(trigger("greet", {"name": 7}), 400, "name has incorrect datatype", "a number is no string")
refused(trigger("greet", {"name": "Ada", "emp_id": "33"}), 400, "emp_id has incorrect datatype", "a string is no number")
refused(trigger("any-object", {"it": "text"}), 400, "it has incorrect datatype", "a text is no object")
refused(trigger("greet", {"name": 7}, query="?environment=moon"), 400, "name has incorrect datatype",
        "which is told before the environment")
for moon in ["moon", "Not%20A%20Name", ""]:
    refused(trigger("greet", {"name": "Ada"}, query=f"?environment={moon}"), 404, "Invalid environment", "published elsewhere")
for version in ["0", "3", "v9", "draft", "-1"]:
    refused(trigger("greet", {"name": "Ada"}, query=f"?version={version}"), 404,
            f'Version "{version}" not found for workflow "greet"', "a version that is not there, or not published yet")
for version in ["1", "v1"]:
    told(trigger("greet", {"name": "Ada"}, query=f"?version={version}"), 200, {"first": "Ada"}, "an older version")
told(trigger("greet", {"name": "Ada"}, query="?version=2"), 200, said, "the version that is published")

for body, what in [("{", "half an object"), ("[]", "a list"), ('"text"', "a text"), ("7", "a number"), (b"\xff", "no text")]:
    answer = ask("POST", url("greet", "trigger"), body, {"Content-Type": "application/json"}, TOKEN)
    same((answer.status, answer.json["statusCode"], answer.json["error"]), (400, 400, "Bad Request"), what)
answer = ask("POST", url("greet", "trigger"), json.dumps({"name": "x" * (1 << 20)}), token=TOKEN)
same((answer.status, answer.json["error"]), (413, "Payload Too Large"), "too large")
told(ask("POST", url("greet", "trigger"), '{"name": "Ada"}', {"Content-Type": "text/plain"}, TOKEN), 200, said,
     "whatever its content type says")
for method, path in [("GET", url("greet", "trigger")), ("DELETE", url("greet", "trigger-async")),
                     ("POST", url("greet", f"status/{id}"))]:
    answer = ask(method, path, token=TOKEN)
    same((answer.status, answer.json["error"]), (405, "Method Not Allowed"), f"{method} {path}")
for execution in [id, "00000000-0000-0000-0000-000000000000", "nothing"]:
    missing = "Workflow execution doesn't exists"
    refused(ask("GET", url("greet", f"status/{execution}"), token=TOKEN), 404, missing, "no execution of this workflow")
    refused(ask("GET", url("greet", f"execution/{execution}/stream"), token=TOKEN), 404, missing, "nor a stream")
refused(ask("GET", url("greet", f"status/{id}"), token=GIVEN["triggers"]), 401, wrong, "a token that only triggers")

# --- Switching the webhook off, and on again ---------------------------------------------------------------------------------

def switch(workflow, body, token=None):
    return ask("PATCH", f"/api/v2/webhooks/workflows/{workflow}", body, token=token or GIVEN["manages"].get(workflow))


refused(switch("nothing", {"isEnable": False}), 404, "Workflow doesn't exists", "a workflow that there is not")
refused(switch("text", {"isEnable": False}, TOKENS["text"]), 401, wrong, "a token that does not manage")
for body in [{}, {"isEnable": "no"}, {"isEnable": None}]:
    refused(switch("text", body), 400, "isEnable must be a boolean value", f"{body}")
for _ in range(2):
    told(switch("text", {"isEnable": False}), 200, {"id": GIVEN["ids"]["text"], "isEnable": False}, "it is switched off")
    refused(trigger("text"), 403, "Webhook endpoint disabled or doesn't exists", "and starts nothing")
told(switch("text", {"isEnable": True}), 200, {"id": GIVEN["ids"]["text"], "isEnable": True}, "it is switched on")
same(trigger("text").status, 203, "and starts again")
refused(switch("closed", {"isEnable": True}), 403, "Webhook endpoint disabled or doesn't exists", "there is none to switch on")
told(switch("closed", {"isEnable": False}), 200, {"id": GIVEN["ids"]["closed"], "isEnable": False}, "it is off anyway")

# A caller that hangs up while its workflow runs leaves nothing half done.
there = connection()
there.request("POST", url("asks", "trigger"), headers={"Authorization": f"Bearer {TOKENS['asks']}"})
there.close()

done()
