"""Check text that comes in: user ids, keys, tokens, reasons. What looks like a card number is refused in all of it."""

from __future__ import annotations

import re

from node.errors import Invalid
from orders.model import UserId

MAX_TEXT = 200
#: Characters that are searched for card numbers: the search takes time with their square, and longer keys and tokens
#: are refused anyhow.
_MAX_SEARCHED = 255

_KEY = re.compile(r"[\x21-\x7e]{8,128}")
_TOKEN = re.compile(r"[\x21-\x7e]{1,255}")
_CARD_NUMBER = re.compile(r"(?:\d[ -]?){12,18}\d")
# Within a text: a word of its own, or the digits of one (`card4242…`). Random ids are no numbers, though digits stand
# in a row in them: letters beside the digits are taken for a word's only if one of them is no hexadecimal digit.
_LETTERS = "(?:[A-Za-z]*[G-Zg-z][A-Za-z]*)?"
_CARD_WITHIN = re.compile(rf"(?<![0-9A-Za-z]){_LETTERS}([2-6](?:[ -]?\d){{12,18}}){_LETTERS}(?![0-9A-Za-z])")
#: One random UUID in thirty thousand has digits in a row, over its dashes, that would do for a card's.
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z])", re.IGNORECASE)


def checked_user(user_id: str) -> UserId:
    """The user's id, or `Invalid`."""
    return UserId(checked_text("user_id", user_id, 128))


def checked_key(key: str) -> str:
    """The idempotency key, or `Invalid`."""
    if len(key) <= _MAX_SEARCHED and (_CARD_NUMBER.fullmatch(key) or _holds_card_number(key)):
        raise _card_number("idempotency_key")
    if not _KEY.fullmatch(key):
        raise Invalid("idempotency_key", "8..128 printable ASCII characters without spaces", reason="BAD_KEY")
    return key


def checked_token(token: str) -> str:
    """The payment token, or `Invalid`; what looks like a card number is refused before it is stored anywhere."""
    if len(token) <= _MAX_SEARCHED and (_CARD_NUMBER.fullmatch(token) or _holds_card_number(token)):
        raise _card_number("payment_token")
    if not _TOKEN.fullmatch(token):
        raise Invalid("payment_token", "1..255 printable ASCII characters without spaces", reason="BAD_TOKEN")
    return token


def checked_reason(reason: str) -> str:
    """A reason in somebody's own words, or `Invalid`: may be empty."""
    return checked_text("reason", reason, MAX_TEXT, empty=True)


def _holds_card_number(text: str) -> bool:
    """Whether there is a number in it that could be a card's: 13 to 19 digits whose check digit is right (Luhn)."""
    for found in _CARD_WITHIN.findall(_UUID.sub(".", text)):
        digits = [int(sign) for sign in reversed(found) if sign.isdigit()]
        if sum(digits[::2]) % 10 == -sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2]) % 10:
            return True
    return False


def _card_number(field: str) -> Invalid:
    """The refusal, which does not repeat the number."""
    return Invalid(field, "this looks like a card number: it has no place here", reason="CARD_NUMBER")


def checked_text(field: str, text: str, longest: int, *, empty: bool = False) -> str:
    """Printable text of so many characters at most and without a card number, or `Invalid`."""
    if not text and not empty:
        raise Invalid(field, "must not be empty", reason="EMPTY")
    if len(text) > longest:
        raise Invalid(field, f"{len(text)} characters, at most {longest}", reason="TOO_LONG")
    if not text.isprintable():
        raise Invalid(field, "holds characters that cannot be printed", reason="BAD_TEXT")
    if _holds_card_number(text):
        raise _card_number(field)
    return text
