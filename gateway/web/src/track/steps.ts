import type { OrderStatus, StatusEvent } from "../live/frames";

export interface Step {
  name: string;
  state: "done" | "now" | "ahead";
  /** When it was reached, domain milliseconds. */
  atMs: number | null;
}

const STEPS: readonly { name: string; reached: readonly OrderStatus[] }[] = [
  { name: "Placed", reached: ["placed", "authorised"] },
  { name: "In the oven", reached: ["accepted"] },
  { name: "Rider found", reached: ["assigned"] },
  { name: "On its way", reached: ["picked_up"] },
  { name: "Delivered", reached: ["delivered", "completed"] },
];

const PLACE = new Map(STEPS.flatMap((step, index) => step.reached.map((status) => [status, index] as const)));

/** The five steps a customer knows; a step that was taken back (the rider gave the order up) lies ahead again. */
export function stepsOf(status: OrderStatus, events: readonly StatusEvent[]): Step[] {
  const last = Math.max(0, ...events.map((event) => PLACE.get(event.status) ?? 0));
  const now = PLACE.get(status) ?? last;
  return STEPS.map((step, index) => {
    const event = events.findLast((entry) => step.reached.includes(entry.status));
    const delivered = now === STEPS.length - 1;
    const state = index < now || (delivered && index === now) ? "done" : index === now ? "now" : "ahead";
    return { name: step.name, state, atMs: state === "ahead" ? null : (event?.at_ms ?? null) };
  });
}

/** One sentence for the top of the page. */
export function headline(status: OrderStatus): string {
  switch (status) {
    case "placed":
    case "authorised":
      return "Your order is placed";
    case "accepted":
      return "Your food is being made";
    case "assigned":
      return "A rider is on the way to the restaurant";
    case "picked_up":
      return "Your food is on its way";
    case "delivered":
    case "completed":
      return "Delivered. Enjoy!";
    case "cancelled":
      return "This order was cancelled";
    case "declined":
      return "The payment was declined";
    case "failed":
      return "Nobody could bring this order";
  }
}
