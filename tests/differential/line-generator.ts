/** Makes storage command lines, right and wrong, out of a seed. The pieces are those that people combine. */

/** mulberry32: small, repeatable. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Maker {
  private readonly random: () => number;
  private readonly parts: string[] = [];
  private readonly backends: string[] = [];
  private readonly files = ['a.raw', 'b.raw', 'c.raw', 'a.qcow2', 'b.qcow2', 'c.qcow2'];
  private machine = 'pc';
  /** Half of the lines have few oddities, so that enough of them are right. */
  private readonly calm: boolean;

  constructor(seed: number) {
    this.random = randomOf(seed);
    this.calm = this.random() < 0.6;
  }

  private one<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)];
  }
  /** True `share` of the time. */
  private maybe(share: number): boolean {
    return this.random() < (this.calm && share <= 0.1 ? share / 8 : share);
  }
  private file(): string {
    // A file is seldom used twice: the lock would hide everything else.
    if (this.maybe(0.06)) return this.one(['a.raw', 'a.qcow2']);
    const index = Math.floor(this.random() * this.files.length);
    return this.files.splice(index, 1)[0] ?? 'a.raw';
  }
  private format(file: string): string {
    return file.endsWith('.raw') ? 'raw' : 'qcow2';
  }
  private options(list: readonly (readonly [share: number, text: () => string])[]): string {
    return list
      .map(([share, text]) => (this.maybe(this.calm ? share / 4 : share) ? `,${text()}` : ''))
      .join('');
  }

  make(): string {
    const machine = this.random();
    if (machine < 0.35) {
      this.machine = 'q35';
      this.parts.push(this.one(['-M q35', '-machine q35', '-machine type=q35']));
    } else if (machine < 0.42) {
      this.machine = 'microvm';
      this.parts.push('-M microvm');
    } else if (machine < 0.5) this.parts.push('-M pc');
    if (this.maybe(0.2)) this.parts.push(`-smp ${this.one(['1', '2', '4'])}`);
    const count = 1 + Math.floor(this.random() * 3);
    for (let i = 0; i < count; i++) this.backend(i);
    if (this.maybe(0.12)) this.quorum();
    this.frontends();
    if (this.maybe(this.calm ? 0.1 : 0.3)) this.elsewhere();
    if (this.maybe(0.05)) this.parts.push(`-boot ${this.one(['order=dc', 'c', 'order=x', 'menu=on'])}`);
    return this.parts.join(' ');
  }

  private backend(index: number): void {
    const name = this.maybe(0.05) ? 'disk0' : `disk${String(index)}`;
    if (this.maybe(0.35)) this.blockdev(name);
    else this.drive(name);
  }

  private drive(name: string): void {
    const file = this.file();
    const format = this.maybe(0.05) ? this.one(['raw', 'qcow2', 'qcow3', 'vmdk']) : this.format(file);
    const kind = this.random();
    const place =
      kind < 0.82
        ? 'if=none'
        : this.one([
            'if=ide',
            'if=virtio',
            'if=floppy',
            'if=scsi',
            'index=0',
            'index=3',
            'index=5',
            'if=sd',
            'if=foo',
          ]);
    if (kind < 0.82) this.backends.push(name);
    const extra = this.options([
      [0.2, () => `cache=${this.one(['none', 'writeback', 'writethrough', 'directsync', 'unsafe', 'no'])}`],
      [0.1, () => `aio=${this.one(['threads', 'native', 'native', 'io_uring', 'fast'])}`],
      [0.1, () => `discard=${this.one(['unmap', 'ignore', 'on', 'off', 'yes'])}`],
      [0.05, () => `detect-zeroes=${this.one(['on', 'off', 'unmap', 'maybe'])}`],
      [0.08, () => `readonly=${this.one(['on', 'off', 'maybe'])}`],
      [0.05, () => `media=${this.one(['disk', 'cdrom', 'tape'])}`],
      [0.04, () => `werror=${this.one(['stop', 'report', 'enospc', 'panic'])}`],
      [0.04, () => `rerror=${this.one(['stop', 'report', 'enospc'])}`],
      [
        0.04,
        () =>
          this.one([
            'serial=x',
            'addr=5',
            'foo=bar',
            'lazy-refcounts=on',
            'bps=1000',
            'iops=5,iops_rd=2',
            'iops=10,iops_max=5',
            'iops=10,iops_max=50',
            'bps_max=10',
          ]),
      ],
      [0.04, () => `snapshot=${this.one(['on', 'off'])}`],
      [0.03, () => 'copy-on-read=on'],
      [0.03, () => 'file.locking=off'],
    ]);
    const id = this.maybe(0.03) ? '9bad' : name;
    const written = this.maybe(0.97) ? `,format=${format}` : '';
    this.parts.push(`-drive file=${file},${place},id=${id}${written}${extra}`);
  }

  private blockdev(name: string): void {
    const file = this.file();
    const format = this.maybe(0.05) ? this.one(['raw', 'qcow2', 'qcow3']) : this.format(file);
    this.backends.push(name);
    const extra = this.options([
      [0.1, () => `read-only=${this.one(['on', 'off', 'perhaps'])}`],
      [0.1, () => `discard=${this.one(['unmap', 'ignore', 'on'])}`],
      [0.05, () => 'detect-zeroes=unmap'],
      [
        0.05,
        () => this.one(['lazy_refcounts=on', 'id=x', 'if=none', 'cache=none', 'foo=1', 'cache.direct=on']),
      ],
    ]);
    const style = this.random();
    if (style < 0.4) {
      const fileOptions = this.options([
        [0.1, () => 'file.aio=native,file.cache.direct=on'],
        [0.04, () => 'file.aio=native'],
        [0.03, () => 'file.locking=maybe'],
      ]);
      this.parts.push(
        `-blockdev driver=${format},node-name=${name},file.driver=file,file.filename=${file}${fileOptions}${extra}`,
      );
    } else if (style < 0.75) {
      const child = `-blockdev driver=file,node-name=${name}-file,filename=${file}`;
      const top = `-blockdev driver=${format},node-name=${name},file=${this.maybe(0.04) ? 'nothing' : `${name}-file`}${extra}`;
      this.parts.push(...(this.maybe(0.05) ? [top, child] : [child, top]));
      if (this.maybe(0.03)) this.backends.push(`${name}-file`);
    } else if (style < 0.9) {
      this.parts.push(
        `-blockdev '{"driver":"${format}","node-name":"${name}","file":{"driver":"file","filename":"${file}"}${this.maybe(0.1) ? ',"read-only":"on"' : ''}}'`,
      );
    } else if (format === 'raw') {
      this.parts.push(
        `-blockdev driver=file,node-name=${name},filename=${file}${this.options([
          [0.1, () => 'aio=native'],
          [0.1, () => 'node-name=other'],
        ])}`,
      );
    } else {
      const group = this.maybe(0.8);
      if (group) this.parts.push('-object throttle-group,id=tg');
      this.parts.push(
        `-blockdev driver=throttle,node-name=${name},throttle-group=tg,file.driver=${format},file.file.driver=file,file.file.filename=${file}`,
      );
    }
  }

  /** Two or three nodes as one. */
  private quorum(): void {
    const count = this.one([2, 3]);
    const children = Array.from({ length: count }, (_, i) => {
      const file = this.file();
      this.parts.push(
        `-blockdev driver=${this.format(file)},node-name=part${String(i)},file.driver=file,file.filename=${file}`,
      );
      return `children.${String(i)}=${this.maybe(0.05) ? 'part9' : `part${String(i)}`}`;
    });
    const options = this.options([
      [0.3, () => `read-pattern=${this.one(['quorum', 'fifo', 'first'])}`],
      [0.1, () => `blkverify=${this.one(['on', 'off'])}`],
      [0.1, () => 'read-only=on'],
    ]);
    const threshold = this.one(['1', '2', '2', '3', '0']);
    this.parts.push(
      `-blockdev driver=quorum,node-name=quorum0,vote-threshold=${this.calm ? '1' : threshold},${children.join(',')}${options}`,
    );
    this.backends.push('quorum0');
    if (this.maybe(0.05)) this.backends.push('part0');
  }

  /** What other options say about those that are there. */
  private elsewhere(): void {
    const drive = `disk${this.one(['0', '0', '1', '2'])}`;
    const text = this.one([
      `-set drive.${drive}.readonly=${this.one(['on', 'off', 'maybe'])}`,
      `-set drive.${drive}.cache=${this.one(['none', 'writeback', 'fast'])}`,
      `-set drive.${drive}.iops=${this.one(['100', '0'])}`,
      `-set device.v.${this.one(['serial=1', 'queue-size=64', 'queue-size=100', 'foo=1'])}`,
      `-set device.scsi0.${this.one(['num_queues=2', 'foo=1'])}`,
      `-global virtio-blk-pci.${this.one(['queue-size=64', 'queue-size=100', 'packed=on', 'foo=1', 'num-queues=2'])}`,
      `-global virtio-blk-device.${this.one(['seg-max-adjust=off', 'queue-size=100', 'foo=1'])}`,
      `-global scsi-hd.${this.one(['serial=g', 'removable=on', 'lun=1', 'foo=1', 'logical_block_size=1000'])}`,
      `-global ide-hd.${this.one(['serial=g', 'write-cache=off', 'foo=1'])}`,
      `-global ${this.one(['virtio-blk.serial=1', 'nvme.serial=g', 'no-such.thing=1', 'scsi-disk-base.serial=h', 'thing=1'])}`,
      this.one([
        '-set drive.nothing.id=1',
        '-set object.io0.poll-max-ns=1',
        '-set drive.disk0',
        '-set pets.cat.name=x',
      ]),
    ]);
    this.parts.push(text);
  }

  private frontends(): void {
    const controllers: string[] = [];
    if (this.maybe(0.35)) {
      const id = this.maybe(0.8) ? ',id=scsi0' : '';
      const driver = this.one([
        'virtio-scsi-pci',
        'virtio-scsi-pci',
        'virtio-scsi',
        'lsi',
        'megasas',
        'pvscsi',
        'am53c974',
      ]);
      controllers.push(`-device ${driver}${id}`);
    }
    if (this.maybe(0.1)) controllers.push('-device qemu-xhci,id=xhci');
    if (this.maybe(0.12)) controllers.push('-device ahci,id=sata');
    if (this.maybe(0.25))
      controllers.push(`-device pcie-root-port,id=rp0${this.one(['', ',chassis=1', ',addr=6'])}`);
    if (this.maybe(0.1))
      controllers.push(
        `-device pcie-root-port,id=rp1${this.one(['', ',chassis=1', ',chassis=2', ',slot=2'])}`,
      );
    if (this.maybe(0.3)) this.parts.push('-object iothread,id=io0');
    const disks = this.backends
      .filter(() => this.maybe(0.95))
      .map((name) => this.disk(this.maybe(0.05) ? this.one([`${name}x`, ...this.backends]) : name));
    this.parts.push(...(this.maybe(0.05) ? [...disks, ...controllers] : [...controllers, ...disks]));
    if (this.maybe(0.08))
      this.parts.push(
        `-device ${this.one(['ide-cd', 'scsi-cd', 'floppy', 'virtio-blk-pci', 'nvme', 'nvme,serial=1', 'ide-cd,bus=ide.1', 'usb-storage'])}`,
      );
  }

  private disk(name: string): string {
    const kind = this.random();
    if (kind < 0.5) return this.virtioDisk(name);
    if (kind < 0.7) {
      return `-device ${this.one(['scsi-hd', 'scsi-hd', 'scsi-hd', 'scsi-cd', 'scsi-block'])},drive=${name}${this.options(
        [
          [0.4, () => `bus=${this.one(['scsi0.0', 'scsi0.0', 'scsi0.0', 'scsi.0', 'scsi0', 'sata.0'])}`],
          [0.25, () => `scsi-id=${this.one(['0', '1', '5', '300'])}`],
          [0.25, () => `lun=${this.one(['0', '0', '1', '3', '20000'])}`],
          [0.05, () => `channel=${this.one(['0', '1'])}`],
          [
            0.05,
            () => this.one(['bootindex=1', 'iothread=io0', 'serial=abc', 'removable=on', 'removable=x']),
          ],
        ],
      )}`;
    }
    if (kind < 0.85) {
      return `-device ${this.one(['ide-hd', 'ide-hd', 'ide-cd'])},drive=${name}${this.options([
        [0.4, () => `bus=${this.one(['ide.0', 'ide.1', 'ide.1', 'ide.3', 'sata.0', 'sata.1', 'pci.0'])}`],
        [0.2, () => `unit=${this.one(['0', '0', '1', '2'])}`],
        [0.06, () => `bootindex=${this.one(['1', '2'])}`],
        [
          0.05,
          () =>
            this.one(['logical_block_size=4096', 'discard_granularity=4096', 'cyls=10', 'write-cache=off']),
        ],
      ])}`;
    }
    if (kind < 0.92) return `-device nvme,drive=${name}${this.maybe(0.85) ? ',serial=1' : ''}`;
    if (kind < 0.96)
      return `-device usb-storage,drive=${name}${this.options([
        [0.3, () => `bus=${this.one(['xhci.0', 'xhci.0', 'usb-bus.0'])}`],
        [0.2, () => `port=${this.one(['1', '2', '9'])}`],
        [0.2, () => `removable=${this.one(['on', 'off', 'maybe'])}`],
      ])}`;
    if (kind < 0.98 && this.machine !== 'microvm')
      return `-device floppy,drive=${name}${this.options([
        [0.4, () => `unit=${this.one(['0', '1', '2'])}`],
        [0.2, () => `drive-type=${this.one(['144', '120', 'auto', '360'])}`],
      ])}`;
    return `-device ${this.one(['virtio-blk-device', 'floppy', 'virtio-blk-pcii', 'ide-drive', 'sd-card'])},drive=${name}`;
  }

  private virtioDisk(name: string): string {
    const root = this.machine === 'q35' ? 'pcie.0' : 'pci.0';
    const driver =
      this.machine === 'microvm' && this.maybe(0.7)
        ? 'virtio-blk-device'
        : this.one(['virtio-blk-pci', 'virtio-blk-pci', 'virtio-blk', 'virtio-blk-pci-non-transitional']);
    if (driver === 'virtio-blk-device') return `-device ${driver},drive=${name}`;
    return `-device ${driver},drive=${name}${this.options([
      [0.3, () => `bus=${this.one([root, root, root, root, 'rp0', 'pci.0', 'pcie.0', 'rp1'])}`],
      [
        0.3,
        () =>
          `addr=${this.one(['5', '0x6', '7.0', '8.1', '0x1f', '1', '0', '20', '5.8', '3,multifunction=on', '3.1'])}`,
      ],
      [0.15, () => `iothread=${this.one(['io0', 'io0', 'io1'])}`],
      [0.1, () => `num-queues=${this.one(['1', '2', '4', '0', 'x', '70000'])}`],
      [0.1, () => `queue-size=${this.one(['64', '128', '256', '1024', '100', '2048', '2'])}`],
      [0.08, () => `vectors=${this.one(['0', '2', '5', '4096'])}`],
      [0.06, () => `scsi=${this.one(['on', 'off'])}`],
      [
        0.06,
        () =>
          this.one([
            'disable-legacy=on',
            'disable-modern=on',
            'disable-legacy=on,disable-modern=on',
            'iommu_platform=on',
            'packed=on',
            'ioeventfd=off',
            'ioeventfd=maybe',
          ]),
      ],
      [0.08, () => `bootindex=${this.one(['0', '1', '1', '2', 'a'])}`],
      [
        0.06,
        () =>
          this.one([
            'logical_block_size=4096',
            'physical_block_size=4096',
            'logical_block_size=1000',
            'min_io_size=100',
            'logical_block_size=4096,physical_block_size=4096',
          ]),
      ],
      [
        0.05,
        () =>
          this.one([
            'cache=none',
            'foo=1',
            'queue_size=128',
            'serial=1',
            'share-rw=on',
            'write-cache=on',
            'write-cache=perhaps',
            'werror=stop',
            'discard=off',
            'id=v',
            'id=1v',
          ]),
      ],
    ])}`;
  }
}

/** The line of a seed. */
export function generateLine(seed: number): string {
  return new Maker(seed).make();
}
