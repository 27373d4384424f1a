"""The part of Stripe's API that payments use, as a process: `python -m tests.integration.stripe_peer PORT SECRET`.

For what localstripe cannot do: idempotency keys that are honoured (the first answer again; another body is an error;
one under way is a conflict), answers that are lost after the deed, authentication with its webhooks, webhooks that come
again, refunds that are refused. It behaves as Stripe's reference says, and refuses parameters that it does not know.

The payment method says what happens: pm_ok, pm_declined, pm_sca, pm_lost (the first answer to each request is lost),
pm_busy (each first request is told that its key is in use), pm_away (each first request fails with 503).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_KNOWN = {
    "create": {
        "amount", "currency", "capture_method", "confirm", "payment_method_types[0]", "metadata[order_id]",
        "metadata[forno_key]", "payment_method", "payment_method_data[type]", "payment_method_data[card][token]",
    },
    "capture": {"amount_to_capture"},
    "cancel": set[str](),
    "refund": {"payment_intent", "amount", "metadata[forno_key]"},
}  # fmt: skip

Form = dict[str, str]


class Refused(Exception):
    """An error as Stripe tells it."""

    def __init__(self, status: int, code: str, kind: str = "invalid_request_error", **more: str) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": f"refused: {code}", **more}}


@dataclass
class Shop:
    """State of the peer. One lock around all of it."""

    secret: str
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: count[int] = field(default_factory=lambda: count(1))
    intents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[str, int, bytes]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    keyless: int = 0
    webhook_url: str = ""

    def create(self, form: Form) -> dict[str, Any]:
        method = form.get("payment_method") or form.get("payment_method_data[card][token]", "")
        number = next(self.numbers)
        intent: dict[str, Any] = {
            "id": f"pi_{number}", "object": "payment_intent", "amount": int(form["amount"]), "amount_received": 0,
            "currency": form["currency"], "capture_method": form["capture_method"], "payment_method": method,
            "client_secret": f"pi_{number}_secret_{number * 7919}", "next_action": None, "last_payment_error": None,
            "metadata": {"order_id": form["metadata[order_id]"], "forno_key": form["metadata[forno_key]"]},
        }  # fmt: skip
        if intent["amount"] <= 0:
            raise Refused(400, "parameter_invalid_integer")
        self.intents[intent["id"]] = intent
        if method == "pm_declined":
            intent["status"] = "requires_payment_method"
            raise Refused(402, "card_declined", "card_error", decline_code="insufficient_funds")
        if method in ("pm_sca", "tok_sca"):
            sdk = {"type": "three_d_secure_redirect"}
            intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}}
        else:
            intent["status"] = "requires_capture"
            self.tell("amount_capturable_updated", intent)
        return intent

    def capture(self, intent: dict[str, Any], form: Form) -> dict[str, Any]:
        if intent["status"] != "requires_capture":
            raise Refused(400, "payment_intent_unexpected_state")
        intent |= {"status": "succeeded", "amount_received": int(form["amount_to_capture"])}
        self.tell("succeeded", intent)
        return intent

    def cancel(self, intent: dict[str, Any], form: Form) -> dict[str, Any]:
        if intent["status"] not in ("requires_capture", "requires_action", "requires_payment_method"):
            raise Refused(400, "payment_intent_unexpected_state")
        intent |= {"status": "canceled", "next_action": None}
        self.tell("canceled", intent)
        return intent

    def refund(self, form: Form) -> dict[str, Any]:
        intent, amount = self.intents[form["payment_intent"]], int(form["amount"])
        given = sum(one["amount"] for one in self.refunds if one["payment_intent"] == intent["id"])
        if intent["status"] != "succeeded" or given + amount > intent["amount_received"]:
            raise Refused(400, "charge_already_refunded" if given else "amount_too_large")
        refund = {
            "id": f"re_{next(self.numbers)}", "object": "refund", "amount": amount, "status": "succeeded",
            "payment_intent": intent["id"], "metadata": {"forno_key": form["metadata[forno_key]"]},
        }  # fmt: skip
        self.refunds.append(refund)
        return refund

    def authenticate(self, intent: dict[str, Any], secret: str, *, well: bool) -> dict[str, Any]:
        """Do what the customer does in the browser, with the secret they were given."""
        if secret != intent["client_secret"] or intent["status"] != "requires_action":
            raise Refused(400, "payment_intent_unexpected_state")
        intent["next_action"] = None
        if well:
            intent["status"] = "requires_capture"
            self.tell("amount_capturable_updated", intent)
        else:
            failure = {"code": "payment_intent_authentication_failure", "type": "card_error"}
            intent |= {"status": "requires_payment_method", "last_payment_error": failure}
            self.tell("payment_failed", intent)
        return intent

    def tell(self, what: str, intent: dict[str, Any]) -> None:
        """A webhook, a moment later."""
        event = {
            "id": f"evt_{next(self.numbers)}", "object": "event", "type": f"payment_intent.{what}",
            "data": {"object": dict(intent)},
        }  # fmt: skip
        self.events.append(event)
        self.send(event)

    def send(self, event: dict[str, Any]) -> None:
        if self.webhook_url:
            threading.Thread(target=_post, args=(self.webhook_url, self.secret, event), daemon=True).start()


def signature(secret: str, body: bytes, at_s: int) -> str:
    """The header that Stripe sends with a webhook."""
    signed = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={signed}"


def _post(url: str, secret: str, event: dict[str, Any]) -> None:
    body = json.dumps(event).encode()
    headers = {"Stripe-Signature": signature(secret, body, int(time.time())), "Content-Type": "application/json"}
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=5).close()
    except (OSError, urllib.error.HTTPError) as error:  # Stripe would try again later: the test does so itself
        print(f"webhook not taken: {error!r}", file=sys.stderr)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    shop: Shop

    def do_GET(self) -> None:
        path, shop = urlsplit(self.path), self.shop
        query = dict(parse_qsl(path.query))
        with shop.lock:
            if path.path == "/_peer/state":
                state = {"intents": list(shop.intents.values()), "refunds": shop.refunds, "keyless": shop.keyless}
                return self._say(200, state | {"events": shop.events, "calls": shop.calls})
            if path.path == "/v1/refunds":
                mine = [one for one in shop.refunds if one["payment_intent"] == query["payment_intent"]]
                return self._say(200, {"object": "list", "data": mine, "has_more": False})
            if path.path == "/v1/payment_intents/search":
                wanted = query["query"].removeprefix("metadata['forno_key']:'").removesuffix("'")
                found = [one for one in shop.intents.values() if one["metadata"]["forno_key"] == wanted]
                return self._say(200, {"object": "search_result", "data": found, "has_more": False})
            intent = shop.intents.get(path.path.rpartition("/")[2])
            if intent is None:
                return self._say(404, Refused(404, "resource_missing").body)
            return self._say(200, intent)

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()))
        if self.path.startswith("/_peer/"):
            return self._control(form)
        if self.headers.get("Authorization") != "Bearer sk_test_peer":
            return self._say(401, Refused(401, "api_key_invalid").body)
        key = self.headers.get("Idempotency-Key", "")
        with self.shop.lock:
            first, status, body = self._answer(key, form)
        if first and self._method(form) == "pm_lost":
            self.close_connection = True  # it was done; nobody hears of it
            return None
        self.send_response(status)
        return self._end(body, replayed=not first)

    def _answer(self, key: str, form: Form) -> tuple[bool, int, bytes]:
        shop, asked = self.shop, f"{self.path} {sorted(form.items())}"
        if not key:
            shop.keyless += 1
            key = f"none-{next(shop.numbers)}"
        shop.calls[key] = shop.calls.get(key, 0) + 1
        if key in shop.answers:
            known, status, body = shop.answers[key]
            if known != asked:
                return False, 400, json.dumps(Refused(400, "idempotency_key_reused", "idempotency_error").body).encode()
            return False, status, body
        method = self._method(form)
        if shop.calls[key] == 1 and method == "pm_busy":
            return True, 409, json.dumps(Refused(409, "idempotency_key_in_use", "idempotency_error").body).encode()
        if shop.calls[key] == 1 and method == "pm_away":
            return True, 503, b"{}"
        try:
            status, answer = 200, self._do(form)
        except Refused as refused:
            status, answer = refused.status, refused.body
        body = json.dumps(answer).encode()
        shop.answers[key] = (asked, status, body)
        return True, status, body

    def _do(self, form: Form) -> dict[str, Any]:
        shop, parts = self.shop, self.path.strip("/").split("/")
        what = {"refunds": "refund", "payment_intents": "create"}[parts[1]] if len(parts) == 2 else parts[3]
        if strange := form.keys() - _KNOWN[what]:
            raise Refused(400, "parameter_unknown", param=", ".join(strange))
        if what in ("create", "refund"):
            made: dict[str, Any] = getattr(shop, what)(form)
            return made
        if parts[2] not in shop.intents:
            raise Refused(404, "resource_missing")
        moved: dict[str, Any] = getattr(shop, what)(shop.intents[parts[2]], form)
        return moved

    def _method(self, form: Form) -> str:
        """The payment method that the request is about."""
        parts = self.path.strip("/").split("/")
        name = form.get("payment_intent") or (parts[2] if len(parts) > 2 else "")
        intent = self.shop.intents.get(name)
        return str(intent["payment_method"]) if intent else form.get("payment_method", "")

    def _control(self, form: Form) -> None:
        shop, what = self.shop, self.path.removeprefix("/_peer/")
        with shop.lock:
            if what == "webhooks":
                shop.webhook_url = form["url"]
            elif what == "resend":
                for event in shop.events:
                    shop.send(event)
            elif what == "forget_keys":
                shop.answers.clear()
            elif what == "authenticate":
                well = form["well"] == "yes"
                return self._say(200, shop.authenticate(shop.intents[form["id"]], form["client_secret"], well=well))
        return self._say(200, {})

    def _say(self, status: int, answer: object) -> None:
        self.send_response(status)
        self._end(json.dumps(answer).encode())

    def _end(self, body: bytes, *, replayed: bool = False) -> None:
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if replayed:
            self.send_header("Idempotent-Replayed", "true")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def main() -> None:
    """Serves until killed."""
    Handler.shop = Shop(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
