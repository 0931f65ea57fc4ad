/** Whatever a script leaves out of the comparison stands in the list with its reason, and whatever stands there is left out somewhere. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { RunState } from '#engine/machine/run-state.ts';
import { PlatterError } from '#engine/errors.ts';
import { ScsiDisk } from '#engine/scsi/disk/disk.ts';
import { arrayNode } from '#engine/virtio/testing/rig.ts';
import { NOT_COMPARED } from './differences.ts';
import { platterScsiBoard } from './virtio-scsi-board.ts';
import { rw } from './virtio-scsi-cases.ts';
import { ScsiScriptDriver } from './virtio-scsi-driver.ts';

const FOLDER = 'tests/differential';
const LISTS = /differences(\.test)?\.ts$/;
const scripts = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.ts') && !LISTS.test(name))
  .map((name) => ({ name, lines: readFileSync(`${FOLDER}/${name}`, 'utf8').split('\n') }));

/** The names after `differs:` in a comment. */
const namesIn = (line: string): string[] =>
  (/differs: ([a-z, -]+)/.exec(line)?.[1] ?? '')
    .split(', ')
    .map((name) => name.trim())
    .filter(Boolean);

it('every mark names an entry of the list, and every entry is marked somewhere', () => {
  const marked = new Set(scripts.flatMap(({ lines }) => lines.flatMap(namesIn)));
  expect([...marked].toSorted()).toEqual(NOT_COMPARED.map(({ id }) => id).toSorted());
});

it('lines, data and figures are left out only where a mark says why', () => {
  // Lines of a transcript that are dropped by what they say, and parts of a command that are not noted.
  const mask = /\.filter\(\(line\) => !|with(Data|Residual): (?!boolean)/;
  const unmarked = scripts.flatMap(({ name, lines }) =>
    lines.flatMap((line, at) => {
      const before = lines.slice(Math.max(0, at - 3), at + 1);
      return mask.test(line) && !before.some((each) => namesIn(each).length > 0) ? [`${name}:${at + 1}`] : [];
    }),
  );
  expect(unmarked).toEqual([]);
});

it('retried-residual: Platter counts what a command has moved, however often it was tried', async () => {
  const good = arrayNode(65536);
  let broken = true;
  const node = {
    ...good,
    read: (offset: number, target: Uint8Array) => {
      if (broken) throw new PlatterError('storage.io', 'broken');
      return good.read(offset, target);
    },
  };
  const runState = new RunState();
  const { board, device } = platterScsiBoard({}, { legacy: false, modern: true }, false, { runState });
  device.attach(0, 0, new ScsiDisk({ node, kind: 'disk', rerror: 'stop' }));
  const driver = new ScsiScriptDriver(board);
  await driver.start();
  await driver.command({ cdb: [0, 0, 0, 0, 0, 0] });
  const pending = await driver.begin({ cdb: rw.read10(0, 2), into: 1024 });
  expect(runState.status).toBe('io-error');
  broken = false;
  runState.cont();
  device.process();
  await driver.finish(pending);
  // sense_len, resid, status_qualifier, status, response: all zero.
  expect(driver.log.filter((line) => line.includes('answer')).at(-1)).toMatch(/ = 0{24}$/);
});
