/** `-set` and `-global` that reach nothing. What they set is judged with the options that they are about. */
import { setKey } from '../edit.ts';
import { canonicalDriver } from '../model/device-kinds.ts';
import { nearest } from '../parse/nearest.ts';
import { readGlobal, readSet, setTarget } from '../parse/elsewhere.ts';
import { schemaFor } from '../schema/bundled.ts';
import { isSure } from './names.ts';
import { fix, rule, type Finding } from './rule.ts';

/** Groups of options (softmmu/vl.c, `qemu_add_opts`); members of the first have ids that a line gives them. */
const GROUPS = ['drive', 'device', 'chardev', 'netdev', 'fsdev', 'mon'];
const MORE_GROUPS =
  'nic net rtc global trace option-rom accel memory add-fd tpmdev overcommit msg name numa icount semihosting-config fw_cfg ' +
  'action iscsi vnc spice sandbox acpi smbios plugin audiodev';
const FIXED = ['object', 'machine', 'smp-opts', 'boot-opts'];

/** Whether QEMU refuses a `-set` of that group whatever stands in the line. */
export function isNoGroup(group: string): boolean {
  return !GROUPS.includes(group) && !MORE_GROUPS.split(' ').includes(group);
}

export const elsewhereRules = [
  rule({
    id: 'O09',
    severity: 'error',
    qemu: [
      'there is no {group} "{id}" defined',
      "There is no option group '{group}'",
      '-set is not supported with {group}',
      `can't parse: "{text}"`,
    ],
    *find({ line }): Iterable<Finding> {
      for (const [index, option] of line.options.entries()) {
        if (option.name !== 'set' || option.word === undefined || option.word.variables !== undefined)
          continue;
        const set = readSet(option);
        const span = option.argumentSpan ?? option.span;
        if (set === undefined) {
          yield { span, params: { text: option.word.value }, says: 3, variant: 'form' };
          continue;
        }
        const { group, id } = set;
        const params = { group, id };
        if (FIXED.includes(group)) yield { span, params, says: 2, variant: 'fixed' };
        else if (isNoGroup(group)) yield { span, params, says: 1, variant: 'group' };
        else if (GROUPS.includes(group) && setTarget(line, set, index) === undefined) {
          const later = setTarget(line, set, line.options.length);
          const json = line.options.some(
            (o) =>
              o.name === group && o.json === true && o.params.some((p) => p.key === 'id' && p.value === id),
          );
          yield {
            span,
            params,
            ...(later === undefined
              ? json
                ? { variant: 'json' }
                : {}
              : { variant: 'order', related: [later.span] }),
          };
        }
      }
    },
  }),
  rule({
    id: 'O10',
    severity: 'warning',
    qemu: ['global {driver}.{property} has invalid class name', "Invalid parameter '{text}'"],
    *find({ line, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      const { classes } = schema;
      for (const option of line.options) {
        if (option.name !== 'global' || option.word === undefined || option.word.variables !== undefined)
          continue;
        const global = readGlobal(option);
        const span = option.argumentSpan ?? option.span;
        if (global === undefined) {
          const text = option.params[0]?.key ?? option.word.value;
          yield { span, params: { text }, says: 1, variant: 'form', severity: 'error' };
          continue;
        }
        const { driver, property } = global;
        if (classes === undefined || Object.hasOwn(classes, driver)) continue;
        const alias = canonicalDriver(driver);
        const near = alias === driver ? nearest(driver, Object.keys(classes)) : alias;
        if (near === undefined && !isSure(schema, context)) continue;
        const known = near === undefined ? undefined : option.params[0];
        yield {
          span,
          params: { driver, property, ...(near === undefined ? {} : { near }) },
          ...(near === undefined ? {} : { variant: 'suggest' }),
          fixes:
            near === undefined || known === undefined || known.key === 'driver'
              ? []
              : [fix('replace', { from: driver, to: near }, setKey(option, known, `${near}.${property}`))],
        };
      }
    },
  }),
];
