/** `-device`, `-object` and the other pieces of the machine: what reaches out of QEMU is taken out or made harmless. */
import type { Option } from '../model.ts';
import { deviceProperties, deviceSchema, qapiMembers, tagValues, type Schema } from '../schema/schema.ts';
import { optionText, type Changes } from './changes.ts';
import {
  HARMLESS_OBJECTS,
  isHarmlessProperty,
  isHostDevice,
  MACHINE_LEFT_OUT,
  OBJECT_INSTEAD,
} from './policy.ts';
import { printParam, Words } from './words.ts';

/** The device for the trial, or undefined when it has to stay out. */
export function trialDevice(words: Words, schema: Schema, changes: Changes): Words | undefined {
  const { option } = words;
  const driver = words.get('driver')?.value ?? '';
  const name = Object.hasOwn(schema.aliases, driver) ? schema.aliases[driver] : driver;
  if (isHostDevice(name) && deviceSchema(schema, name) !== undefined) {
    changes.add(option.span, optionText(option), 'device-host', undefined, { device: driver });
    return undefined;
  }
  const properties = deviceProperties(schema, driver);
  for (const param of words.remove((p) => !isHarmlessProperty(p.key, typeOf(p.key)))) {
    changes.add(param.span, printParam(param), 'property-host', undefined, { property: param.key });
  }
  return words;

  function typeOf(property: string): string | undefined {
    return properties === undefined ? 'unknown' : properties.get(property)?.[1];
  }
}

/** `-global driver.property=value`: true when it may be handed over. */
export function isHarmlessGlobal(option: Option): boolean {
  const text = option.argument ?? '';
  const dotted = /^[^=,]*\.([^=,.]+)=/.exec(text)?.[1];
  const property = dotted ?? /(?:^|,)property=([^,]*)/.exec(text)?.[1];
  // One that QEMU cannot read is refused.
  return property === undefined || isHarmlessProperty(property, 'unknown');
}

/** The object for the trial, or undefined when it has to stay out. */
export function trialObject(words: Words, schema: Schema, changes: Changes): Words | undefined {
  const { option } = words;
  const type = words.get('qom-type');
  if (type === undefined) return words;
  if (Object.hasOwn(OBJECT_INSTEAD, type.value)) {
    const instead = OBJECT_INSTEAD[type.value];
    const kept = qapiMembers(schema, 'ObjectOptions', instead);
    words.remove((p) => p.key !== 'qom-type' && kept?.has(p.key.replace(/\..*$/, '')) !== true);
    words.set('qom-type', instead);
    changes.add(option.span, optionText(option), 'object-instead', instead, { object: type.value });
  } else if (!HARMLESS_OBJECTS.has(type.value)) {
    // QEMU refuses a type that it does not know.
    if (!tagValues(schema, 'ObjectOptions').includes(type.value)) return words;
    changes.add(option.span, optionText(option), 'object-host', undefined, { object: type.value });
    return undefined;
  }
  if (words.get('qom-type')?.value === 'memory-backend-ram') {
    words.remove((p) => p.key.startsWith('prealloc'));
    if (qapiMembers(schema, 'ObjectOptions', 'memory-backend-ram')?.has('reserve') === true)
      words.set('reserve', 'off', 'boolean');
  }
  for (const param of words.remove((p) => type.value === 'secret' && p.key === 'file')) {
    words.set('data', 'platter');
    changes.add(param.span, printParam(param), 'secret-file', 'data=…');
  }
  words.remove((p) => p.key === 'dir');
  return words;
}

/** `-machine` without what names files or belongs to an accelerator. */
export function trialMachine(words: Words, changes: Changes): Words {
  const gone = words.remove(
    (p) => MACHINE_LEFT_OUT.has(p.key.replaceAll('_', '-')) || p.key.startsWith('boot.splash'),
  );
  for (const param of gone) {
    const reason = /^(?:accel|kernel.irqchip|kvm)/.test(param.key) ? 'accel' : 'machine-host';
    changes.add(param.span, printParam(param), reason);
  }
  return words;
}
