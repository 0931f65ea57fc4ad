/** What answers the page's calls, one line each; the work is done elsewhere. */
import { app, clipboard } from 'electron';
import type { AppStart } from '#contract/calls.ts';
import type { Handlers } from './ipc/dispatch.ts';
import type { Application } from './application.ts';
import { pickConfigFile, pickImages, pickTraceFile } from './images/dialogs.ts';
import { pickTarget } from './jobs/dialogs.ts';
import { sampleCopy } from './images/sample.ts';
import { disksOf } from './labs/disks.ts';
import { readConfigFile } from './qemu/config-file.ts';

export function handlersOf(platter: Application): Handlers {
  const { settings, images, jobs, labs, gate, window, trials } = platter;
  return {
    'app.start': () => start(platter),
    'clipboard.write': async (text) => {
      // Newer Electrons answer when it is done, older ones do it at once.
      await clipboard.writeText(text);
      return null;
    },
    'settings.set': async (part) => {
      await settings.set({ ...settings.value, ...part });
      return settings.value;
    },
    'session.save': async (session) => {
      await platter.saveSession(session);
      return null;
    },
    'images.pick': async () => platter.attach(await pickImages(window.electron, platter.text)),
    'images.attachSample': async () => {
      const file = await sampleCopy(app.getPath('userData'));
      return images.together(() => images.attach(file));
    },
    'images.list': () => images.list(),
    'images.unlock': (handle, passphrase) => images.unlock(handle, passphrase),
    'images.reopen': (handle) => images.reopen(handle),
    'images.detach': async (handle) => {
      await images.detach(handle);
      return null;
    },
    'images.hurry': (handles) => {
      images.hurry(handles);
      return null;
    },
    'images.map': (handle, start, limit) => images.map(handle, start, limit),
    'images.read': (handle, space, offset, length) => images.read(handle, space, offset, length),
    'images.partitions': (handle) => images.partitions(handle),
    'images.check': (handle) => images.check(handle),
    'images.structure': (handle, ...args) => images.ask(handle, 'structure', ...args),
    'images.structureNode': (handle, ...args) => images.ask(handle, 'structureNode', ...args),
    'images.structureFields': (handle, ...args) => images.ask(handle, 'structureFields', ...args),
    'images.owners': (handle, ...args) => images.ask(handle, 'owners', ...args),
    'images.ownerShares': (handle, ...args) => images.ask(handle, 'ownerShares', ...args),
    'images.search': (handle, ...args) => images.ask(handle, 'search', ...args),
    'jobs.pickTarget': (image, name, format) => pickTarget(platter, image, name, format),
    'jobs.start': (request, secrets) => jobs.start(request, secrets),
    'jobs.cancel': (id) => {
      jobs.cancel(id);
      return null;
    },
    'jobs.list': () => jobs.list(),
    'jobs.again': (id) => jobs.again(id),
    'jobs.forget': async (id) => {
      await jobs.forget(id ?? undefined);
      return null;
    },
    'jobs.copyCommand': async (request) => {
      await clipboard.writeText(jobs.commandText(request));
      return null;
    },
    'gate.answer': (id, allow, folder) => {
      gate.answer(id, allow, folder);
      return null;
    },
    'lab.disks': (line, configs) => disksOf(line, configs),
    'lab.create': (config) => labs.create(config),
    'lab.run': (id) => labs.run(id),
    'lab.pause': (id) => labs.pause(id),
    'lab.step': (id, kind) => labs.step(id, kind),
    'lab.speed': (id, eventsPerSecond) => labs.speed(id, eventsPerSecond),
    'lab.attacks': (id, disk) => labs.attacks(id, disk),
    'lab.attack': (id, attack, disk) => labs.attack(id, attack, disk),
    'lab.fault': (id, fault, disk) => labs.fault(id, fault, disk),
    'lab.moveTray': (id, move, force, disk) => labs.moveTray(id, move, force, disk),
    'lab.insert': (id, image, force, disk) => labs.insert(id, image, force, disk),
    'lab.close': async (id) => {
      await labs.close(id);
      return null;
    },
    'lab.saveTrace': async (id) => {
      const path = await pickTraceFile(window.electron, platter.text);
      if (path === undefined) return false;
      await labs.saveTrace(id, path);
      return true;
    },
    'line.pickConfig': async () => {
      const path = await pickConfigFile(window.electron, platter.text);
      return path === undefined ? null : readConfigFile(path);
    },
    'qemu.try': (request) => trials.run(request),
    'qemu.cancel': async () => {
      await trials.cancel();
      return null;
    },
    'qemu.schema': (arch) => trials.schema(arch),
  };
}

/** The page begins: it gets the whole state, and from now on every change. */
async function start(platter: Application): Promise<AppStart> {
  const qemu = await platter.qemu;
  // From here to the answer nothing may wait: what the answer tells and the events after it fit together without a gap.
  platter.window.markPageStarted();
  platter.askWaitingQuestions();
  return {
    settings: platter.settings.value,
    session: platter.work.value.session,
    images: platter.images.list(),
    notices: platter.notices.take(),
    versions: {
      platter: app.getVersion(),
      electron: process.versions.electron,
      chrome: process.versions.chrome,
      node: process.versions.node,
    },
    systemLocale: platter.systemLocale,
    platform: process.platform,
    qemu,
  };
}
