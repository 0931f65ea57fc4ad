/** QEMU's machine protocol over a socket: one command at a time, events put aside. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

interface Answer {
  return?: unknown;
  error?: { desc: string };
  event?: string;
  data?: Record<string, unknown>;
  QMP?: unknown;
}

export interface QmpEvent {
  name: string;
  data: Record<string, unknown>;
}

export class Qmp {
  readonly #socket: Socket;
  #text = '';
  /** Events since the last call of `takeEvents`. */
  #events: QmpEvent[] = [];
  #waiting: ((answer: Answer) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#receive(text));
    socket.on('error', () => this.#waiting?.({ error: { desc: 'QEMU is gone' } }));
  }

  static async connect(path: string): Promise<Qmp> {
    const socket = connect(path);
    await once(socket, 'connect');
    const qmp = new Qmp(socket);
    await qmp.ask('qmp_capabilities');
    return qmp;
  }

  #receive(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n')) {
      const answer = JSON.parse(this.#text.slice(0, end)) as Answer;
      this.#text = this.#text.slice(end + 1);
      if (answer.event !== undefined) this.#events.push({ name: answer.event, data: answer.data ?? {} });
      if (answer.event !== undefined || answer.QMP !== undefined) continue;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.(answer);
    }
  }

  /** Throws what QEMU says when it refuses. */
  async ask(execute: string, args: Record<string, unknown> = {}): Promise<unknown> {
    const answer = new Promise<Answer>((resolve) => (this.#waiting = resolve));
    this.#socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    const { error, return: value } = await answer;
    if (error !== undefined) throw new Error(`${execute}: ${error.desc}`);
    return value;
  }

  takeEvents(): QmpEvent[] {
    const taken = this.#events;
    this.#events = [];
    return taken;
  }

  close(): void {
    this.#socket.destroy();
  }
}
