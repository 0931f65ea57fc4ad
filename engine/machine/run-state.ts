/** Whether the machine runs, as QEMU's run state (softmmu/runstate.c, QAPI `RunState`) as far as the devices need it. */

export type RunStatus = 'running' | 'paused' | 'io-error';

export class RunState {
  #status: RunStatus = 'running';
  readonly #listeners: ((status: RunStatus) => void)[] = [];

  get status(): RunStatus {
    return this.#status;
  }
  get running(): boolean {
    return this.#status === 'running';
  }

  /** `vm_stop`: the virtual CPUs and the devices begin nothing new. What is under way goes on. */
  stop(status: Exclude<RunStatus, 'running'>): void {
    this.#set(status);
  }

  /** QMP's `cont`: devices try again what made them stop. */
  cont(): void {
    this.#set('running');
  }

  /** Calls `listener` after every change; answers how to end that. */
  onChange(listener: (status: RunStatus) => void): () => void {
    this.#listeners.push(listener);
    return () => void this.#listeners.splice(this.#listeners.indexOf(listener), 1);
  }

  #set(status: RunStatus): void {
    if (this.#status === status) return;
    this.#status = status;
    for (const listener of this.#listeners.slice()) listener(status);
  }
}
