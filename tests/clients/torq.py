"""A client of Torq, as its article "Trigger a Workflow with an Integration Trigger: Sync/Async Options" tells one to write it.

The article names the URLs by what they do and not by their paths, shows no token endpoint and no fields of an execution. Those,
and which body goes with which status, are from the notes on HTTP that go with it.
"""

import base64

from asking import GIVEN, ask, done, holds, looks, same, told

ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
SECRET = {"auth_header_name": GIVEN["header_value"]}
WEBHOOK = "/v1/webhooks/inbox"


def url(workflow, rest=""):
    return f"{WEBHOOK}/workflows/{workflow}{rest}"


def trigger(path, body=None, headers=(), method="POST"):
    return ask(method, path, {"body": [1, 2, 3]} if body is None else body, {**SECRET, **dict(headers)})


if GIVEN["limited"]:
    for _ in range(1_000):
        answer = trigger(url("outputs"))
        if answer.status != 200:
            break
    same(answer.status, 429, f"more than may start in a second: {answer!r}")
    same(list(answer.json), ["message"], "the fields of a refusal")
    looks(answer.json["message"], r"workspace `default` starts more than 1 executions a second; try again in \d+ s", "why")
    looks(answer.header("retry-after"), r"[1-9]\d*", "when to try again")
    done()
    raise SystemExit

# --- Get an access token -----------------------------------------------------------------------------------------------

def credentials(client, secret, grant="grant_type=client_credentials"):
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    kind = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    return ask("POST", "/v1/auth/token", grant, kind)


def access(answer):
    same(answer.status, 200, f"the token: {answer!r}")
    same(sorted(answer.json), ["access_token", "expires_in", "token_type"], "the fields of the token's answer")
    same((answer.json["token_type"], answer.json["expires_in"]), ("Bearer", 3600), "the token's kind and time")
    same(answer.header("cache-control"), "no-store", "nobody keeps the token's answer")
    return answer.json["access_token"]


token = access(credentials(GIVEN["client_id"], GIVEN["client_secret"]))
form = f"grant_type=client_credentials&client_id={GIVEN['client_id']}&client_secret={GIVEN['client_secret']}"
access(ask("POST", "/v1/auth/token", form, {"Content-Type": "application/x-www-form-urlencoded"}))
holds(GIVEN["client_secret"].rsplit("_", 1)[-1] not in token, "an access token does not show the secret")

unknown = {"error": "invalid_client", "error_description": "the client is unknown, or its secret is wrong"}
for client, secret in [
    (GIVEN["client_id"], "wrong"),
    (GIVEN["client_id"], ""),
    ("00000000-0000-0000-0000-000000000000", GIVEN["client_secret"]),
    ("nobody", GIVEN["client_secret"]),
]:
    answer = credentials(client, secret)
    told(answer, 401, unknown, f"credentials of {client}")
    same(answer.header("www-authenticate"), 'Basic realm="camshaft"', "what is asked for")
told(ask("POST", "/v1/auth/token"), 401, unknown, "no credentials")
told(ask("POST", "/v1/auth/token", headers={"Authorization": "Basic %%%"}), 401, unknown, "no base64")
told(credentials(GIVEN["client_id"], GIVEN["client_secret"], "grant_type=password"), 400,
     {"error": "unsupported_grant_type", "error_description": "`grant_type` is `password`: it is `client_credentials`"},
     "another grant")
told(ask("GET", "/v1/auth/token"), 405, {"error": "invalid_request", "error_description": "an access token is asked for with POST"},
     "with another method")


# --- Asynchronous: the execution's id, then its status and output ----------------------------------------------------------

def execution(id, token=token):
    return ask("GET", f"/public/v1alpha/executions/{id}", headers={"accept": "application/json"}, token=token)


def ended(id):
    for _ in range(100_000):
        shown = execution(id)
        same(shown.status, 200, f"an execution: {shown!r}")
        holds(shown.json["status"] in ["RUNNING", "ON_HOLD", "QUEUED", "SUCCESS", "FAILED"], f"its status: {shown.json}")
        if shown.json["status"] in ["SUCCESS", "FAILED"]:
            return shown.json
    raise SystemExit(f"execution {id} does not end")


begun = trigger(url("outputs"))
same(begun.status, 200, f"asynchronous: {begun!r}")
same(sorted(begun.json), ["execution_id", "status"], "the fields of an asynchronous answer")
same(begun.json["status"], "ok", "its status")
looks(begun.json["execution_id"], ID, "its execution's id")
shown = ended(begun.json["execution_id"])
same(sorted(shown), sorted(["id", "workflow_id", "workflow_name", "revision_id", "status", "output", "started_at",
                            "updated_at", "error"]), "the fields of an execution")
same(shown["id"], begun.json["execution_id"], "its id")
same((shown["workflow_name"], shown["workflow_id"]), ("outputs", GIVEN["ids"]["outputs"]), "its workflow")
same(shown["revision_id"], f"{GIVEN['ids']['outputs']}/1", "its revision")
same((shown["status"], shown["output"], shown["error"]), ("SUCCESS", {"sum": 6, "of": [1, 2, 3]}, None), "what it put out")
looks(shown["started_at"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "when it began")
looks(shown["updated_at"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "when it changed")

begun = trigger(url("failing"))
shown = ended(begun.json["execution_id"])
same((shown["status"], shown["output"], shown["error"]), ("FAILED", None, "failed: it was told to"), "one that failed")

# --- Every workflow of the integration ---------------------------------------------------------------------------------------

all_of_them = trigger(WEBHOOK)
same(all_of_them.status, 200, f"all workflows: {all_of_them!r}")
same(sorted(all_of_them.json), ["executions", "status"], "the fields for all workflows")
started = sorted(one["workflow"] for one in all_of_them.json["executions"])
same(started, ["answer", "cors", "failing", "outputs", "slow", "text"], "those that are published are started, and no other")

# --- Synchronous: the workflow's own answer ---------------------------------------------------------------------------------

told(trigger(url("outputs", "/sync")), 200, {"sum": 6, "of": [1, 2, 3]}, "the output parameters")
answer = trigger(url("answer", "/sync"))
told(answer, 202, {"taken": [1, 2, 3]}, "body, status and headers are the response")
same(answer.header("content-type"), "application/json", "the content type where nothing is said")
same(answer.header("x-from"), "the workflow", "a header of the workflow's")
answer = trigger(url("text", "/sync"))
same((answer.status, answer.header("content-type"), answer.text), (200, "text/csv", "a,b\n1,2\n"), "another content type")
failed = trigger(url("failing", "/sync"))
id = failed.json["execution-id"]
looks(id, ID, "the id of one that failed")
told(failed, 200, {"execution-id": id, "message": "Workflow execution failed due to error"}, "a failed execution")

answer = trigger(url("slow", "/sync"), headers={"Prefer": "wait=0"})
id = answer.json["execution_id"]
told(answer, 201, {"execution_id": id, "status": "in_progress"}, "one that takes longer than the caller waits")
same(answer.header("location"), f"/public/v1alpha/executions/{id}", "where its result will be")
holds(execution(id).json["status"] in ["RUNNING", "ON_HOLD"], "it goes on")

preflight = ask("OPTIONS", url("cors", "/sync"), headers={**SECRET, "Origin": "https://shop.example"})
same((preflight.status, preflight.header("access-control-allow-origin"), preflight.body),
     (204, "https://shop.example", b""), "a preflight is answered by the workflow")
told(trigger(url("cors", "/sync")), 200, {"method": "POST"}, "and any other request differently")

# --- Troubleshooting ----------------------------------------------------------------------------------------------------------

for path, status, named in [
    ("/v1/webhooks/No%20Such", 400, "integration id `No Such`"),
    (url("UPPER"), 400, "workflow id `UPPER`"),
    ("/v1/webhooks/nobody", 404, "integration `nobody`"),
    (url("nothing", "/sync"), 404, "workflow `nothing`"),
    (url("draft", "/sync"), 404, "workflow `draft`"),
]:
    answer = trigger(path)
    same(answer.status, status, f"{path}: {answer!r}")
    holds(named in answer.json["message"], f"{path}: {answer.json}")
told(trigger(url("slow", "/sync"), headers={"Prefer": "wait=soon"}), 400,
     {"message": "header `prefer` has the value `wait=soon`: `wait` is a whole number of seconds"}, "a header")
for headers, why in [({}, "auth_header_name"), ({"auth_header_name": "wrong"}, "the token is not the right one")]:
    answer = ask("POST", url("outputs"), {"body": [1, 2, 3]}, headers)
    same((answer.status, list(answer.json)), (401, ["message"]), f"the header's value: {answer!r}")
    holds(why in answer.json["message"], f"what is wrong with it: {answer.json}")
    holds(GIVEN["header_value"] not in answer.text, "which value it should have been is not told")
too_large = trigger(url("outputs"), body="x" * (1 << 20) + "x", headers={"Content-Type": "text/plain"})
told(too_large, 413, {"message": "the body is larger than 1048576 bytes"}, "too large")


def problem(answer, status, word, detail, what):
    same(answer.header("content-type"), "application/problem+json", what)
    same((answer.status, answer.json["status"], answer.json["type"], answer.json["detail"]),
         (status, status, f"urn:camshaft:problem:{word}", detail), what)


nobody = "00000000-0000-0000-0000-000000000000"
problem(execution(nobody), 404, "not-found", f"there is no execution `{nobody}`", "an execution that there is not")
same((execution("nothing").status, "`nothing`" in execution("nothing").json["detail"]), (400, True), "what is no execution's id")
for wrong in ["nonsense", token[:-1], token + "0", GIVEN["client_id"], "csa_0_0_0"]:
    problem(execution(id, wrong), 401, "unauthorized", "the token is unknown, expired or revoked", f"the token {wrong[:4]}…")
same(execution(id, "").status, 401, "an empty token")
problem(execution(id, GIVEN["other"]), 404, "not-found", f"there is no execution `{id}`",
        "the token of another workflow sees nothing of it")

# --- What stands in line, and what somebody stops ---------------------------------------------------------------------------------

def becomes(id, word):
    for _ in range(100_000):
        shown = execution(id).json
        if shown["status"] == word:
            return shown
    raise SystemExit(f"{shown} does not become {word}")


first, second = [trigger(url("one-at-a-time"), {"line": True}).json["execution_id"] for _ in range(2)]
becomes(first, "ON_HOLD")
queued = becomes(second, "QUEUED")
same((queued["started_at"], queued["output"], queued["error"]), (None, None, None), "one in line has not begun")
answer = ask("POST", f"/api/v1/executions/{first}/cancel", token=GIVEN["admin"])
same(answer.status, 202, f"somebody stops the one before: {answer!r}")
same(becomes(first, "STOPPED")["output"], None, "it puts nothing out")
looks(becomes(second, "ON_HOLD")["started_at"], r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "the next one begins")

done()
