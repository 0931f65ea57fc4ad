/**
 * Recipes: lines that do one thing well, with the reason for every option that matters. Texts are in
 * `resources/messages/<locale>/recipes.json`: `recipes.<id>.title`, `recipes.<id>.about`, `recipes.why.<reason>`.
 */

/** A file that the line names, as `qemu-img create` would make it. */
export interface RecipeFile {
  name: string;
  format: 'qcow2' | 'raw' | 'luks' | 'text';
  /** Name of the backing file, a qcow2 image too. */
  backing?: string;
  /** A LUKS image: the file that holds its passphrase. */
  key?: string;
}

export interface RecipeReason {
  /** The part of the line that it is about, word for word. */
  option: string;
  /** Key behind `recipes.why.`. */
  why: string;
}

export interface Recipe {
  id: string;
  line: string;
  files: readonly RecipeFile[];
  reasons: readonly RecipeReason[];
  /** It wants something that cannot be made with qemu-img: a server, a device of the host. */
  needs?: 'nbd-server' | 'scsi-device';
  /** Lint rules that point at the very thing that the recipe is about. */
  knowingly?: readonly string[];
}

const QEMU = 'qemu-system-x86_64 -machine q35';

function line(...options: string[]): string {
  return [QEMU, ...options].join(' \\\n  ');
}

const qcow2 = (...names: string[]): RecipeFile[] => names.map((name) => ({ name, format: 'qcow2' }));
const raw = (...names: string[]): RecipeFile[] => names.map((name) => ({ name, format: 'raw' }));

export const RECIPES: readonly Recipe[] = [
  {
    id: 'fast-virtio-blk',
    line: line(
      '-object iothread,id=io0',
      '-blockdev driver=raw,node-name=disk0,file.driver=file,file.filename=disk.img,file.aio=native,cache.direct=on',
      '-device virtio-blk-pci,drive=disk0,id=vda,iothread=io0,num-queues=4,bootindex=1',
    ),
    files: raw('disk.img'),
    reasons: [
      { option: 'iothread=io0', why: 'iothread' },
      { option: 'driver=raw', why: 'raw' },
      { option: 'cache.direct=on', why: 'direct' },
      { option: 'file.aio=native', why: 'aio-native' },
      { option: 'num-queues=4', why: 'queues' },
    ],
  },
  {
    id: 'many-disks',
    line: line(
      '-object iothread,id=io0',
      '-device virtio-scsi-pci,id=scsi0,iothread=io0',
      '-blockdev driver=qcow2,node-name=disk0,file.driver=file,file.filename=disk0.qcow2,discard=unmap',
      '-device scsi-hd,bus=scsi0.0,scsi-id=0,lun=0,drive=disk0,id=sda,bootindex=1',
      '-blockdev driver=qcow2,node-name=disk1,file.driver=file,file.filename=disk1.qcow2,discard=unmap',
      '-device scsi-hd,bus=scsi0.0,scsi-id=0,lun=1,drive=disk1,id=sdb',
      '-blockdev driver=qcow2,node-name=disk2,file.driver=file,file.filename=disk2.qcow2,discard=unmap',
      '-device scsi-hd,bus=scsi0.0,scsi-id=1,lun=0,drive=disk2,id=sdc',
    ),
    files: qcow2('disk0.qcow2', 'disk1.qcow2', 'disk2.qcow2'),
    reasons: [
      { option: 'virtio-scsi-pci,id=scsi0', why: 'one-slot' },
      { option: 'bus=scsi0.0', why: 'bus-name' },
      { option: 'scsi-id=0,lun=1', why: 'scsi-address' },
      { option: 'discard=unmap', why: 'discard' },
    ],
  },
  {
    id: 'windows',
    line: line(
      '-blockdev driver=qcow2,node-name=system,file.driver=file,file.filename=windows.qcow2,discard=unmap',
      '-device virtio-blk-pci,drive=system,id=disk0,bootindex=2',
      '-blockdev driver=raw,node-name=setup,file.driver=file,file.filename=windows.iso,read-only=on',
      '-device ide-cd,bus=ide.0,drive=setup,bootindex=1',
      '-blockdev driver=raw,node-name=drivers,file.driver=file,file.filename=virtio-win.iso,read-only=on',
      '-device ide-cd,bus=ide.1,drive=drivers',
    ),
    files: [...qcow2('windows.qcow2'), ...raw('windows.iso', 'virtio-win.iso')],
    reasons: [
      { option: 'virtio-blk-pci', why: 'windows-driver' },
      { option: 'ide-cd,bus=ide.1,drive=drivers', why: 'windows-second-cd' },
      { option: 'bootindex=1', why: 'windows-boot' },
      { option: 'discard=unmap', why: 'discard' },
    ],
  },
  {
    id: 'throttled',
    line: line(
      '-object throttle-group,id=limits,x-iops-total=500,x-iops-total-max=2000,x-bps-total=52428800',
      '-blockdev driver=qcow2,node-name=disk0,file.driver=file,file.filename=disk.qcow2',
      '-blockdev driver=throttle,node-name=slow0,throttle-group=limits,file=disk0',
      '-device virtio-blk-pci,drive=slow0,id=vda',
    ),
    files: qcow2('disk.qcow2'),
    reasons: [
      { option: 'throttle-group,id=limits', why: 'group' },
      { option: 'x-iops-total=500', why: 'iops' },
      { option: 'x-iops-total-max=2000', why: 'burst' },
      { option: 'drive=slow0', why: 'top-node' },
    ],
  },
  {
    id: 'shared',
    line: line(
      '-blockdev driver=raw,node-name=shared0,file.driver=file,file.filename=shared.img,cache.direct=on',
      '-device virtio-scsi-pci,id=scsi0',
      '-device scsi-hd,bus=scsi0.0,drive=shared0,share-rw=on,serial=SHARED0',
    ),
    files: raw('shared.img'),
    knowingly: ['L04'],
    reasons: [
      { option: 'share-rw=on', why: 'share' },
      { option: 'driver=raw', why: 'share-raw' },
      { option: 'cache.direct=on', why: 'share-cache' },
      { option: 'serial=SHARED0', why: 'serial' },
    ],
  },
  {
    id: 'copy-on-read-nbd',
    line: line(
      '-blockdev driver=nbd,node-name=remote,server.type=inet,server.host=images.example,server.port=10809,reconnect-delay=30,read-only=on',
      '-blockdev driver=qcow2,node-name=local,file.driver=file,file.filename=local.qcow2,backing=remote',
      '-blockdev driver=copy-on-read,node-name=disk0,file=local',
      '-device virtio-blk-pci,drive=disk0,id=vda,bootindex=1',
    ),
    files: qcow2('local.qcow2'),
    reasons: [
      { option: 'driver=copy-on-read', why: 'copy-on-read' },
      { option: 'backing=remote', why: 'backing-node' },
      { option: 'read-only=on', why: 'remote-read-only' },
      { option: 'reconnect-delay=30', why: 'reconnect' },
    ],
    needs: 'nbd-server',
  },
  {
    id: 'mirror',
    line: line(
      '-blockdev driver=raw,node-name=left,file.driver=file,file.filename=left.img,cache.direct=on',
      '-blockdev driver=raw,node-name=right,file.driver=file,file.filename=right.img,cache.direct=on',
      '-blockdev driver=quorum,node-name=mirror0,vote-threshold=1,read-pattern=fifo,children.0=left,children.1=right',
      '-device virtio-blk-pci,drive=mirror0,id=vda',
    ),
    files: raw('left.img', 'right.img'),
    reasons: [
      { option: 'driver=quorum', why: 'quorum' },
      { option: 'read-pattern=fifo', why: 'fifo' },
      { option: 'vote-threshold=1', why: 'threshold' },
    ],
  },
  {
    id: 'striping',
    line: line(
      '-object iothread,id=io0',
      '-object iothread,id=io1',
      '-blockdev driver=raw,node-name=half0,file.driver=file,file.filename=half0.img,cache.direct=on',
      '-device virtio-blk-pci,drive=half0,id=vda,serial=HALF0,iothread=io0',
      '-blockdev driver=raw,node-name=half1,file.driver=file,file.filename=half1.img,cache.direct=on',
      '-device virtio-blk-pci,drive=half1,id=vdb,serial=HALF1,iothread=io1',
    ),
    files: raw('half0.img', 'half1.img'),
    reasons: [
      { option: 'drive=half1,id=vdb', why: 'stripe-guest' },
      { option: 'iothread=io1', why: 'stripe-threads' },
      { option: 'serial=HALF0', why: 'serial' },
    ],
  },
  {
    id: 'cdrom',
    line: line(
      '-blockdev driver=raw,node-name=cd0,file.driver=file,file.filename=install.iso,read-only=on',
      '-device ide-cd,bus=ide.0,drive=cd0,id=cdrom0,bootindex=1',
    ),
    files: raw('install.iso'),
    reasons: [
      { option: 'read-only=on', why: 'cd-read-only' },
      { option: 'id=cdrom0', why: 'cd-id' },
      { option: 'bootindex=1', why: 'bootindex' },
    ],
  },
  {
    id: 'passthrough',
    line: line(
      '-device virtio-scsi-pci,id=scsi0',
      '-blockdev driver=raw,node-name=lun0,file.driver=host_device,file.filename=/dev/disk/by-id/scsi-EXAMPLE,cache.direct=on',
      '-device scsi-block,bus=scsi0.0,drive=lun0,id=sda',
    ),
    files: [],
    reasons: [
      { option: 'scsi-block', why: 'scsi-block' },
      { option: 'file.driver=host_device', why: 'host-device' },
      { option: 'by-id', why: 'by-id' },
      { option: 'cache.direct=on', why: 'passthrough-cache' },
    ],
    needs: 'scsi-device',
  },
  {
    id: 'writethrough',
    line: line(
      '-blockdev driver=qcow2,node-name=disk0,file.driver=file,file.filename=disk.qcow2',
      '-device virtio-blk-pci,drive=disk0,id=vda,write-cache=off,werror=stop,rerror=stop',
    ),
    files: qcow2('disk.qcow2'),
    reasons: [
      { option: 'write-cache=off', why: 'write-cache' },
      { option: 'werror=stop', why: 'werror' },
    ],
  },
  {
    id: 'thin',
    line: line(
      '-blockdev driver=qcow2,node-name=disk0,file.driver=file,file.filename=thin.qcow2,discard=unmap,detect-zeroes=unmap',
      '-device virtio-scsi-pci,id=scsi0',
      '-device scsi-hd,bus=scsi0.0,drive=disk0,id=sda',
    ),
    files: qcow2('thin.qcow2'),
    reasons: [
      { option: 'discard=unmap', why: 'discard' },
      { option: 'detect-zeroes=unmap', why: 'detect-zeroes' },
      { option: 'scsi-hd', why: 'thin-scsi' },
    ],
  },
  {
    id: 'luks',
    line: line(
      '-object secret,id=key0,file=passphrase.txt',
      '-blockdev driver=luks,node-name=disk0,key-secret=key0,file.driver=file,file.filename=disk.luks',
      '-device virtio-blk-pci,drive=disk0,id=vda',
    ),
    files: [
      { name: 'passphrase.txt', format: 'text' },
      { name: 'disk.luks', format: 'luks', key: 'passphrase.txt' },
    ],
    reasons: [
      { option: 'secret,id=key0,file=passphrase.txt', why: 'secret-file' },
      { option: 'driver=luks', why: 'luks' },
    ],
  },
  {
    id: 'overlay',
    line: line(
      '-blockdev driver=qcow2,node-name=base,file.driver=file,file.filename=base.qcow2,read-only=on',
      '-blockdev driver=qcow2,node-name=disk0,file.driver=file,file.filename=overlay.qcow2,backing=base',
      '-device virtio-blk-pci,drive=disk0,id=vda,bootindex=1',
    ),
    files: [...qcow2('base.qcow2'), { name: 'overlay.qcow2', format: 'qcow2', backing: 'base.qcow2' }],
    reasons: [
      { option: 'node-name=base', why: 'base-named' },
      { option: 'read-only=on', why: 'base-read-only' },
      { option: 'backing=base', why: 'backing-node' },
    ],
  },
  {
    id: 'throw-away',
    line: line(
      '-drive file=disk.qcow2,format=qcow2,if=none,id=disk0,snapshot=on',
      '-device virtio-blk-pci,drive=disk0,id=vda',
    ),
    files: qcow2('disk.qcow2'),
    reasons: [
      { option: 'snapshot=on', why: 'snapshot' },
      { option: 'format=qcow2', why: 'format' },
    ],
    knowingly: ['R03'],
  },
  {
    id: 'nvme',
    line: line(
      '-device nvme,id=nvme0,serial=NVME0001',
      '-blockdev driver=raw,node-name=ns0,file.driver=file,file.filename=ns0.img,cache.direct=on,discard=unmap',
      '-device nvme-ns,bus=nvme0,nsid=1,drive=ns0,bootindex=1',
      '-blockdev driver=raw,node-name=ns1,file.driver=file,file.filename=ns1.img,cache.direct=on,discard=unmap',
      '-device nvme-ns,bus=nvme0,nsid=2,drive=ns1',
    ),
    files: raw('ns0.img', 'ns1.img'),
    reasons: [
      { option: 'serial=NVME0001', why: 'nvme-serial' },
      { option: 'nvme-ns', why: 'nvme-ns' },
      { option: 'nsid=2', why: 'nsid' },
    ],
  },
  {
    id: 'usb-stick',
    line: line(
      '-device qemu-xhci,id=usb0',
      '-blockdev driver=raw,node-name=stick0,file.driver=file,file.filename=stick.img',
      '-device usb-storage,bus=usb0.0,drive=stick0,removable=on',
    ),
    files: raw('stick.img'),
    reasons: [
      { option: 'qemu-xhci', why: 'xhci' },
      { option: 'removable=on', why: 'removable' },
    ],
  },
  {
    id: 'old-guest',
    line: [
      'qemu-system-x86_64 -machine pc',
      '-drive file=old.img,format=raw,if=none,id=disk0',
      '-device ide-hd,bus=ide.0,unit=0,drive=disk0,bootindex=1',
      '-drive file=install.iso,format=raw,if=none,id=cd0,media=cdrom',
      '-device ide-cd,bus=ide.1,unit=0,drive=cd0,bootindex=2',
    ].join(' \\\n  '),
    files: raw('old.img', 'install.iso'),
    reasons: [
      { option: '-machine pc', why: 'machine-pc' },
      { option: 'ide-hd', why: 'ide-hd' },
      { option: 'bus=ide.1,unit=0', why: 'ide-channels' },
    ],
  },
];

/** The recipe of that id. */
export function recipeById(id: string): Recipe | undefined {
  return RECIPES.find((recipe) => recipe.id === id);
}
