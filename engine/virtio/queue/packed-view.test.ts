import { describe, expect, it } from 'vitest';
import { header, openRig } from '../testing/rig.ts';
import { ownerOf, packedView } from './packed-view.ts';

describe('virtio 1.2, section 2.8: a packed queue as the screen sees it', () => {
  it('shows what is offered, what came back, and who wants to hear of what', () => {
    const rig = openRig({ size: 7, layout: 'packed', eventIdx: true });
    const owners = (): string[] =>
      [...packedView(rig.memory, rig.ring.addresses).flags].map((flags) => ownerOf(flags, true));
    const places = rig.offer([header(0, 0), 512, 1]);
    expect(owners()).toEqual(['available', 'available', 'available', 'old', 'old', 'old', 'old']);
    const offered = packedView(rig.memory, rig.ring.addresses);
    expect([...offered.addr.subarray(0, 3)]).toEqual(places);
    expect([...offered.len.subarray(0, 3)]).toEqual([16, 512, 1]);
    rig.go();
    rig.ring.setInterrupts(true);
    const after = packedView(rig.memory, rig.ring.addresses);
    expect(ownerOf(after.flags[0], true)).toBe('used');
    expect(after.len[0]).toBe(513);
    expect(after.deviceEvent).toEqual({ mode: 'desc', offset: 3, wrap: true });
    expect(after.driverEvent).toEqual({ mode: 'desc', offset: 0, wrap: true });
    for (let i = 0; i < 3; i++) {
      rig.ring.take();
      rig.offer([header(0, 0), 512, 1]);
      rig.go();
    }
    // 12 descriptors later: the second round, where the other value of the wrap counter counts.
    expect(packedView(rig.memory, rig.ring.addresses).deviceEvent).toEqual({
      mode: 'desc',
      offset: 5,
      wrap: false,
    });
    rig.ring.setInterrupts(false);
    expect(packedView(rig.memory, rig.ring.addresses).driverEvent.mode).toBe('disable');
  });
});
