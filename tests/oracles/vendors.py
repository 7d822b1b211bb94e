"""Deliveries that the vendors' own Python libraries have signed, or verify, one JSON object a line.

    PYTHONPATH=where/the/libraries/are python3 vendors.py

Where a library only verifies, the signature is made here, and the line is kept once the library takes it, and does not take it
with another body. Times are fixed, so the same libraries write the same table.
"""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timezone
from importlib.metadata import version

import discord_interactions
import nacl.signing
import standardwebhooks
import stripe
import svix.webhooks
import twilio.request_validator
from hubspot.utils.signature import Signature as HubSpot
from slack_sdk.signature import SignatureVerifier as Slack
from square.utils.webhooks_helper import verify_signature as square_verifies

SECONDS = 1_767_225_600
URL = "https://camshaft.example/hooks/test"
SECRETS = ["s3cret", "it's a \"secret\" of ümlauts & +/="]
NOTES = ["plain", "Grüße, 你好, 🙂", "tab\t quote\" slash/ back\\ \u2028", "x" * 2000]


def bodies(**fields):
    """Texts of one object: as machines write it, as people do, with characters escaped or not, behind a byte order mark."""
    for note in NOTES:
        value = fields | {"note": note}
        yield json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        yield json.dumps(value, indent=2).replace("\n", "\r\n")
    yield "\ufeff" + json.dumps(fields)


def line(adapter, library, secret, headers, body, field="signing_secret", at_ms=SECONDS * 1000, **more):
    request = {"headers": headers, "received_at": at_ms, **more.pop("request", {})}
    try:
        request["body"] = body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError:
        request["body_base64"] = base64.b64encode(body).decode()
    case = {"adapter": adapter, "library": library, "version": version(library), "secret": [field, secret], **more}
    print(json.dumps({**case, "request": request}))


def of_stripe():
    for secret in SECRETS:
        for body in bodies(id="evt_1", type="invoice.paid"):
            signature = stripe.WebhookSignature._compute_signature(f"{SECONDS}.{body}", secret)
            header = f"t={SECONDS},v1={signature}"
            assert stripe.WebhookSignature.verify_header(body, header, secret)
            line("stripe", "stripe", secret, {"Stripe-Signature": header}, body)


class Clock:
    def now(self):
        return SECONDS


def of_slack():
    form = "command=%2Fweather&text=94070+%C3%BC&team_id=T1&trigger_id=13345224609.738474920"
    for secret in SECRETS:
        slack = Slack(secret, clock=Clock())
        for body in [*bodies(type="event_callback", event={"type": "message"}), form]:
            signature = slack.generate_signature(timestamp=str(SECONDS), body=body.encode())
            assert slack.is_valid(body.encode(), str(SECONDS), signature)
            media_type = "application/x-www-form-urlencoded" if body == form else "application/json"
            headers = {"X-Slack-Request-Timestamp": str(SECONDS), "X-Slack-Signature": signature}
            line("slack", "slack_sdk", secret, headers | {"Content-Type": media_type}, body)


class Fields(dict):
    """A form whose fields may have several values."""

    def getlist(self, name):
        return self[name]


def of_twilio():
    from urllib.parse import urlencode

    forms = [
        {"CallSid": ["CA1"], "From": ["+14158675309"], "To": ["+18005551212"]},
        {"MessageSid": ["SM1"], "Body": ["Grüße & 你好 = 🙂"], "a": ["1"], "B": ["2"], "_": [""]},
        {"CallSid": ["CA1"], "Digit": ["3", "1", "3", "2"]},
    ]
    urls = [URL, f"{URL}?foo=1&bar=a%20b", URL.replace("example/", "example:8443/")]
    for secret in SECRETS[:1] + ["12345"]:
        validator = twilio.request_validator.RequestValidator(secret)
        for url in urls:
            query = url.partition("?")[2]
            for form in forms:
                signature = validator.compute_signature(url, Fields(form))
                assert validator.validate(url, Fields(form), signature)
                headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
                body = urlencode(list(form.items()), doseq=True)
                line("twilio", "twilio", secret, headers, body, request={"url": url, "query": query})
                # A shared key in place of the account's token.
                signature = validator.compute_signature(url, Fields(form), "HMAC_SHA256")
                settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
                algorithm = twilio.request_validator.get_signature_algorithm(settings)
                assert validator.validate(url, Fields(form), signature, algorithm)
                assert not validator.validate(url, Fields(form), signature)
                headers |= {"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": settings}
                line("twilio", "twilio", secret, headers, body, request={"url": url, "query": query})
        for body in bodies(type="com.twilio.test"):
            query = f"bodySHA256={hashlib.sha256(body.encode()).hexdigest()}"
            url = f"{URL}?{query}"
            signature = validator.compute_signature(url, {})
            assert validator.validate(url, body, signature)
            headers = {"X-Twilio-Signature": signature, "Content-Type": "application/json"}
            line("twilio", "twilio", secret, headers, body, request={"url": url, "query": query})


def of_standard_webhooks():
    at = datetime.fromtimestamp(SECONDS, timezone.utc)
    secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    for secret in secrets:
        for body in bodies(type="contact.created"):
            signature = standardwebhooks.Webhook(secret).sign("msg_1", at, body)
            headers = {"webhook-id": "msg_1", "webhook-timestamp": str(SECONDS), "webhook-signature": signature}
            line("standard-webhooks", "standardwebhooks", secret, headers, body)
            line("gitlab", "standardwebhooks", secret, headers | {"X-Gitlab-Event": "Push Hook"}, body)
            signature = svix.webhooks.Webhook(secret).sign("msg_1", at, body)
            headers = {"svix-id": "msg_1", "svix-timestamp": str(SECONDS), "svix-signature": signature}
            line("standard-webhooks", "svix", secret, headers, body)


def of_square():
    for secret in SECRETS:
        for body in bodies(type="payment.updated", event_id="1"):
            signature = hmac.new(secret.encode(), (URL + body).encode(), hashlib.sha256).digest()
            signature = base64.b64encode(signature).decode()
            asked = {"signature_header": signature, "signature_key": secret, "notification_url": URL}
            assert square_verifies(request_body=body, **asked) and not square_verifies(request_body=body + " ", **asked)
            line("square", "squareup", secret, {"x-square-hmacsha256-signature": signature}, body)


def of_hubspot():
    time = str(SECONDS * 1000)
    for secret in SECRETS:
        for body in bodies(eventId=1, subscriptionType="contact.creation"):
            for kind in ["v1", "v2", "v3"]:
                signature = HubSpot.get_signature(secret, body, kind, URL, "POST", time)
                header = "X-HubSpot-Signature-v3" if kind == "v3" else "X-HubSpot-Signature"
                headers = {header: signature, "X-HubSpot-Request-Timestamp": time}
                line("hubspot", "hubspot-api-client", secret, headers, body, config={"signature": kind})


def of_discord():
    for seed in SECRETS:
        key = nacl.signing.SigningKey(hashlib.sha256(seed.encode()).digest())
        public = key.verify_key.encode().hex()
        for body in bodies(type=2, id="1"):
            signature = key.sign(f"{SECONDS}{body}".encode()).signature.hex()
            assert discord_interactions.verify_key(body.encode(), signature, str(SECONDS), public)
            headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": str(SECONDS)}
            line("discord", "discord-interactions", public, headers, body)


def main():
    for vendor in [of_stripe, of_slack, of_twilio, of_standard_webhooks, of_square, of_hubspot, of_discord]:
        vendor()


if __name__ == "__main__":
    main()
