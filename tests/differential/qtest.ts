/** QEMU under qtest: its devices driven from outside over a socket, no guest running (docs/devel/qtest.rst of QEMU). */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const PROGRAM = 'qemu-system-x86_64';
/** How long a start or an answer may take on a busy machine, milliseconds. */
const PATIENCE = 30_000;

export class QTest {
  readonly #process: ChildProcess;
  readonly #socket: Socket;
  #text = '';
  readonly #waiting: ((line: string) => void)[] = [];
  #interrupts: string[] = [];
  #ended = false;

  private constructor(child: ChildProcess, socket: Socket) {
    this.#process = child;
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#receive(text));
    const gone = (): void => {
      this.#ended = true;
      for (const answer of this.#waiting.splice(0)) answer('FAIL QEMU is gone');
    };
    socket.on('close', gone);
    socket.on('error', gone);
  }

  /** Starts QEMU with these options beside those of qtest; `path` is where its socket goes, `machine` what `-machine` says. */
  static async start(path: string, options: readonly string[], machine = 'q35'): Promise<QTest> {
    const base = ['-machine', machine, '-accel', 'tcg', '-S', '-m', '64', '-nodefaults', '-display', 'none'];
    const child = spawn(
      PROGRAM,
      [...base, '-qtest', `unix:${path},server=on,wait=off`, '-qtest-log', 'none', ...options],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let complaint = '';
    child.stderr?.on('data', (text: Buffer) => (complaint += text.toString()));
    child.on('error', (error) => (complaint += String(error)));
    const until = Date.now() + PATIENCE;
    while (Date.now() < until && child.exitCode === null && !complaint.includes('ENOENT')) {
      const socket = connect(path);
      const event = await Promise.race([
        once(socket, 'connect').then(() => 'connected' as const),
        once(socket, 'error').then(() => 'refused' as const),
      ]).catch(() => 'refused' as const);
      if (event === 'connected') return new QTest(child, socket);
      socket.destroy();
      await sleep(20);
    }
    child.kill('SIGKILL');
    throw new Error(`${PROGRAM} did not start: ${complaint}`);
  }

  #receive(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n')) {
      const line = this.#text.slice(0, end).trim();
      this.#text = this.#text.slice(end + 1);
      if (line.startsWith('IRQ')) {
        this.#interrupts.push(line);
        continue;
      }
      this.#waiting.shift()?.(line);
    }
  }

  /** Sends a command; what follows `OK` in the answer. Throws when QEMU says anything else. */
  async ask(command: string): Promise<string> {
    if (this.#ended) throw new Error(`QEMU is gone before: ${command}`);
    const answer = new Promise<string>((resolve) => this.#waiting.push(resolve));
    this.#socket.write(`${command}\n`);
    const line = await answer;
    if (!line.startsWith('OK')) throw new Error(`qtest: ${command.slice(0, 60)}: ${line}`);
    return line.slice(3);
  }

  /** `IRQ raise N` and `IRQ lower N` since the last call, after `irq_intercept_in ioapic`. */
  takeInterrupts(): string[] {
    const taken = this.#interrupts;
    this.#interrupts = [];
    return taken;
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    if (this.#process.exitCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}
