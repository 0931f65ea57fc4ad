/** What lies under the pointer or the focus, for the card that explains it: one sentence and where the specification has it. */
import { shallowRef, type Directive } from 'vue';

/** Sections of the specifications that define the parts of the lab. Texts stand in `lab.json` under `hint.<name>`. */
export const SPECIFICATIONS = {
  path: null,
  descriptors: 'virtio 1.2, 2.7.5',
  chain: 'virtio 1.2, 2.7.5.1',
  avail: 'virtio 1.2, 2.7.6',
  used: 'virtio 1.2, 2.7.8',
  'avail-idx': 'virtio 1.2, 2.7.6',
  'used-idx': 'virtio 1.2, 2.7.8',
  'last-avail': 'virtio 1.2, 2.7.6',
  'last-used': 'virtio 1.2, 2.7.14',
  'used-event': 'virtio 1.2, 2.7.10',
  'avail-event': 'virtio 1.2, 2.7.10',
  'in-flight': 'virtio 1.2, 2.7.14',
  packed: 'virtio 1.2, 2.8',
  vectors: 'PCI 3.0, 6.8.2; virtio 1.2, 4.1.5.1.2',
  heartbeat: null,
  status: 'virtio 1.2, 2.1',
  features: 'virtio 1.2, 2.2 and 5.2.3',
  isr: 'virtio 1.2, 4.1.4.5',
  generation: 'virtio 1.2, 2.5.1',
  registers: 'virtio 1.2, 4.1.4.3',
  events: null,
  timeline: null,
  statistics: null,
  disks: null,
  fault: 'qemu(1), -drive rerror, werror',
  tray: null,
  exits: 'Intel SDM, volume 3, 28.2',
  interrupts: 'virtio 1.2, 2.3',
  notifications: 'virtio 1.2, 4.1.5.2',
  clock: null,
  speed: null,
  rw: 'fio(1), rw',
  direct: 'fio(1), direct',
  bs: 'fio(1), bs',
  iodepth: 'fio(1), iodepth',
  numjobs: 'fio(1), numjobs',
  number_ios: 'fio(1), number_ios',
  offset: 'fio(1), offset',
  size: 'fio(1), size',
  rwmixread: 'fio(1), rwmixread',
  randseed: 'fio(1), randseed',
  fsync: 'fio(1), fsync',
} as const satisfies Record<string, string | null>;
export type HintName = keyof typeof SPECIFICATIONS;

export type Hint =
  | { kind: 'part'; name: HintName }
  | { kind: 'station'; station: number }
  | { kind: 'event'; event: string; station: number };

/** What is pointed at just now; null at rest. */
export const pointedAt = shallowRef<Hint | null>(null);

/** Writing `v-hint="…"` on an element makes it explain itself under the pointer and when it has the focus. */
export const vHint: Directive<HTMLElement, HintName | Hint> = {
  mounted(element, { value }) {
    set(element, value);
    for (const name of ['pointerenter', 'focusin']) element.addEventListener(name, show);
    for (const name of ['pointerleave', 'focusout']) element.addEventListener(name, hide);
  },
  updated(element, { value }) {
    set(element, value);
  },
  beforeUnmount(element) {
    if (pointedAt.value === hints.get(element)) pointedAt.value = null;
  },
};

const hints = new WeakMap<EventTarget, Hint>();

function set(element: HTMLElement, value: HintName | Hint): void {
  const hint: Hint = typeof value === 'string' ? { kind: 'part', name: value } : value;
  const old = hints.get(element);
  if (old && JSON.stringify(old) === JSON.stringify(hint)) return;
  hints.set(element, hint);
  if (old && pointedAt.value === old) pointedAt.value = hint;
}

function show(event: Event): void {
  if (event.type === 'focusin') event.stopPropagation();
  pointedAt.value = (event.currentTarget && hints.get(event.currentTarget)) ?? null;
}

function hide(event: Event): void {
  const hint = event.currentTarget ? hints.get(event.currentTarget) : undefined;
  if (pointedAt.value === hint) pointedAt.value = outer(event.currentTarget);
}

/** The nearest element around that explains itself and is still under the pointer. */
function outer(target: EventTarget | null): Hint | null {
  let at = target instanceof HTMLElement ? target.parentElement : null;
  while (at && !(hints.has(at) && at.matches(':hover'))) at = at.parentElement;
  return at ? (hints.get(at) ?? null) : null;
}
