/** The command line that is being worked on: its text, what the engine makes of it, what is selected, what is bound. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import type { Binding, BindingMode, ConfigFile } from '#contract/settings.ts';
import { applyEdits } from '#engine/qemu/edit.ts';
import { explain } from '#engine/qemu/explain.ts';
import { fixAll, lint } from '#engine/qemu/lint.ts';
import type { Fix, LintContext, Option, Span, TextEdit, TopologyNode } from '#engine/qemu/model.ts';
import { parseCommandLine } from '#engine/qemu/parse.ts';
import { storageModel } from '#engine/qemu/storage-model.ts';
import { topology } from '#engine/qemu/topology.ts';
import sampleLine from '#resources/samples/line.txt?raw';
import { platter } from '../lib/platter.ts';
import { tidyEdits } from '../workspaces/machine/editor/tidy.ts';
import { useAppStore } from './app.ts';
import { useImagesStore } from './images.ts';
import { useQemuSchemaStore } from './qemu-schema.ts';

/** A back end of the line that an image can be bound to. */
export interface LineDrive {
  /** `id=` of a -drive or `node-name=` of a -blockdev. */
  id: string;
  /** The file that the line names. */
  file: string | undefined;
  format: string | undefined;
  readOnly: boolean;
  span: Span;
}

/** A file that a `-readconfig` of the line names. */
export interface LineConfig {
  name: string;
  /** The name of the file that was chosen for it, or null as long as it is not read. */
  file: string | null;
  span: Span;
}

export const useMachineStore = defineStore('machine', () => {
  const app = useAppStore();
  const images = useImagesStore();
  const qemu = useQemuSchemaStore();

  const text = computed({
    get: () => app.session.line,
    set: (value: string) => {
      app.session.line = value;
    },
  });
  /** The text of chosen configuration files, by the name that stands in the line. */
  const configTexts = computed<ReadonlyMap<string, string>>(
    () => new Map(app.session.configs.map((config) => [config.name, config.text])),
  );
  const line = computed(() => parseCommandLine(text.value, configTexts.value));
  const configFiles = computed<LineConfig[]>(() => {
    const files = new Map<string, LineConfig>();
    for (const { name: option, argument: name, argumentSpan: span } of line.value.options) {
      // QEMU reads `-` from standard input.
      if (option !== 'readconfig' || name === undefined || name === '-' || span === undefined) continue;
      const file = app.session.configs.find((config) => config.name === name)?.file ?? null;
      if (!files.has(name)) files.set(name, { name, file, span });
    }
    return [...files.values()];
  });
  /** Those of the present line; the others wait for theirs to come back. */
  const configs = computed<ConfigFile[]>(() =>
    app.session.configs.filter(({ name }) => configFiles.value.some((one) => one.name === name)),
  );
  const drives = computed<LineDrive[]>(() => {
    const model = storageModel(line.value);
    const list: LineDrive[] = model.drives.map((drive) => ({
      id: drive.id,
      file: drive.file,
      format: drive.format,
      readOnly: drive.readOnly,
      span: drive.span,
    }));
    for (const node of model.blockdevs)
      if (node.nodeName !== undefined && node.layer !== 'protocol')
        list.push({
          id: node.nodeName,
          file: undefined,
          format: node.driver === '' ? undefined : node.driver,
          readOnly: false,
          span: node.span,
        });
    return list;
  });

  /** Bindings whose drive is in the line and whose image is attached; the others wait for theirs to come back. */
  const bindings = computed<Binding[]>(() =>
    app.session.bindings.filter(
      (binding) =>
        drives.value.some((drive) => drive.id === binding.driveId) &&
        images.list.some((image) => image.handle === binding.image),
    ),
  );
  const context = computed<LintContext>(() => {
    const files = new Map<string, { format: string; virtualSize: number; readOnly?: boolean }>();
    for (const binding of bindings.value) {
      const file = drives.value.find((drive) => drive.id === binding.driveId)?.file;
      const info = images.list.find((image) => image.handle === binding.image)?.info;
      if (file !== undefined && info !== undefined)
        files.set(file, { format: info.format, virtualSize: info.virtualSize });
    }
    const { schema } = qemu;
    return {
      version: app.settings.qemuVersion,
      files,
      configs: configTexts.value,
      ...(schema === undefined ? {} : { schema }),
    };
  });
  /** The same with every attached image by its name, for completion. */
  const completionContext = computed<LintContext>(() => {
    const files = new Map(context.value.files);
    for (const { name, info } of images.list)
      if (info !== undefined && !files.has(name))
        files.set(name, { format: info.format, virtualSize: info.virtualSize });
    return { ...context.value, files };
  });
  const problems = computed(() => (text.value === '' ? [] : lint(line.value, context.value)));
  const drawing = computed(() =>
    line.value.options.length === 0
      ? { nodes: [], edges: [] }
      : topology(line.value, context.value, problems.value),
  );
  const sentences = computed(() => explain(line.value));

  // ---- Selection: one place of the text, and the piece of the drawing that stands for it. ----

  const selected = shallowRef<Span | null>(null);
  /** Set when a piece was chosen in the drawing: several can come from one place. */
  const chosenKey = ref<string | null>(null);
  /** Counts up when the editor should show the selection although it did not make it. */
  const revealed = ref(0);

  const selectedNode = computed<TopologyNode | null>(() => {
    const { nodes } = drawing.value;
    const chosen = nodes.find((node) => node.key === chosenKey.value);
    if (chosen) return chosen;
    if (selected.value === null) return null;
    const at = selected.value.start;
    let best: TopologyNode | null = null;
    for (const node of nodes) {
      if (!node.span || at < node.span.start || at > node.span.end) continue;
      if (!best?.span || length(node.span) < length(best.span)) best = node;
    }
    return best;
  });
  const selectedOption = computed<Option | null>(() => {
    const at = selected.value?.start;
    if (at === undefined) return null;
    return line.value.options.find((option) => at >= option.span.start && at <= option.span.end) ?? null;
  });

  function select(span: Span, reveal = true): void {
    chosenKey.value = null;
    selected.value = span;
    if (reveal) revealed.value++;
  }
  function selectNode(node: TopologyNode): void {
    chosenKey.value = node.key;
    selected.value = node.span ?? null;
    if (node.span) revealed.value++;
  }

  // ---- Edits. The editor keeps their history: every change of the text goes through it. ----

  const editor = shallowRef<{ undo: () => boolean; redo: () => boolean } | null>(null);
  const undoable = ref(false);
  const redoable = ref(false);

  function edit(edits: readonly TextEdit[]): void {
    text.value = applyEdits(text.value, edits);
  }
  const applyFix = (fix: Fix): void => edit(fix.edits);
  const tidy = (): void => edit(tidyEdits(line.value));
  function fixEverything(): void {
    text.value = fixAll(text.value, context.value);
  }
  const fixable = computed(() => problems.value.filter((problem) => problem.fixes.length > 0).length);

  function bind(driveId: string, image: string | null, mode: BindingMode = 'overlay'): void {
    const others = app.session.bindings.filter((binding) => binding.driveId !== driveId);
    app.session.bindings = image === null ? others : [...others, { driveId, image, mode }];
  }
  /** Lets the person choose the file that the line calls `name`; what was chosen for names that are gone is let go of. */
  async function chooseConfig(name: string): Promise<void> {
    try {
      const picked = await platter.call('line.pickConfig');
      if (picked === null) return;
      const others = configs.value.filter((config) => config.name !== name);
      app.session.configs = [...others, { name, file: picked.name, text: picked.text }];
    } catch (error) {
      app.report(error);
    }
  }
  function forgetConfig(name: string): void {
    app.session.configs = app.session.configs.filter((config) => config.name !== name);
  }
  const bindingOf = (driveId: string): Binding | null =>
    bindings.value.find((binding) => binding.driveId === driveId) ?? null;

  return {
    text,
    line,
    drives,
    configFiles,
    configs,
    configTexts,
    bindings,
    context,
    completionContext,
    problems,
    drawing,
    sentences,
    selected,
    selectedNode,
    selectedOption,
    revealed,
    fixable,
    sample: sampleLine,
    select,
    selectNode,
    editor,
    undoable,
    redoable,
    edit,
    tidy,
    applyFix,
    fixEverything,
    chooseConfig,
    forgetConfig,
    bind,
    bindingOf,
  };
});

function length(span: Span): number {
  return span.end - span.start;
}
