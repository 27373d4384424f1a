"""Values of received events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from node.documents import MAX_INTEGER
from orders.messaging.value_checks import checked_version, escape_nuls
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from proto.orders.v1.order_event_pb2 import OrderEvent
from proto.payments.v1.payment_event_pb2 import ActionRequired, PaymentEvent


def fields_of(message: Descriptor) -> Iterator[FieldDescriptor]:
    """All fields, those of the messages within too."""
    for field in message.fields:
        yield field
        if field.message_type is not None:
            yield from fields_of(field.message_type)


@pytest.mark.parametrize("event", [DispatchEvent, OrderEvent, PaymentEvent])
def test_no_event_repeats_a_field(event: type[DispatchEvent] | type[OrderEvent] | type[PaymentEvent]) -> None:
    """The path of a text is the names of its fields."""
    assert [field.full_name for field in fields_of(event.DESCRIPTOR) if field.is_repeated] == []


def test_each_nul_is_escaped_and_its_text_named() -> None:
    """Other texts stay as they are."""
    event = PaymentEvent(event_id="\0e", action_required=ActionRequired(kind="a\0b\0", client_secret="c\\0é"))
    assert escape_nuls(event) == "event_id, action_required.kind: holds a NUL, stored as \\x00; its version counts"
    escaped = ActionRequired(kind="a\\x00b\\x00", client_secret="c\\0é")
    assert event == PaymentEvent(event_id="\\x00e", action_required=escaped)
    assert escape_nuls(event) == ""


def test_a_version_fits_into_a_column() -> None:
    """Up to the last one that does."""
    assert checked_version(MAX_INTEGER) == MAX_INTEGER
    with pytest.raises(ValueError, match=r"^version: 9223372036854775808 is not in 0\.\."):
        checked_version(MAX_INTEGER + 1)
