/** The running lab: its state, the newest frame, what of it is selected, and the buttons of the recorder. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';
import { LAB_PORT_TAG, type LabPortMessage } from '#contract/calls.ts';
import type { PlainError } from '#contract/error.ts';
import type { LabFrame, LabFrameRequest, LabId, LabRunState, LabStatus, StepKind } from '#contract/lab.ts';
import type { Workload } from '#contract/settings.ts';
import type { AttackInfo, AttackResult } from '#contract/lab-attacks.ts';
import type { DetailView } from '#contract/lab-details.ts';
import { asPlainError, platter } from '../lib/platter.ts';
import type { WantedField } from '../workspaces/lab/details.ts';
import { FramePump, rowsWanted } from '../workspaces/lab/frames.ts';
import { History } from '../workspaces/lab/history.ts';
import { Rates } from '../workspaces/lab/rates.ts';
import { useAppStore } from './app.ts';
import { DEFAULT_WORKLOAD, useLineDisks } from './lab-disks.ts';
import { useMachineStore } from './machine.ts';

/** What the work area shows. */
export type LabView = 'path' | 'device' | 'hostile';
export type Clock = 'real' | 'model';

const STATIONS = 14;
/** Between two frames while nothing runs or nothing of the lab is on the screen, in milliseconds. */
const REST_MS = 250;
/** Between two looks at the device's registers while the lab runs, in milliseconds: nobody reads faster. */
const DETAILS_MS = 200;

export const useLabStore = defineStore('lab', () => {
  const app = useAppStore();
  const machine = useMachineStore();
  const status = shallowRef<LabStatus | null>(null);
  const frame = shallowRef<LabFrame | null>(null);
  /** Why the last button had no effect; cleared by the next one. */
  const error = ref<PlainError | null>(null);
  const busy = ref(false);

  const clock = ref<Clock>('model');
  const speed = ref<number | null>(null);
  /** Of the disks that are run the one that is looked at. */
  const disk = ref(0);
  const queue = ref(0);
  /** The selected request, or null: then the newest one stands for it. */
  const request = ref<number | null>(null);
  /** Whether the event list shows the selected request only. */
  const onlyRequest = ref(false);
  /** First event in view, or null to follow the newest. */
  const top = ref<number | null>(null);
  const rowsInView = ref(0);
  /** Events that the timeline wants around those of the list. */
  const timelineRows = ref(0);
  /** Whether the lab's workspace is on the screen. */
  const visible = ref(false);

  const view = ref<LabView>('path');
  /** The section of the device's registers that is shown, and the newest look at it. */
  const section = ref('');
  const details = shallowRef<DetailView | null>(null);
  /** The field that is to be chosen there, until it is found. */
  const wantedField = shallowRef<WantedField | null>(null);
  let detailsAt = -Infinity;
  /** What a hostile driver can try, and what came of what it tried on this machine. */
  const attacks = shallowRef<AttackInfo[]>([]);
  const attackResults = shallowRef<ReadonlyMap<string, AttackResult>>(new Map());

  /** What the present machine was built from. */
  const builtFrom = shallowRef<{ line: string; bindings: string; configs: string; workload: string } | null>(
    null,
  );

  const rates = new Rates(STATIONS);
  const totals = new Rates(1);
  const history = new History();
  const stationRates = shallowRef<Float64Array>(rates.values.slice());
  const eventsPerSecond = ref(0);
  const historyVersion = ref(0);

  const workload = computed<Workload>({
    get: () => app.session.workload ?? DEFAULT_WORKLOAD,
    set: (value) => {
      app.session.workload = value;
    },
  });
  const { disks, chosen, isBound, choose, findDisks } = useLineDisks(machine, workload);
  const source = computed(() => ({
    line: machine.text,
    bindings: JSON.stringify(machine.bindings),
    configs: JSON.stringify(machine.configs),
    workload: JSON.stringify(workload.value),
  }));
  /** What was changed since the machine was built and counts from the next one on. */
  const changed = computed(() => {
    const from = status.value === null ? null : builtFrom.value;
    return {
      line:
        from !== null &&
        (from.line !== source.value.line ||
          from.bindings !== source.value.bindings ||
          from.configs !== source.value.configs),
      workload: from !== null && from.workload !== source.value.workload,
    };
  });
  const state = computed<LabRunState | null>(() =>
    status.value === null ? null : status.value.process === 'crashed' ? 'failed' : status.value.state,
  );
  const running = computed(() => state.value === 'running');
  const failure = computed<PlainError | null>(
    () => error.value ?? status.value?.error ?? frame.value?.error ?? null,
  );
  /** How much of the queue's descriptor table is held, 0 to 1. */
  const ringFill = computed(() => {
    const shown = frame.value?.queue;
    if (!shown || shown.size === 0) return 0;
    let held = 0;
    for (const id of shown.requestOf) if (id !== 0) held++;
    return held / shown.size;
  });

  // ---- The port and its frames. ----

  const ports = new Map<LabId, MessagePort>();
  let pump: FramePump | null = null;
  let rest: ReturnType<typeof setTimeout> | undefined;
  let stale = true;

  addEventListener('message', (event: MessageEvent<Partial<LabPortMessage> | null>) => {
    const port = event.ports[0];
    if (event.data?.tag !== LAB_PORT_TAG || event.data.lab === undefined || port === undefined) return;
    ports.set(event.data.lab, port);
    connect();
  });
  platter.on('lab.changed', (changed) => {
    if (changed.id !== status.value?.id) return;
    status.value = changed;
    touch();
  });
  watch([visible, top, rowsInView, timelineRows, request, onlyRequest, queue, disk], touch);
  watch(disk, () => {
    queue.value = 0;
    attackResults.value = new Map();
    if (attacks.value.length > 0) void loadAttacks();
  });
  watch([() => machine.text, () => machine.configs, visible], () => {
    if (visible.value) void findDisks();
  });
  watch([view, section, disk, () => status.value?.id], () => {
    detailsAt = -Infinity;
    touch();
  });

  function connect(): void {
    const id = status.value?.id;
    const port = id === undefined ? undefined : ports.get(id);
    if (id === undefined || port === undefined) return;
    ports.delete(id);
    pump?.close();
    pump = new FramePump(port, wanted, deliver, {
      requestFrame: (callback) => requestAnimationFrame(callback),
      cancelFrame: (handle) => cancelAnimationFrame(handle),
    });
  }

  function wanted(): Omit<LabFrameRequest, 'seq'> | null {
    if (!stale || document.hidden) return null;
    stale = false;
    const rows = rowsWanted({
      visible: visible.value,
      only: onlyRequest.value ? request.value : null,
      top: top.value,
      inView: rowsInView.value,
      around: timelineRows.value,
    });
    return { ...rows, queue: queue.value, disk: disk.value, details: wantedDetails() };
  }

  function wantedDetails(): string | null {
    const now = performance.now();
    if (!visible.value || view.value !== 'device' || now - detailsAt < DETAILS_MS) return null;
    detailsAt = now;
    return section.value;
  }

  function deliver(next: LabFrame): void {
    const now = performance.now();
    rates.update(next.stationEvents, now);
    totals.update([next.totalEvents], now);
    stationRates.value = rates.values.slice();
    eventsPerSecond.value = totals.values[0];
    if (history.add(next, now)) historyVersion.value++;
    frame.value = next;
    if (next.details !== null) details.value = next.details;
    if (status.value && status.value.state !== next.status)
      status.value = { ...status.value, state: next.status };
    if (next.status === 'running' && visible.value) {
      stale = true;
      return;
    }
    clearTimeout(rest);
    rest = setTimeout(touch, REST_MS);
  }

  /** Something changed: the next frame is asked for at once. */
  function touch(): void {
    stale = true;
    pump?.wake();
  }
  document.addEventListener('visibilitychange', touch);

  // ---- The buttons. ----

  async function guarded(action: () => Promise<void>): Promise<void> {
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    try {
      await action();
    } catch (thrown) {
      error.value = asPlainError(thrown);
    } finally {
      busy.value = false;
      touch();
    }
  }

  /** A new machine out of the present line, bindings and workload; the one before is closed. */
  async function build(): Promise<LabId> {
    await findDisks();
    await dispose();
    reset();
    builtFrom.value = source.value;
    const made = await platter.call('lab.create', {
      line: machine.text,
      bindings: machine.bindings,
      configs: machine.configs,
      workload: { ...workload.value, disks: workload.value.disks === undefined ? undefined : chosen.value },
      qemuVersion: app.settings.qemuVersion,
    });
    status.value = made;
    connect();
    if (speed.value !== null) await platter.call('lab.speed', made.id, speed.value);
    return made.id;
  }

  async function dispose(): Promise<void> {
    const id = status.value?.id;
    clearTimeout(rest);
    pump?.close();
    pump = null;
    status.value = null;
    if (id !== undefined) await platter.call('lab.close', id);
  }

  function reset(): void {
    frame.value = null;
    details.value = null;
    attacks.value = [];
    attackResults.value = new Map();
    rates.reset();
    totals.reset();
    history.reset();
    stationRates.value = rates.values.slice();
    eventsPerSecond.value = 0;
    historyVersion.value++;
    request.value = null;
    onlyRequest.value = false;
    top.value = null;
    disk.value = 0;
    queue.value = 0;
  }

  /** The machine as it stands, or a new one when there is none or it has come to its end. */
  async function current(): Promise<LabId> {
    const id = status.value?.id;
    const over = state.value === null || state.value === 'finished' || state.value === 'failed';
    return id === undefined || over ? await build() : id;
  }

  const run = () =>
    guarded(async () => {
      await platter.call('lab.run', await current());
    });
  const pause = () =>
    guarded(async () => {
      if (status.value) await platter.call('lab.pause', status.value.id);
    });
  const runPause = () => (running.value ? pause() : run());
  const step = (kind: StepKind) =>
    guarded(async () => {
      await platter.call('lab.step', await current(), kind);
    });
  /** From the beginning with the present line and workload. */
  const restart = () =>
    guarded(async () => {
      await platter.call('lab.run', await build());
    });
  const close = () =>
    guarded(async () => {
      await dispose();
      reset();
    });
  const setSpeed = (value: number | null) =>
    guarded(async () => {
      speed.value = value;
      if (status.value) await platter.call('lab.speed', status.value.id, value);
    });
  const saveTrace = () =>
    guarded(async () => {
      if (status.value) await platter.call('lab.saveTrace', status.value.id);
    });

  /** What can be tried on the machine as it stands. */
  async function loadAttacks(): Promise<void> {
    const id = status.value?.id;
    if (id === undefined || status.value?.process !== 'running') return;
    attacks.value = await platter.call('lab.attacks', id, disk.value);
  }
  /** Tries these one after the other. */
  const attack = (ids: readonly string[]) =>
    guarded(async () => {
      const id = await current();
      for (const name of ids) {
        const result = await platter.call('lab.attack', id, name, disk.value);
        attackResults.value = new Map([...attackResults.value, [name, result]]);
      }
    });
  /** Shows the events from this one on. */
  function showEvents(first: number): void {
    view.value = 'path';
    onlyRequest.value = false;
    top.value = first;
  }

  /** Shows a value among the device's registers. */
  function showDetail(wanted: WantedField): void {
    view.value = 'device';
    section.value = wanted.section;
    wantedField.value = wanted;
  }

  /** Selects a request everywhere; the same one again, or null, lets go of it. */
  function selectRequest(id: number | null): void {
    request.value = id === null || id === 0 || id === request.value ? null : id;
    if (request.value === null) onlyRequest.value = false;
  }

  return {
    status,
    changed,
    state,
    running,
    frame,
    failure,
    busy,
    clock,
    speed,
    queue,
    disks,
    disk,
    chosen,
    isBound,
    choose,
    request,
    onlyRequest,
    top,
    rowsInView,
    timelineRows,
    visible,
    stationRates,
    eventsPerSecond,
    ringFill,
    history,
    historyVersion,
    workload,
    guarded,
    current,
    run,
    pause,
    runPause,
    step,
    restart,
    close,
    setSpeed,
    saveTrace,
    selectRequest,
    view,
    section,
    details,
    attacks,
    attackResults,
    loadAttacks,
    attack,
    showEvents,
    showDetail,
    wantedField,
    touch,
  };
});
