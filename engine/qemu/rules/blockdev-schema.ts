/** -blockdev and JSON arguments held against the QAPI schema: unknown keys, values, types. */
import { setKey, setValue } from '../edit.ts';
import type { LintContext, Option, Param } from '../model.ts';
import { readBool } from '../model/values.ts';
import { nearest } from '../parse/nearest.ts';
import { bundledSchema, schemaFor } from '../schema/bundled.ts';
import { checkQapi } from '../schema/check.ts';
import { deviceProperty } from '../schema/schema.ts';
import { fix, rule, type Finding } from './rule.ts';
import { DRIVE_ONLY } from './blockdev.ts';
import { isGone } from './changes.ts';

const SAYS: Record<string, number> = { unknown: 0, value: 1, missing: 2, boolean: 3, integer: 4 };

function nearFix(
  option: Option,
  param: Param,
  kind: string,
  name: string,
  near: string,
): ReturnType<typeof fix> {
  return kind === 'unknown'
    ? fix(
        'replace',
        { from: name, to: near },
        setKey(option, param, [...param.key.split('.').slice(0, -1), near].join('.')),
      )
    : fix('replace', { from: param.value, to: near }, setValue(option, param, near));
}

function jsonType(option: Option, param: Param, expected: string): Finding {
  const word = option.word;
  const plain = word !== undefined && param.value !== '' && /^[\w.-]+$/.test(param.value);
  const value = expected === 'boolean' ? (readBool(param.value) === true ? 'true' : 'false') : param.value;
  return {
    span: param.valueSpan,
    params: { key: param.key, type: expected, value: param.value },
    fixes: plain
      ? [fix('replace', { from: `"${param.value}"`, to: value }, { span: param.valueSpan, text: value })]
      : [],
  };
}

/** The JSON type that a device property demands, when it is not a string. */
function jsonTypeOf(driver: string, key: string, context: LintContext): string | undefined {
  const type = deviceProperty(schemaFor(context), driver, key)?.[1];
  if (type === undefined || key === 'addr') return undefined;
  if (type === 'bool') return 'boolean';
  return /^u?int\d+$/.test(type) ? 'integer' : undefined;
}

export const blockdevSchemaRules = [
  rule({
    id: 'B08',
    severity: 'error',
    qemu: [
      "Parameter '{key}' is unexpected",
      "Parameter '{key}' does not accept value '{value}'",
      "Parameter '{key}' is missing",
      "Parameter '{key}' expects 'on' or 'off'",
      "Parameter '{key}' expects integer",
      "Expected '=' after parameter '{key}'",
    ],
    *find({ model, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      const sure = schema.version === context.version || schema !== bundledSchema;
      for (const node of model.blockdevs) {
        if (node.option.word?.variables !== undefined || node.option.params.length === 0) continue;
        for (const param of node.option.params) {
          if (param.form.startsWith('short'))
            yield {
              span: param.span,
              params: { key: param.key },
              says: 5,
              variant: 'short',
              fixes: [fix('set', { text: `${param.key}=on` }, setValue(node.option, param, 'on'))],
            };
        }
        for (const found of checkQapi(schema, 'BlockdevOptions', node.tree)) {
          const name = found.path.split('.').at(-1) ?? found.path;
          const own = found.path.split('.')[0];
          if (
            found.kind === 'unknown' &&
            (DRIVE_ONLY.has(found.path) || found.param?.form.startsWith('short') === true)
          )
            continue;
          if (own === 'cache' && found.path === 'cache') continue;
          // A change by version has its own rule.
          if (found.kind === 'value' && name === 'driver' && isGone(found.value, context.version)) continue;
          const near =
            found.known === undefined
              ? undefined
              : nearest(found.kind === 'unknown' ? name : found.value, found.known);
          // A newer QEMU may know what this schema does not.
          if (!sure && near === undefined && found.kind !== 'missing') continue;
          const param = found.param;
          yield {
            span:
              param === undefined
                ? (node.driverParam?.span ?? node.option.nameSpan)
                : found.kind === 'unknown'
                  ? param.keySpan
                  : param.valueSpan,
            params: {
              key: found.path,
              value: found.value,
              values: (found.known ?? []).slice(0, 40).join(', '),
              ...(near === undefined ? {} : { near }),
            },
            says: SAYS[found.kind],
            variant: near === undefined ? found.kind : `${found.kind}-suggest`,
            fixes:
              near === undefined || param === undefined
                ? []
                : [nearFix(node.option, param, found.kind, name, near)],
          };
        }
      }
    },
  }),
  rule({
    id: 'B09',
    severity: 'error',
    qemu: ["Invalid parameter type for '{key}', expected: {type}"],
    *find({ model, context }): Iterable<Finding> {
      const schema = schemaFor(context);
      for (const node of model.blockdevs) {
        if (node.option.json !== true) continue;
        for (const found of checkQapi(schema, 'BlockdevOptions', node.tree, true)) {
          if (found.kind !== 'json-type' || found.param === undefined) continue;
          yield jsonType(node.option, found.param, found.value);
        }
      }
      for (const device of model.devices) {
        if (device.option.json !== true) continue;
        for (const param of device.option.params) {
          const expected = jsonTypeOf(device.driver, param.key, context);
          if (expected !== undefined && param.json === 'string')
            yield jsonType(device.option, param, expected);
        }
      }
    },
  }),
];
