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
same(credentials(GIVEN["client_id"], GIVEN["client_secret"], "grant_type=password").json["error"], "unsupported_grant_type",
     "another grant")
same(ask("GET", "/v1/auth/token").status, 405, "an access token is asked for with POST")


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
bad_header = trigger(url("slow", "/sync"), headers={"Prefer": "wait=soon"})
same(bad_header.status, 400, f"a header: {bad_header!r}")
for headers in [{}, {"auth_header_name": "wrong"}]:
    answer = ask("POST", url("outputs"), {"body": [1, 2, 3]}, headers)
    same(answer.status, 401, f"the header's value: {answer!r}")
    holds(GIVEN["header_value"] not in answer.text, "which value it should have been is not told")
too_large = trigger(url("outputs"), body="x" * (1 << 20) + "x", headers={"Content-Type": "text/plain"})
same(too_large.status, 413, f"too large: {too_large!r}")
same(execution("00000000-0000-0000-0000-000000000000").status, 404, "an execution that there is not")
same(execution("nothing").status, 400, "what is no execution's id")
for wrong in ["", "nonsense", token[:-1], token + "0", GIVEN["client_id"], "csa_0_0_0"]:
    same(execution(id, wrong).status, 401, f"the token {wrong[:4]}…")
same(execution(id, GIVEN["other"]).status, 404, "the token of another workflow sees nothing of it")

done()
