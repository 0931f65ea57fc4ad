/** The properties of `virtio-blk-pci`: QEMU's QMP is the judge of names, types and defaults. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { BLK_DEFAULTS } from '#engine/virtio/blk/options.ts';
import { BLK_PROPERTIES, defaultProperties } from '#engine/virtio/blk/properties.ts';
import { installedQemu } from './qemu.ts';

interface ListedProperty {
  name: string;
  type: string;
  'default-value'?: boolean | number | string;
}

function listProperties(type: string): ListedProperty[] {
  const commands = [
    { execute: 'qmp_capabilities' },
    { execute: 'device-list-properties', arguments: { typename: type } },
    { execute: 'quit' },
  ];
  const options = ['-accel', 'tcg', '-S', '-display', 'none', '-nodefaults', '-qmp', 'stdio'];
  const input = commands.map((command) => JSON.stringify(command)).join('\n');
  const { stdout } = spawnSync('qemu-system-x86_64', options, { input: `${input}\n`, encoding: 'utf8' });
  const answers = stdout.split('\n').filter((line) => line.trim() !== '');
  const lists = answers
    .map((line) => (JSON.parse(line) as { return?: unknown }).return)
    .filter((answer) => Array.isArray(answer));
  return lists[0] as ListedProperty[];
}

describe('the properties of virtio-blk-pci', () => {
  it('are those of QEMU 7.2, with its types and defaults', ({ skip }) => {
    const version = installedQemu();
    if (version !== '7.2') skip(`the table is QEMU 7.2's; found ${version ?? 'none'}`);
    const listed = listProperties('virtio-blk-pci')
      .map(({ name, type, 'default-value': value }) => ({ name, type, value }))
      .toSorted((a, b) => a.name.localeCompare(b.name));
    const ours = BLK_PROPERTIES.map(({ name, type, default: value }) => ({ name, type, value })).toSorted(
      (a, b) => a.name.localeCompare(b.name),
    );
    expect(ours).toEqual(listed);
  });

  it('are what a device without any is made with', () => {
    expect(BLK_DEFAULTS).toMatchObject(defaultProperties());
    const own = BLK_PROPERTIES.flatMap(({ option }) => (option === undefined ? [] : [option]));
    // What is no property of QEMU 7.2: offered to nobody unless asked for.
    const extra = Object.keys(BLK_DEFAULTS).filter((key) => !own.some((option) => option === key));
    expect(extra.toSorted()).toEqual([
      'inOrder',
      'maxSecureEraseSectors',
      'notificationData',
      'secureErase',
      'secureEraseGranularity',
      'sizeMax',
    ]);
  });
});
