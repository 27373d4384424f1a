"""Choose the offers to send to a rider's app, and when to send them again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tracking.engine.down_queue import Retracted
from tracking.model import Offer, Route

#: Pause before an offer is sent again that was neither seen nor answered, wall seconds: a little less than the second
#: between two questions of `TaskSync`.
RESEND_S = 0.9


@dataclass(slots=True)
class _Sent:
    expires_ms: int
    sent_s: float
    quiet: bool = False


@dataclass(slots=True)
class SessionOffers:
    """The offers of one session. Bounded by what the city's owner says is open for this rider."""

    _sent: dict[str, _Sent] = field(default_factory=dict)
    _route: tuple[int, int] = (0, -1)

    def due(self, open_now: Iterable[Offer], now_s: float) -> list[Offer]:
        """Offers to send now: never sent, or not seen and not answered since a second."""
        out = []
        for offer in open_now:
            sent = self._sent.get(offer.offer_id)
            if sent is None:
                self._sent[offer.offer_id] = _Sent(offer.expires_ms, now_s)
                out.append(offer)
            elif not sent.quiet and now_s - sent.sent_s >= RESEND_S:
                sent.sent_s = now_s
                out.append(offer)
        return out

    def gone(self, open_now: Iterable[Offer], domain_ms: int) -> list[Retracted]:
        """Offers that were sent and are not open any more. An answered one ends silently."""
        kept = {offer.offer_id for offer in open_now}
        out = []
        for offer_id in [known for known in self._sent if known not in kept]:
            sent = self._sent.pop(offer_id)
            if not sent.quiet or sent.expires_ms > domain_ms:
                out.append(Retracted(offer_id, "expired" if sent.expires_ms <= domain_ms else "retracted"))
        return out

    def seen(self, offer_id: str) -> None:
        """The app shows it: do not send it again."""
        if offer_id in self._sent:
            self._sent[offer_id].quiet = True

    def answered(self, offer_id: str) -> None:
        """The rider answered: neither send it again nor tell when it goes."""
        self.seen(offer_id)
        if offer_id in self._sent:
            self._sent[offer_id].expires_ms = 0

    def changed_route(self, route: Route, epoch: int) -> bool:
        """Whether the route is newer than the last one sent."""
        if (epoch, route.version) <= self._route:
            return False
        self._route = (epoch, route.version)
        return True

    @property
    def any(self) -> bool:
        """Whether there is an offer that may have gone."""
        return bool(self._sent)
