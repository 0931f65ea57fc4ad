/** Going to any object from anywhere, and back and forward as in a browser. */
import { defineStore } from 'pinia';
import { computed, ref } from 'vue';
import type { Workspace } from '#contract/settings.ts';
import { useAppStore } from './app.ts';

/** A place in the application: a workspace and what is selected in it. */
export interface Place {
  workspace: Workspace;
  /** The kind and name of the selected object; each workspace knows its own, e.g. `image` and a handle. */
  object?: { kind: string; id: string };
  /** Where exactly: an offset in bytes, a character position, an event number. */
  at?: number;
  /** A tab or part of the workspace. */
  view?: string;
}

const MOST = 200;
const key = (place: Place) => JSON.stringify([place.workspace, place.object, place.at, place.view]);

export const useNavigationStore = defineStore('navigation', () => {
  const app = useAppStore();
  const places = ref<Place[]>([]);
  const index = ref(-1);
  const current = computed<Place | null>(() => places.value[index.value] ?? null);
  const canBack = computed(() => index.value > 0);
  const canForward = computed(() => index.value < places.value.length - 1);

  /** Goes to a place and remembers it; the workspaces watch `current` and select what it names. */
  function go(place: Place): void {
    app.workspace = place.workspace;
    // The same place again takes the old one's seat: whoever watches goes there anew, and Back is not worn out.
    const again = current.value !== null && key(current.value) === key(place);
    places.value = [...places.value.slice(0, index.value + (again ? 0 : 1)), { ...place }].slice(-MOST);
    index.value = places.value.length - 1;
  }
  function move(by: -1 | 1): void {
    const next = places.value[index.value + by];
    if (next === undefined) return;
    index.value += by;
    app.workspace = next.workspace;
  }
  const back = () => move(-1);
  const forward = () => move(1);

  return { current, canBack, canForward, go, back, forward };
});
