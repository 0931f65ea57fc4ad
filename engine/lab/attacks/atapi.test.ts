/** Attacks on a CD-ROM drive, over the controller itself. */
import { expect, it } from 'vitest';
import { GuestBus } from '../../guest/bus.ts';
import { BUS_MASTER, DISC_BYTES, IdeRig } from '../../ide/testing/rig.ts';
import { LEGACY } from '../../ide/piix.ts';
import { TraceRing } from '../../trace/ring.ts';
import { arrayNode } from '../../virtio/testing/rig.ts';
import { idePanel } from './ata-target.ts';
import { ATAPI_ATTACKS } from './atapi.ts';

function panel(): { rig: IdeRig; attack: (id: string) => ReturnType<ReturnType<typeof idePanel>['run']> } {
  const disc = arrayNode(DISC_BYTES, true);
  disc.disk.fill(0x3c);
  const rig = new IdeRig(arrayNode(1024 * 1024), disc);
  const trace = new TraceRing();
  const attacks = idePanel(
    {
      bus: new GuestBus(rig.space, rig.io, trace),
      memory: rig.memory,
      trace,
      allocator: { take: () => 0x20_0000 },
      settle: () => rig.device.process(),
      quiet: () => Promise.resolve(),
      probeAgain: () => {
        rig.control(1, 4);
        rig.control(1, 0);
      },
    },
    { command: LEGACY[1].command, control: LEGACY[1].control, master: BUS_MASTER + 8, unit: 0 },
    true,
  );
  return { rig, attack: (id) => attacks.run(id) };
}

it.each(ATAPI_ATTACKS.map(({ id, expects }) => [id, expects] as const))(
  '%s: %s, and the drive reads on',
  async (id, expects) => {
    expect(await panel().attack(id)).toMatchObject({ outcome: expects, expected: true, recovered: true });
  },
);

it('a drive that is gone is not called alive', async () => {
  const { rig, attack } = panel();
  const { drive } = rig.device.channels[1];
  drive.node = undefined;
  expect((await attack('atapi-opcode')).recovered).toBe(false);
});
