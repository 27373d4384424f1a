/** The state of a connection, for people. */
export type Link =
  | { kind: "connecting" }
  | { kind: "live" }
  | { kind: "reconnecting"; attempt: number }
  | { kind: "ended"; reason: string }
  | { kind: "refused"; code: number; reason: string };

export interface SocketEvents<Frame> {
  onFrame(frame: Frame): void;
  onLink(link: Link): void;
  /** The address for the next attempt; it may carry how far we had come. */
  url(): string;
}

const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5000;
/** The server says something at least every ten seconds; a longer silence is a dead line, whatever the browser thinks. */
const SILENCE_MS = 25_000;

/** Wait before attempt n (1, 2, …): doubling, with jitter so that a thousand pages do not come back at once. */
export function waitMs(attempt: number, random: () => number = Math.random): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1)) * (0.5 + random() / 2);
}

/** A close after which trying again is of no use. */
export function isFinal(code: number): boolean {
  return code === 1000 || code === 1008 || code === 4400 || code === 4401 || code === 4403 || code === 4404;
}

/** A WebSocket that comes back by itself until it is told not to. */
export class LiveSocket<Frame> {
  private socket: WebSocket | null = null;
  private attempt = 0;
  private timer = 0;
  private silence = 0;
  private stopped = false;

  constructor(private readonly events: SocketEvents<Frame>) {}

  open(): void {
    this.events.onLink(this.attempt === 0 ? { kind: "connecting" } : { kind: "reconnecting", attempt: this.attempt });
    const socket = new WebSocket(this.events.url());
    this.socket = socket;
    socket.onmessage = (message: MessageEvent<string>) => {
      if (socket !== this.socket) return;
      this.attempt = 0;
      this.listen();
      this.events.onFrame(JSON.parse(message.data) as Frame);
    };
    socket.onopen = () => {
      this.events.onLink({ kind: "live" });
      this.listen();
    };
    socket.onclose = (event) => {
      if (socket === this.socket) this.closed(event.code, event.reason);
    };
  }

  /** Says something; false when there is no line to say it on. */
  send(text: string): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(text);
    return true;
  }

  close(): void {
    this.stopped = true;
    window.clearTimeout(this.timer);
    window.clearTimeout(this.silence);
    this.socket?.close();
    this.socket = null;
  }

  private listen(): void {
    window.clearTimeout(this.silence);
    this.silence = window.setTimeout(() => this.socket?.close(4000, "silence"), SILENCE_MS);
  }

  private closed(code: number, reason: string): void {
    window.clearTimeout(this.silence);
    if (this.stopped) return;
    if (code === 1000) return this.events.onLink({ kind: "ended", reason });
    if (isFinal(code)) return this.events.onLink({ kind: "refused", code, reason });
    this.attempt += 1;
    this.events.onLink({ kind: "reconnecting", attempt: this.attempt });
    this.timer = window.setTimeout(() => this.open(), waitMs(this.attempt));
  }
}
