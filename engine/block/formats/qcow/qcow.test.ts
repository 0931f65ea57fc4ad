import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { allowAll } from '../../gate.ts';
import {
  expectReadsAsQemu,
  expectSurvives,
  madeByQemu,
  openPath,
  pattern,
} from '../shared/testing/conformance.ts';
import { qemuImg, qemuIo, Scratch } from '../shared/testing/oracle.ts';
import { qcowHeader } from './header.ts';
import { qcow } from './index.ts';

const scratch = new Scratch();
afterAll(() => scratch.dispose());

describe('qcow', () => {
  it('reads an image of QEMU, plain and compressed clusters', async () => {
    const path = scratch.fresh('plain.qcow');
    madeByQemu(path, 'qcow', '5M');
    qemuIo(path, 'qcow', 'write -P 17 3M 600k', 'write -P 34 1000k 100k');
    await expectReadsAsQemu(scratch, path, 'qcow');
    const packed = scratch.fresh('packed.qcow');
    madeByQemu(packed, 'qcow', '1M');
    qemuIo(packed, 'qcow', 'write -c -P 5 0 4096', 'write -c -P 6 64k 4096', 'write -P 7 100k 4096');
    await expectReadsAsQemu(scratch, packed, 'qcow');
    const node = await openPath(packed, { readOnly: false });
    expect([node.readOnly, (await node.map(0, 512)).compressed]).toEqual([true, true]);
    await node.close();
  });

  it('reads through a backing file, after asking', async () => {
    const base = scratch.fresh('base.raw');
    writeFileSync(base, pattern(1 << 20, 9));
    const path = scratch.fresh('over.qcow');
    qemuImg('create', '-q', '-f', 'qcow', '-b', base, '-F', 'raw', path, '2M');
    qemuIo(path, 'qcow', 'write -P 3 64k 10k');
    await expect(openPath(path)).rejects.toMatchObject({ code: 'gate.denied' });
    await expectReadsAsQemu(scratch, path, 'qcow', { gate: allowAll });
  });

  it('refuses AES by name', async () => {
    const image = madeByQemu(scratch.fresh('aes.qcow'), 'qcow', '1M');
    new DataView(image.buffer, image.byteOffset).setUint32(qcowHeader.offsetOf('crypt_method'), 1);
    const path = scratch.fresh('encrypted.qcow');
    writeFileSync(path, image);
    await expect(openPath(path)).rejects.toMatchObject({
      code: 'qcow.encrypted',
      context: { field: 'crypt_method' },
    });
  });

  it('survives hostile headers and tables (CVE-2014-0222, CVE-2014-0223)', async () => {
    const path = scratch.fresh('seed.qcow');
    madeByQemu(path, 'qcow', '1M');
    qemuIo(path, 'qcow', 'write -c -P 5 0 4096', 'write -P 7 500k 4096');
    const image = new Uint8Array(readFileSync(path));
    await expectSurvives(image, qcow, [[0, image.length]]);
  });
});
