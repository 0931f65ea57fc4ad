/**
 * How the application is packed (`npm run dist`): asar, fuses, file associations, and the installers of each system.
 *
 * Everything that runs is bundled into `out/`, but koffi, which calls the C library: its binary for the system that is packed for lies
 * beside the archive. A package made on another system has none: npm installs one's own alone.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FuseV1Options, FuseVersion } from '@electron/fuses';

/**
 * The image formats that open with Platter: extension, name, the type that the desktops' MIME database knows it by. One row for each
 * extension, since electron-builder makes one pattern out of a list of them.
 */
const FORMATS = [
  { ext: 'qcow2', name: 'QEMU disk image', mimeType: 'application/x-qemu-disk' },
  { ext: 'vmdk', name: 'VMware disk image', mimeType: 'application/x-vmdk-disk' },
  { ext: 'vhd', name: 'Virtual PC disk image', mimeType: 'application/x-vhd-disk' },
  { ext: 'vhdx', name: 'Hyper-V disk image', mimeType: 'application/x-vhdx-disk' },
  { ext: 'vdi', name: 'VirtualBox disk image', mimeType: 'application/x-vdi-disk' },
  { ext: 'img', name: 'Raw disk image', mimeType: 'application/x-raw-disk-image' },
  { ext: 'raw', name: 'Raw disk image', mimeType: 'application/x-raw-disk' },
  { ext: 'qed', name: 'QEMU enhanced disk image', mimeType: 'application/x-qed-disk' },
];

/**
 * What a packed Electron is allowed to be: our application and nothing else.
 * @param {string} platform
 */
export function fuses(platform) {
  return {
    version: FuseVersion.V1,
    // electron-builder signs afterwards; on an Apple chip the old signature is void as soon as the fuses change.
    resetAdHocDarwinSignature: platform === 'darwin',
    [FuseV1Options.RunAsNode]: false,
    [FuseV1Options.EnableCookieEncryption]: true,
    [FuseV1Options.EnableNodeOptionsEnvironmentVariable]: false,
    [FuseV1Options.EnableNodeCliInspectArguments]: false,
    // Electron checks the archive on macOS and Windows; electron-builder writes no checksum for Linux.
    [FuseV1Options.EnableEmbeddedAsarIntegrityValidation]: platform !== 'linux',
    [FuseV1Options.OnlyLoadAppFromAsar]: true,
    [FuseV1Options.LoadBrowserProcessSpecificV8Snapshot]: false,
    [FuseV1Options.GrantFileProtocolExtraPrivileges]: false,
  };
}

/** @type {import('electron-builder').Configuration} */
const configuration = {
  appId: 'org.platter.Platter',
  productName: 'Platter',
  copyright: 'Copyright © 2026 The Platter developers',
  directories: { output: 'dist', buildResources: 'resources/icons' },
  asar: true,
  files: [
    'package.json',
    'LICENSE',
    'out/{main,preload,renderer}/**',
    '!out/**/*.map',
    // The main process copies it from here.
    'resources/samples/sample.qcow2',
    // Of koffi what runs: neither its sources nor its documentation, and of its binaries the one that Electron can load.
    '!node_modules/koffi/{doc,lib,vendor}/**',
    '!node_modules/koffi/cnoke.cjs',
    '!node_modules/koffi/**/*.{md,cc,hh,S,asm,inc,def,txt,d.ts}',
    '!node_modules/@koromix/*/musl_*/**',
  ],
  // A library can only be loaded from a file of its own.
  asarUnpack: ['node_modules/@koromix/**'],
  electronLanguages: ['en-US', 'zh-CN'],
  // There is nothing to compile: koffi's binary goes with every Node (Node-API).
  npmRebuild: false,
  publish: null,
  // A .deb wants an address; there is none yet (RFC 2606: never resolves).
  extraMetadata: { homepage: 'https://platter.invalid/' },
  artifactName: 'platter-${version}-${os}-${arch}.${ext}',
  fileAssociations: FORMATS.map((format) => ({
    ...format,
    description: format.name,
    role: 'Editor',
    rank: 'Alternate',
  })),
  afterPack: async (context) => {
    const { appOutDir, packager } = context;
    // A runtime that was unpacked before brings Electron's default application along.
    await rm(join(packager.getResourcesDir(appOutDir), 'default_app.asar'), { force: true });
    await packager.addElectronFuses(context, fuses(context.electronPlatformName));
  },
  linux: {
    // `platter` is the command-line program.
    executableName: 'platter-app',
    // One name for the desktop entry, the window's class and the executable: `desktopName` of package.json.
    syncDesktopName: true,
    icon: 'resources/icons/png',
    category: 'System',
    synopsis: 'A laboratory for VM disks',
    description: 'Look into disk images, write QEMU storage command lines, watch virtqueues and interrupts.',
    maintainer: 'The Platter developers <noreply@platter.invalid>',
    vendor: 'The Platter developers',
    desktop: {
      entry: {
        Name: 'Platter',
        'Name[zh_CN]': 'Platter 磁盘实验室',
        GenericName: 'VM disk laboratory',
        'GenericName[zh_CN]': '虚拟机磁盘实验室',
        Comment: 'Look into disk images, write QEMU storage command lines, watch virtqueues and interrupts',
        'Comment[zh_CN]': '检查磁盘映像，编写 QEMU 存储命令行，观察虚拟队列与中断',
        Keywords: 'qemu;qcow2;vmdk;vhd;vdi;disk;image;virtio;',
      },
    },
    target: ['AppImage', 'deb', 'tar.gz'],
  },
  deb: {
    packageCategory: 'otherosfs',
    priority: 'optional',
    compression: 'xz',
    // What the executable is linked with; the second names are those of releases with a 64-bit time_t.
    depends: [
      'libgtk-3-0 | libgtk-3-0t64',
      'libnss3',
      'libasound2 | libasound2t64',
      'libgbm1',
      'libatspi2.0-0 | libatspi2.0-0t64',
      'libsecret-1-0',
      'xdg-utils',
    ],
  },
  win: { icon: 'resources/icons/png/512x512.png', target: ['nsis'] },
  nsis: {
    oneClick: false,
    // File associations are registered for all users or not at all.
    perMachine: true,
    allowToChangeInstallationDirectory: true,
    installerLanguages: ['en_US', 'zh_CN'],
    license: 'LICENSE',
  },
  mac: {
    icon: 'resources/icons/png/1024x1024.png',
    category: 'public.app-category.developer-tools',
    target: ['dmg'],
    hardenedRuntime: true,
    // No download, no telemetry: nothing that would need more than this.
    darkModeSupport: true,
  },
};

export default configuration;
