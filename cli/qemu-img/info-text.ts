/** `qemu-img info` for people (`block/qapi.c`, bdrv_image_info_dump), out of the same object as its JSON. */
import { qemuEntries, type QemuObject, type QemuValue } from './order.ts';
import { sizeText } from './size.ts';

/** The lines about one layer, with a newline at the end. */
export function infoText(info: QemuObject): string {
  const lines = [
    `image: ${text(info.filename)}`,
    `file format: ${text(info.format)}`,
    `virtual size: ${sizeText(Number(info['virtual-size']))} (${text(info['virtual-size'])} bytes)`,
    `disk size: ${info['actual-size'] === undefined ? 'unavailable' : sizeText(Number(info['actual-size']))}`,
  ];
  if (info.encrypted === true) lines.push('encrypted: yes');
  if (info['cluster-size'] !== undefined) lines.push(`cluster_size: ${text(info['cluster-size'])}`);
  if (info['dirty-flag'] === true) lines.push('cleanly shut down: no');
  lines.push(...backingLines(info));
  if (Array.isArray(info.snapshots))
    lines.push('Snapshot list:', SNAPSHOT_HEAD, ...info.snapshots.map(snapshotLine));
  const specific = info['format-specific'];
  if (isObject(specific) && isObject(specific.data)) {
    lines.push('Format specific information:', ...valueLines(specific.data, '    '));
  }
  return `${lines.join('\n')}\n`;
}

/** `qemu-img snapshot -l`: the list, or nothing. */
export function snapshotText(info: QemuObject): string {
  if (!Array.isArray(info.snapshots)) return '';
  return `${['Snapshot list:', SNAPSHOT_HEAD, ...info.snapshots.map(snapshotLine)].join('\n')}\n`;
}

function backingLines(info: QemuObject): string[] {
  const name = info['backing-filename'];
  if (name === undefined) return [];
  const full = info['full-backing-filename'];
  const lines = [`backing file: ${text(name)}${full === name ? '' : ` (actual path: ${text(full)})`}`];
  const format = info['backing-filename-format'];
  if (format !== undefined) lines.push(`backing file format: ${text(format)}`);
  return lines;
}

const SNAPSHOT_HEAD =
  'ID'.padEnd(10) +
  'TAG'.padEnd(17) +
  'VM SIZE'.padStart(8) +
  'DATE'.padStart(20) +
  'VM CLOCK'.padStart(13) +
  'ICOUNT'.padStart(11);

/** `block/qapi.c`, bdrv_snapshot_dump. */
function snapshotLine(value: QemuValue): string {
  const snapshot = value as QemuObject;
  const clock = Number(snapshot['vm-clock-sec']);
  const milliseconds = Math.floor(Number(snapshot['vm-clock-nsec']) / 1e6);
  const two = (n: number): string => String(n).padStart(2, '0');
  const time = `${two(Math.floor(clock / 3600))}:${two(Math.floor(clock / 60) % 60)}:${two(clock % 60)}.${String(milliseconds).padStart(3, '0')}`;
  return (
    `${text(snapshot.id).padEnd(9)} ${text(snapshot.name).padEnd(16)} ${sizeText(Number(snapshot['vm-state-size'])).padStart(8)}` +
    localTime(Number(snapshot['date-sec'])).padStart(20) +
    time.padStart(13) +
    (snapshot.icount === undefined ? '' : text(snapshot.icount)).padStart(11)
  );
}

/** As C's `%Y-%m-%d %H:%M:%S` in the local time zone. */
function localTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (n: number): string => String(n).padStart(2, '0');
  return (
    `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
  );
}

/** `block/qapi.c`, dump_qobject: names with blanks for hyphens, containers below their name. */
function valueLines(container: QemuObject | QemuValue[], indent: string): string[] {
  const entries: [string, QemuValue][] = Array.isArray(container)
    ? container.map((value, index) => [`[${index}]`, value])
    : qemuEntries(container).map(([name, value]) => [name.replaceAll('-', ' '), value]);
  return entries.flatMap(([name, value]) =>
    typeof value === 'object'
      ? [`${indent}${name}:`, ...valueLines(value, `${indent}    `)]
      : [`${indent}${name}: ${value}`],
  );
}

function isObject(value: QemuValue | undefined): value is QemuObject {
  return typeof value === 'object' && !Array.isArray(value);
}

function text(value: QemuValue | undefined): string {
  return typeof value === 'object' ? '' : String(value);
}
