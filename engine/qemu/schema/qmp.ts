/** Asks a QEMU for its schema, over a QMP connection that the caller holds. */
import { buildSchema, readDeviceHelp, type QmpAnswers } from './build.ts';
import type { Schema } from './schema.ts';

/** Sends one QMP command and answers its `return`. */
export type QmpAsk = (command: string, args?: Record<string, unknown>) => Promise<unknown>;

/** The schema of the QEMU behind `ask`; `deviceHelp` is the output of its `-device help`. */
export async function readSchema(ask: QmpAsk, deviceHelp: string): Promise<Schema> {
  const answers: QmpAnswers = {
    version: (await ask('query-version')) as QmpAnswers['version'],
    target: (await ask('query-target')) as QmpAnswers['target'],
    properties: {},
    deviceHelp,
    schema: (await ask('query-qmp-schema')) as QmpAnswers['schema'],
    machines: (await ask('query-machines')) as QmpAnswers['machines'],
    classes: (await ask('qom-list-types', {
      implements: 'device',
      abstract: true,
    })) as QmpAnswers['classes'],
    options: (await ask('query-command-line-options')) as QmpAnswers['options'],
  };
  for (const device of readDeviceHelp(deviceHelp)) {
    // CPUs and memory modules have no bus, and hundreds of properties that are none of storage's business.
    // A display device whose module is not installed makes QEMU abort when it is asked about it.
    if (device.bus === undefined || /gpu|vga|qxl/i.test(device.name)) continue;
    answers.properties[device.name] = (await ask('device-list-properties', {
      typename: device.name,
    })) as QmpAnswers['properties'][string];
  }
  return buildSchema(answers);
}
