/** The options that the job forms offer against those that the formats take. */
import { describe, expect, it } from 'vitest';
import { createSpecs } from '#engine/block/formats/create-specs.ts';
import { TARGET_FORMATS } from '#renderer/workspaces/images/jobs/formats.ts';

describe('the options that the forms offer', () => {
  it.each(TARGET_FORMATS.map(({ name, options }) => ({ name, options })))(
    'are those of $name, with choices that it takes',
    ({ name, options }) => {
      const specs = createSpecs(name);
      for (const field of options) {
        const spec = specs.find((one) => one.name === field.name);
        expect(spec, field.name).toBeDefined();
        const choices = field.kind === 'choice' && field.bytes !== true ? (field.choices ?? []) : [];
        // What is left out when it is chosen has no name of qemu-img's.
        const named = choices.filter((choice) => choice !== field.otherwise);
        if (spec?.choices !== undefined)
          expect(spec.choices).toEqual(expect.arrayContaining(named.map(String)));
      }
    },
  );
});
