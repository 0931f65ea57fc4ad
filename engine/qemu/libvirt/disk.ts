/** What a libvirt `<disk>` says, both ways between XML and QEMU's words. Source: libvirt's formatdomain, elements "Hard drives". */

/** libvirt's cache modes as node switches and the device's write-cache. */
export const CACHE_MODES: Readonly<
  Record<string, { direct: boolean; noFlush: boolean; writeCache: boolean }>
> = {
  none: { direct: true, noFlush: false, writeCache: true },
  writeback: { direct: false, noFlush: false, writeCache: true },
  writethrough: { direct: false, noFlush: false, writeCache: false },
  directsync: { direct: true, noFlush: false, writeCache: false },
  unsafe: { direct: false, noFlush: true, writeCache: true },
};

/** The mode that has these three switches. */
export function cacheMode(direct: boolean, noFlush: boolean, writeCache: boolean): string | undefined {
  return Object.entries(CACHE_MODES).find(
    ([, m]) => m.direct === direct && m.noFlush === noFlush && m.writeCache === writeCache,
  )?.[0];
}

/** `<iotune>` members and throttle-group properties: `read_iops_sec_max` is `x-iops-read-max`. */
export function limitOfTune(name: string): string | undefined {
  if (name === 'size_iops_sec') return 'x-iops-size';
  const found = /^(total|read|write)_(bytes|iops)_sec(_max(?:_length)?)?$/.exec(name);
  if (found === null) return undefined;
  const kind = found[2] === 'bytes' ? 'bps' : 'iops';
  return `x-${kind}-${found[1]}${(found[3] ?? '').replaceAll('_', '-')}`;
}

/** The other way. */
export function tuneOfLimit(name: string): string | undefined {
  if (name === 'x-iops-size') return 'size_iops_sec';
  const found = /^x-(bps|iops)-(total|read|write)((?:-max(?:-length)?)?)$/.exec(name);
  if (found === null) return undefined;
  return `${found[2]}_${found[1] === 'bps' ? 'bytes' : 'iops'}_sec${found[3].replaceAll('-', '_')}`;
}

/** SCSI controllers: libvirt's model and QEMU's device. */
export const SCSI_MODELS: Readonly<Record<string, string>> = {
  'virtio-scsi': 'virtio-scsi-pci',
  'virtio-transitional': 'virtio-scsi-pci-transitional',
  'virtio-non-transitional': 'virtio-scsi-pci-non-transitional',
  lsilogic: 'lsi53c895a',
  lsisas1068: 'mptsas1068',
  lsisas1078: 'megasas',
  vmpvscsi: 'pvscsi',
  am53c974: 'am53c974',
  dc390: 'dc390',
  ibmvscsi: 'spapr-vscsi',
};

/** USB controllers. */
export const USB_MODELS: Readonly<Record<string, string>> = {
  'piix3-uhci': 'piix3-usb-uhci',
  'piix4-uhci': 'piix4-usb-uhci',
  ehci: 'usb-ehci',
  'ich9-ehci1': 'ich9-usb-ehci1',
  'qemu-xhci': 'qemu-xhci',
  'nec-xhci': 'nec-usb-xhci',
};

/** `model=` of a virtio disk. */
export const VIRTIO_MODELS: Readonly<Record<string, string>> = {
  virtio: 'virtio-blk-pci',
  'virtio-transitional': 'virtio-blk-pci-transitional',
  'virtio-non-transitional': 'virtio-blk-pci-non-transitional',
};

/** Properties of the device that stand in elements or attributes of their own: element, attribute (empty for its text), property. */
export const FRONT: readonly (readonly [element: string, attribute: string, property: string])[] = [
  ['serial', '', 'serial'],
  ['vendor', '', 'vendor'],
  ['product', '', 'product'],
  ['blockio', 'logical_block_size', 'logical_block_size'],
  ['blockio', 'physical_block_size', 'physical_block_size'],
  ['blockio', 'discard_granularity', 'discard_granularity'],
  ['geometry', 'cyls', 'cyls'],
  ['geometry', 'heads', 'heads'],
  ['geometry', 'secs', 'secs'],
  ['geometry', 'trans', 'bios-chs-trans'],
  ['target', 'rotation_rate', 'rotation_rate'],
];

/** `vda`, `sdb`, `hdc`: the number of the disk, 0 for `a`; -1 when it is no such name. */
export function diskIndex(target: string): number {
  const letters = /^(?:vd|sd|hd|fd|xvd|ubd)([a-z]+)$/.exec(target)?.[1];
  if (letters === undefined) return -1;
  let index = 0;
  for (const letter of letters) index = index * 26 + (letter.charCodeAt(0) - 96);
  return index - 1;
}

/** The name of the disk of that number: 0 is `a`, 26 is `aa`. */
export function diskLetters(index: number): string {
  let left = index + 1;
  let letters = '';
  while (left > 0) {
    letters = String.fromCharCode(97 + ((left - 1) % 26)) + letters;
    left = Math.floor((left - 1) / 26);
  }
  return letters;
}
