/** A trial judges as the plain start does: every line of the rules' cases, given to QEMU as it is and by way of a trial. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openImage } from '../../engine/block/graph.ts';
import { Schemas } from '../../main/qemu/schemas.ts';
import { tryLine as trial } from '../../main/qemu/trial.ts';
import { installedQemu, makeImages, tryLine } from './qemu.ts';
import { CLEAN_LINES } from './clean-lines.ts';
import { RULE_CASES } from './rule-cases.ts';

/** Lines that the trial accepts although QEMU would refuse them, and why that must be. */
const NOT_TRIED: Record<string, string> = {
  'file=base.qcow2':
    'an image and another one over it: both are opened read-only, where QEMU takes no exclusive lock',
  'driver=nbd,node-name=n,host=':
    'no server is connected to, so the options for one are not judged (reason server)',
  'scsi-block,drive=q':
    'a disk passed through stands on files here: it is left out (reason device-passthrough)',
  'vhost-user-blk-pci': 'the device talks to another process and is left out (reason device-host)',
};

const version = installedQemu();
if (version !== '7.2')
  console.log(`Trials are held against QEMU 7.2 only; ${version ?? 'none'} is installed here.`);

describe.skipIf(version !== '7.2')('a trial and a plain start', () => {
  let images: ReturnType<typeof makeImages>;
  let folder: string;
  let schemas: Schemas;
  beforeAll(() => {
    images = makeImages();
    folder = mkdtempSync(join(tmpdir(), 'platter-schemas-'));
    schemas = new Schemas(folder);
  });
  afterAll(() => {
    images.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const lines = [...RULE_CASES.map((c) => c.line), ...CLEAN_LINES].filter(
    (line) => !Object.keys(NOT_TRIED).some((part) => line.includes(part)),
  );
  it.each(lines)('%s', async (line) => {
    const absolute = line.replace(
      /(?<![\w./-])((?:a|b|c|base|overlay|odd)\.(?:raw|qcow2))/g,
      `${images.folder}/$1`,
    );
    const plain = await tryLine(absolute, images.folder);
    const tried = await trial({
      line: `-nodefaults ${absolute}`,
      bound: new Map(),
      schemas,
      inspect: async (path, allow) => {
        const { node, info } = await openImage(path, { gate: { allow }, backing: 'tolerate' });
        await node.close();
        return info;
      },
    });
    expect({ accepted: tried.verdict === 'accepted', said: tried.messages }).toMatchObject({
      accepted: plain.accepted,
    });
    // A QEMU that crashes says nothing that could be tied to a place.
    if (!plain.accepted && plain.said !== '') expect(tried.messages.at(-1)?.span).toBeDefined();
  });
});
