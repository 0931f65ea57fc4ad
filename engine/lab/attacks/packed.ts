/** Attacks that only a packed ring allows (virtio 1.2, section 2.8); the others are those of every ring. */
import { DESC_F_NEXT } from '../../virtio/queue/layout.ts';
import { attempt, type VirtioAttack } from './virtio-attack.ts';

const HEADER_BYTES = 16;

export const PACKED_ATTACKS: readonly VirtioAttack[] = [
  attempt(
    'packed-endless',
    'needs-reset',
    '2.8.5',
    (hostile) => {
      const { size } = hostile.requests;
      hostile.submit(
        Array.from({ length: size }, () => [hostile.header, HEADER_BYTES, DESC_F_NEXT] as const),
      );
    },
    { layout: 'packed', cves: ['CVE-2026-16457'] },
  ),
  attempt(
    'packed-unfinished',
    'needs-reset',
    '2.8.16',
    (hostile) => hostile.submit([[hostile.header, HEADER_BYTES, DESC_F_NEXT]]),
    { layout: 'packed' },
  ),
];
