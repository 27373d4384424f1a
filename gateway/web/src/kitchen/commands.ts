export type Command =
  | { type: "accept"; order_id: string; seconds?: number }
  | { type: "reject"; order_id: string; reason?: string }
  | { type: "ready"; order_id: string }
  | { type: "ready_in"; order_id: string; seconds: number }
  | { type: "auto_accept"; on: boolean };

/**
 * Commands on their way. Each is sent until it is answered: a line that breaks loses nothing, and the server takes a
 * command that it has taken before for what it is.
 */
export class Commands {
  private readonly waiting = new Map<string, Command>();
  private number = 0;

  constructor(private readonly send: (text: string) => boolean) {}

  /** Sends a command. The same one again, while it waits for its answer, is not sent twice. */
  say(command: Command): void {
    const text = JSON.stringify(command);
    for (const known of this.waiting.values()) if (JSON.stringify(known) === text) return;
    const id = String(++this.number);
    this.waiting.set(id, command);
    this.send(JSON.stringify({ id, ...command }));
  }

  /** The line is there (again): everything without an answer is sent. */
  again(): void {
    for (const [id, command] of this.waiting) this.send(JSON.stringify({ id, ...command }));
  }

  /** The answer to a command has come. */
  answered(id: string): Command | undefined {
    const command = this.waiting.get(id);
    this.waiting.delete(id);
    return command;
  }

  /** Whether an order's command waits for its answer. */
  busy(orderId: string): boolean {
    return [...this.waiting.values()].some((command) => "order_id" in command && command.order_id === orderId);
  }
}
