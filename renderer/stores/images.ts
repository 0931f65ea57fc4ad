/** The attached images, the one that is selected, and the gate's open questions. */
import { defineStore } from 'pinia';
import { computed, ref, shallowRef, watch } from 'vue';
import type { AttachedImage, GateQuestion, ImageHandle, ImagesChange } from '#contract/images.ts';
import { platter } from '../lib/platter.ts';
import { useAppStore } from './app.ts';
import { useNavigationStore } from './navigation.ts';

export const useImagesStore = defineStore('images', () => {
  const app = useAppStore();
  const navigation = useNavigationStore();
  /** Rows are replaced, never changed. */
  const list = shallowRef<AttachedImage[]>([]);
  const questions = ref<GateQuestion[]>([]);
  const reopening = ref(new Set<ImageHandle>());
  const selected = computed(
    () => list.value.find((image) => image.handle === app.session.selectedImage) ?? list.value[0] ?? null,
  );

  function select(handle: ImageHandle): void {
    app.session.selectedImage = handle;
    navigation.go({ workspace: 'images', object: { kind: 'image', id: handle } });
  }

  /** Runs a call whose failure has no better place than a notice. */
  async function guarded<T>(action: () => Promise<T>): Promise<T | undefined> {
    try {
      return await action();
    } catch (error) {
      app.report(error);
      return undefined;
    }
  }
  function selectLast(handles: ImageHandle[] | undefined): void {
    const last = handles?.at(-1);
    if (last !== undefined) select(last);
  }

  /** Attached images that rest on this one, directly or not. */
  const overlaysOf = (handle: ImageHandle): AttachedImage[] =>
    list.value.filter((image) => image.restsOn?.includes(handle) === true);

  const pick = async () => selectLast(await guarded(() => platter.call('images.pick')));
  /** Attaches more images and leaves the selected one selected. */
  const attachMore = async () => void (await guarded(() => platter.call('images.pick')));
  const attachSample = async (): Promise<ImageHandle | undefined> => {
    const handle = await guarded(() => platter.call('images.attachSample'));
    if (handle !== undefined) select(handle);
    return handle;
  };
  const attachDropped = async (files: File[]) =>
    selectLast(await guarded(() => platter.attachDropped(files)));

  /** Takes images off the list; the one beside them is selected when the selected one is among them. */
  async function detach(...handles: ImageHandle[]): Promise<void> {
    const at = list.value.findIndex((image) => image.handle === selected.value?.handle);
    const stays = (image: AttachedImage) => !handles.includes(image.handle);
    const next = list.value.slice(Math.max(0, at)).find(stays) ?? list.value.slice(0, at).findLast(stays);
    if (next !== undefined) app.session.selectedImage = next.handle;
    await guarded(() => Promise.all(handles.map((handle) => platter.call('images.detach', handle))));
  }
  async function reopen(handle: ImageHandle): Promise<void> {
    reopening.value.add(handle);
    try {
      await platter.call('images.reopen', handle);
    } catch {
      // The image's own row carries the error; it is shown there.
    } finally {
      reopening.value.delete(handle);
    }
  }
  /** @throws CallError: a wrong passphrase is told where it was asked for */
  const unlock = (handle: ImageHandle, passphrase: string) =>
    platter.call('images.unlock', handle, passphrase);
  /** @param folder a yes holds for the other files of the folder that the image names as well */
  async function answerGate(ids: number[], allow: boolean, folder: boolean): Promise<void> {
    questions.value = questions.value.filter((question) => !ids.includes(question.id));
    await guarded(() => Promise.all(ids.map((id) => platter.call('gate.answer', id, allow, folder))));
  }

  /** How often the image was opened: what was read before the last time is out of date. */
  const openingOf = (handle: ImageHandle): number =>
    list.value.find((image) => image.handle === handle)?.opening ?? 0;
  function take({ rows, order }: ImagesChange): void {
    const known = new Map(list.value.map((image) => [image.handle, image]));
    const handles = order ?? [...known.keys()];
    for (const row of rows) known.set(row.handle, row);
    list.value = handles.flatMap((handle) => known.get(handle) ?? []);
  }
  /** These are on the screen: those that wait are opened first. */
  const hurry = (handles: ImageHandle[]) => guarded(() => platter.call('images.hurry', handles));

  /** Takes the images that are there and listens for changes. */
  function begin(): void {
    list.value = app.start?.images ?? [];
    platter.on('images.changed', take);
    platter.on('gate.ask', (question) => questions.value.push(question));
    platter.on('gate.withdrawn', (id) => {
      questions.value = questions.value.filter((question) => question.id !== id);
    });
    watch(
      () => navigation.current,
      (place) => {
        if (place?.object?.kind === 'image') app.session.selectedImage = place.object.id;
      },
    );
  }

  return {
    list,
    questions,
    reopening,
    openingOf,
    hurry,
    selected,
    overlaysOf,
    select,
    pick,
    attachMore,
    attachSample,
    attachDropped,
    detach,
    reopen,
    unlock,
    answerGate,
    begin,
  };
});
