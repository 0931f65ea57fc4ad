/** What happened in a run: as an object for `--json`, and as text. */
import type { LabFrame } from '#contract/lab.ts';
import type { Workload } from '#contract/settings.ts';
import type { Lab } from '#engine/lab/types.ts';
import { STATIONS } from '#engine/trace/stations.ts';
import texts from '#resources/messages/en/trace.json' with { type: 'json' };
import { sizeText } from '../qemu-img/size.ts';

const titles: Readonly<Record<string, string>> = texts;

export interface DiskFacts {
  drive: string;
  image: string;
  driver: string;
  virtualSize: number;
}

export interface RunFacts {
  /** In the order in which they were chosen. */
  disks: readonly DiskFacts[];
  write: boolean;
  workload: Workload;
  /** The file that the trace was saved to. */
  trace?: string;
}

export interface Summary {
  device: string;
  facts: RunFacts;
  frame: LabFrame;
}

export function summarize(lab: Lab, facts: RunFacts): Summary {
  const frame = lab.frame({ seq: 0, from: 0, count: 0, requestId: null, queue: null });
  return { device: lab.device, facts, frame };
}

/** Numbers and names only: what a script wants. Times in nanoseconds, sizes in bytes. */
export function summaryJson({ device, facts, frame }: Summary): string {
  const object = {
    device,
    drive: facts.disks[0].drive,
    image: facts.disks[0].image,
    disks: frame.disks.map(({ name, counters, waitedNs, lastNs }, index) => ({
      device: name,
      drive: facts.disks[index].drive,
      image: facts.disks[index].image,
      counters,
      latency_ns: latency(counters.requests, waitedNs),
      last_ns: Math.round(lastNs),
    })),
    state: frame.status,
    ...(frame.error === undefined ? {} : { error: frame.error }),
    workload: facts.workload,
    written_to: facts.write ? 'image' : 'memory',
    counters: frame.counters,
    real_ns: Math.round(frame.realNs),
    model_ns: Math.round(frame.modelNs),
    stations: STATIONS.map(({ index, key, world, direction }) => ({
      station: index,
      key,
      world,
      direction,
      events: frame.stationEvents[index - 1],
    })),
    vectors: frame.vectors.map(({ vector, use, count }) => ({ vector, use, interrupts: count })),
    trace: {
      events: frame.totalEvents,
      first: frame.firstEvent,
      ...(facts.trace === undefined ? {} : { file: facts.trace }),
    },
  };
  return `${JSON.stringify(object, null, 2)}\n`;
}

export function summaryText({ device, facts, frame }: Summary): string {
  const { workload } = facts;
  const { counters } = frame;
  const count = (value: number): string => value.toLocaleString('en');
  const where = facts.write ? 'writes go to the image' : 'writes stay in memory';
  const lines = [
    ...facts.disks.map(
      ({ drive, image, driver, virtualSize }, index) =>
        `${frame.disks[index]?.name ?? device} on ${drive}: ${image} (${driver}, ${sizeText(virtualSize)}); ${where}`,
    ),
    `${workload.rw}, blocks of ${sizeText(workload.bs)}, depth ${workload.iodepth}, seed ${workload.seed}: ${frame.status}`,
    '',
    `requests       ${count(counters.requests)}: ${count(counters.reads)} reads, ${count(counters.writes)} writes, ${count(counters.flushes)} flushes, ${count(counters.errors)} failed; ${sizeText(counters.bytes)}`,
    `notifications  ${count(counters.notifications)} doorbells, ${count(counters.exits)} exits to KVM`,
    `interrupts     ${count(counters.interrupts)}${perInterrupt(counters)}`,
    ...frame.vectors.map(
      ({ vector, use, count: times }) => `  MSI-X vector ${vector} (${use})  ${count(times)}`,
    ),
    `real clock     ${seconds(frame.realNs)}${rate(counters.requests, frame.realNs)}`,
    `model clock    ${seconds(frame.modelNs)}${rate(counters.requests, frame.modelNs)}`,
    ...(frame.disks.length > 1 ? diskLines(frame) : []),
    '',
    ...pathLines(frame),
    '',
    `trace: ${count(frame.totalEvents)} events${facts.trace === undefined ? '' : `, saved to ${facts.trace}`}`,
  ];
  if (frame.firstEvent > 0)
    lines.push(`  the oldest ${count(frame.firstEvent)} were forgotten: the trace holds the newest`);
  if (frame.error !== undefined) lines.push(`failed: ${frame.error.message}`);
  return `${lines.join('\n')}\n`;
}

/** What each disk had of it, by the model clock. */
function diskLines({ disks }: LabFrame): string[] {
  const width = Math.max(...disks.map(({ name }) => name.length));
  const rows = disks.map(({ name, counters, waitedNs, lastNs }) => {
    const { requests, bytes, errors } = counters;
    const failed = errors === 0 ? '' : `, ${errors.toLocaleString('en')} failed`;
    const each = seconds(latency(requests, waitedNs));
    return `  ${name.padEnd(width)}  ${requests.toLocaleString('en')} requests, ${sizeText(bytes)}${failed}; ${each} each${rate(requests, lastNs)}`;
  });
  return ['', 'each disk', ...rows];
}

/** How long a request took on average, nanoseconds. */
function latency(requests: number, waitedNs: number): number {
  return requests === 0 ? 0 : Math.round(waitedNs / requests);
}

/** The fourteen stations: down on the left, up on the right, so that the same world faces itself. */
function pathLines(frame: LabFrame): string[] {
  const cell = (index: number): string => {
    const title = titles[`station.${index}.title`] ?? STATIONS[index - 1].key;
    return `${String(index).padStart(2)} ${title.padEnd(28)} ${frame.stationEvents[index - 1].toLocaleString('en').padStart(9)}`;
  };
  const rows = Array.from({ length: 7 }, (_, row) => `  ${cell(row + 1)}   ${cell(14 - row)}`);
  return ['events on the way down                        and up again', ...rows];
}

function perInterrupt({ requests, interrupts }: LabFrame['counters']): string {
  return interrupts === 0 ? '' : `, ${(requests / interrupts).toFixed(1)} requests each`;
}

function seconds(ns: number): string {
  if (ns >= 1e9) return `${(ns / 1e9).toFixed(2)} s`;
  return ns >= 1e6 ? `${(ns / 1e6).toFixed(2)} ms` : `${(ns / 1e3).toFixed(1)} µs`;
}

function rate(requests: number, ns: number): string {
  return ns <= 0 || requests === 0
    ? ''
    : `, ${Math.round((requests / ns) * 1e9).toLocaleString('en')} requests a second`;
}
